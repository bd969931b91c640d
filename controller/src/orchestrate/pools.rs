//! Requests about pools.

use std::collections::BTreeMap;
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
    /// Addresses of registry proxies, by the registry that each stands for.
    pub registry_proxies: BTreeMap<String, String>,
}

/// A change of a pool; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What it may use.
    pub quota: QuotaChange,
    /// Registry proxies, by the registry that each stands for; those that get no address are taken away.
    pub registry_proxies: BTreeMap<String, String>,
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
/// [`Refusal::Invalid`]: name, ranges or registry proxies. [`Refusal::Exists`]: a pool of that name has other content.
pub fn create(tx: &mut Transaction<'_>, spec: PoolSpec) -> Result<Arc<Pool>, Refusal> {
    name::check("pool", &spec.name)?;
    let vlans = range("VLAN ids", spec.vlans, DEFAULT_VLANS, 4094).map_err(|refusal| refusal.of("vlans"))?;
    let vnis = range("VXLAN network identifiers", spec.vnis, DEFAULT_VNIS, (1 << 24) - 1)
        .map_err(|refusal| refusal.of("vnis"))?;
    let registry_proxies = with_proxies(BTreeMap::new(), spec.registry_proxies)?;
    if let Some(pool) = tx.state().pool_named(&spec.name) {
        let same = pool.vlans == vlans
            && pool.vnis == vnis
            && pool.default_image == spec.default_image
            && pool.placement == spec.placement
            && pool.quota == spec.quota
            && pool.registry_proxies == registry_proxies;
        return if same {
            Ok(pool.clone())
        } else {
            Err(Refusal::Exists(format!(
                "the pool `{}` exists with VLANs {}-{}, VNIs {}-{}, default image `{}`, placement `{}`, at most {} \
                 and the registry proxies `{}`",
                pool.name,
                pool.vlans.first,
                pool.vlans.last,
                pool.vnis.first,
                pool.vnis.last,
                pool.default_image,
                pool.placement,
                pool.quota,
                super::containers::pairs(&pool.registry_proxies)
            ))
            .of("name"))
        };
    }
    let id = tx.new_pool_id();
    let name = spec.name.clone();
    let PoolSpec { default_image, placement, quota, .. } = spec;
    let found = name.clone();
    let request_key = String::new();
    tx.put(Pool {
        id,
        name,
        vlans,
        vnis,
        default_image,
        placement,
        quota,
        registry_proxies,
        request_key,
        revision: 0,
    });
    find(tx.state(), &found).cloned()
}

/// Changes a pool. What it uses already it keeps, even if that is more than its quota.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::Invalid`]: registries or addresses.
pub fn update(tx: &mut Transaction<'_>, name: &str, change: Change) -> Result<Arc<Pool>, Refusal> {
    let pool = find(tx.state(), name).map_err(|refusal| refusal.of("name"))?.clone();
    let limits = change.quota;
    let quota = Quota {
        containers: limits.containers.unwrap_or(pool.quota.containers),
        cpu_millis: limits.cpu_millis.unwrap_or(pool.quota.cpu_millis),
        memory_bytes: limits.memory_bytes.unwrap_or(pool.quota.memory_bytes),
        addresses: limits.addresses.unwrap_or(pool.quota.addresses),
    };
    let registry_proxies = with_proxies(pool.registry_proxies.clone(), change.registry_proxies)?;
    let changed = Pool { quota, registry_proxies, ..Pool::clone(&pool) };
    if changed != *pool {
        tx.put(changed);
    }
    find(tx.state(), name).cloned()
}

/// Registry proxies with changes.
fn with_proxies(
    mut proxies: BTreeMap<String, String>,
    changes: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let invalid = |message| Refusal::Invalid(message).of("registry_proxies");
    for (registry, url) in changes {
        if !is_host(&registry) {
            let shown = registry.escape_debug();
            return Err(invalid(format!(
                "`{shown}` is no registry: it should look like docker.io or HOST:PORT"
            )));
        }
        let url = url.trim_end_matches('/');
        let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        if url.is_empty() {
            proxies.remove(&registry);
        } else if host.is_some_and(is_host) {
            proxies.insert(registry, url.to_owned());
        } else {
            let shown = url.escape_debug();
            return Err(invalid(format!(
                "`{shown}` is no registry proxy's address: it should look like http://10.0.0.1:5000"
            )));
        }
    }
    if proxies.len() > MAX_PROXIES {
        return Err(invalid(format!("a pool has at most {MAX_PROXIES} registry proxies")));
    }
    Ok(proxies)
}

/// A host's name or address, and perhaps a port.
fn is_host(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    (1..=255).contains(&text.len()) && text.bytes().all(is_plain)
}

/// More than anybody has registries.
const MAX_PROXIES: usize = 32;

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

#[cfg(test)]
mod tests {
    use super::*;

    fn map<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
        pairs.map(|(registry, url)| (registry.to_owned(), url.to_owned())).into()
    }

    fn set_proxies(
        tx: &mut Transaction<'_>,
        name: &str,
        proxies: BTreeMap<String, String>,
    ) -> Result<Arc<Pool>, Refusal> {
        update(tx, name, Change { registry_proxies: proxies, ..Change::default() })
    }

    #[test]
    fn registry_proxies_change_one_by_one_and_bad_ones_change_nothing() {
        let mut state = State::default();
        let mut tx = Transaction::new(&mut state);
        let proxies = map([("docker.io", "http://10.0.0.1:5000/")]);
        create(&mut tx, PoolSpec { name: "p".to_owned(), registry_proxies: proxies, ..PoolSpec::default() })
            .unwrap();
        let changes = map([("quay.io", "https://cache"), ("other:5000", "")]);
        let expected = map([("docker.io", "http://10.0.0.1:5000"), ("quay.io", "https://cache")]);
        assert_eq!(set_proxies(&mut tx, "p", changes).unwrap().registry_proxies, expected);
        for (registry, url) in [
            ("", "http://a"),
            ("a/b", "http://a"),
            ("docker.io", "10.0.0.1:5000"),
            ("docker.io", "http://a/b"),
            ("docker.io", "http://"),
        ] {
            let changes = map([("gone.io", "http://gone"), (registry, url)]);
            let refused = set_proxies(&mut tx, "p", changes).unwrap_err();
            assert!(refused.to_string().contains("should look like"), "{refused}");
            assert_eq!(find(tx.state(), "p").unwrap().registry_proxies, expected, "{registry} {url}");
        }
        let gone = set_proxies(&mut tx, "p", map([("docker.io", ""), ("quay.io", "")])).unwrap();
        assert_eq!(gone.registry_proxies, map([]));
        assert!(set_proxies(&mut tx, "q", map([])).unwrap_err().to_string().contains("no pool"));
    }
}
