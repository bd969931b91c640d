//! Requests about pools.

use std::sync::Arc;

use crate::intent::model::{Key, NumberRange, Pool, Quota, Strategy};
use crate::intent::{Refusal, State, Transaction};

use super::{admissions, name};

/// VLAN ids of a pool that names none.
pub const DEFAULT_VLANS: NumberRange = NumberRange { first: 100, last: 199 };
/// VXLAN network identifiers of a pool that names none.
pub const DEFAULT_VNIS: NumberRange = NumberRange { first: 10_000, last: 19_999 };

/// A pool as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolSpec {
    /// Its name.
    pub name: String,
    /// VLAN ids for its networks; `None`: [`DEFAULT_VLANS`].
    pub vlans: Option<NumberRange>,
    /// VXLAN network identifiers for its networks; `None`: [`DEFAULT_VNIS`].
    pub vnis: Option<NumberRange>,
    /// The image of containers created without one; may be empty.
    pub default_image: String,
    /// Where its containers go.
    pub placement: Strategy,
    /// What it may use at most.
    pub quota: Quota,
}

/// A change of what a pool may use; what is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaChange {
    /// Containers; 0: as many as there is room for, as with the others.
    pub containers: Option<u32>,
    /// Thousandths of a processor.
    pub cpu_millis: Option<u32>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Addresses.
    pub addresses: Option<u32>,
}

/// The pool of that name.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::Invalid`] if no pool is named at all.
pub fn find<'a>(state: &'a State, name: &str) -> Result<&'a Arc<Pool>, Refusal> {
    if name.is_empty() {
        return Err(Refusal::Invalid("no pool is named".to_owned()).of("pool"));
    }
    state
        .pool_named(name)
        .ok_or_else(|| Refusal::NotFound(format!("there is no pool `{}`", name.escape_debug())).of("pool"))
}

/// Creates a pool; the same one again is not an error.
///
/// # Errors
/// [`Refusal::Invalid`]: name or ranges. [`Refusal::Exists`]: a pool of that name has other content.
pub fn create(tx: &mut Transaction<'_>, spec: PoolSpec) -> Result<Arc<Pool>, Refusal> {
    name::check("pool", &spec.name)?;
    let vlans = range("VLAN ids", spec.vlans, DEFAULT_VLANS, 4094).map_err(|refusal| refusal.of("vlans"))?;
    let vnis = range("VXLAN network identifiers", spec.vnis, DEFAULT_VNIS, (1 << 24) - 1)
        .map_err(|refusal| refusal.of("vnis"))?;
    if let Some(pool) = tx.state().pool_named(&spec.name) {
        let same = pool.vlans == vlans
            && pool.vnis == vnis
            && pool.default_image == spec.default_image
            && pool.placement == spec.placement
            && pool.quota == spec.quota;
        return if same {
            Ok(pool.clone())
        } else {
            Err(Refusal::Exists(format!(
                "the pool `{}` exists with VLANs {}-{}, VNIs {}-{}, default image `{}`, placement {:?} and {:?}",
                pool.name,
                pool.vlans.first,
                pool.vlans.last,
                pool.vnis.first,
                pool.vnis.last,
                pool.default_image,
                pool.placement,
                pool.quota
            ))
            .of("name"))
        };
    }
    let id = tx.new_pool_id();
    let name = spec.name.clone();
    let PoolSpec { default_image, placement, quota, .. } = spec;
    let found = name.clone();
    let request_key = String::new();
    tx.put(Pool { id, name, vlans, vnis, default_image, placement, quota, request_key, revision: 0 });
    find(tx.state(), &found).cloned()
}

/// Changes what a pool may use. What it uses already it keeps, even if that is more.
///
/// # Errors
/// [`Refusal::NotFound`].
pub fn set_quota(tx: &mut Transaction<'_>, name: &str, change: QuotaChange) -> Result<Arc<Pool>, Refusal> {
    let pool = find(tx.state(), name).map_err(|refusal| refusal.of("name"))?.clone();
    let quota = Quota {
        containers: change.containers.unwrap_or(pool.quota.containers),
        cpu_millis: change.cpu_millis.unwrap_or(pool.quota.cpu_millis),
        memory_bytes: change.memory_bytes.unwrap_or(pool.quota.memory_bytes),
        addresses: change.addresses.unwrap_or(pool.quota.addresses),
    };
    if quota != pool.quota {
        tx.put(Pool { quota, ..Pool::clone(&pool) });
    }
    find(tx.state(), name).cloned()
}

fn range(
    what: &str,
    asked: Option<NumberRange>,
    default: NumberRange,
    max: u32,
) -> Result<NumberRange, Refusal> {
    let range = asked.unwrap_or(default);
    if 1 <= range.first && range.first <= range.last && range.last <= max {
        return Ok(range);
    }
    let NumberRange { first, last } = range;
    Err(Refusal::Invalid(format!(
        "{first}-{last} is no range of {what}: they go from 1 to {max}, lowest first"
    )))
}

/// Deletes an empty pool, and its tokens with it.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::Precondition`] while it has nodes or networks.
pub fn delete(tx: &mut Transaction<'_>, name: &str) -> Result<(), Refusal> {
    let pool = find(tx.state(), name).map_err(|refusal| refusal.of("name"))?.clone();
    let members = tx.state().members(pool.id);
    if !members.nodes.is_empty() || !members.networks.is_empty() {
        return Err(Refusal::Precondition(format!(
            "the pool `{name}` has {} networks and {} nodes: delete them first",
            members.networks.len(),
            members.nodes.len()
        )));
    }
    admissions::forget_pool(tx, pool.id);
    tx.delete(&Key::Pool(pool.id));
    Ok(())
}
