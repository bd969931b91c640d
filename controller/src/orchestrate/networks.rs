//! Requests about networks.
//!
//! VLAN ids and VXLAN network identifiers are unique in the whole controller, whatever the pool: the fabric is one, and
//! nothing may cross pools. Subnets may overlap, but not those of two VLANs of a pool.

use std::net::Ipv4Addr;
use std::sync::Arc;

use flowlib::compile::model::Driver;
use flowlib::types::{VlanVid, Vni};
use ipnet::Ipv4Net;

use crate::intent::model::{Key, Network, Pool};
use crate::intent::{Refusal, State, Transaction};
use crate::network::routes;
pub use crate::network::routes::Route;

use super::{name, pools};

/// Prefix length of blocks where none is asked for and the subnet is not smaller.
pub const DEFAULT_BLOCK_PREFIX_LEN: u8 = 26;
const MTU_VLAN: u32 = 1500;
/// A VXLAN packet has 50 bytes around the inner frame's payload over IPv4. Source: RFC 7348 §5.
const VXLAN_OVERHEAD: u32 = 50;
/// The smallest MTU that IPv4 hosts must be able to receive, RFC 791 §3.2; the largest that fabrics commonly carry.
const MTU_RANGE: std::ops::RangeInclusive<u32> = 576..=9216;

/// A network as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Whose it is to be.
    pub pool: String,
    /// Its name.
    pub name: String,
    /// `vlan` or `vxlan`.
    pub driver: String,
    /// Its addresses.
    pub subnet: Ipv4Net,
    /// The next hop of what is not in the subnet; VLANs only.
    pub gateway: Option<Ipv4Addr>,
    /// `None`: the next free one of the pool's range.
    pub vlan: Option<u32>,
    /// `None`: the next free one of the pool's range.
    pub vni: Option<u32>,
    /// `None`: 1500 on a VLAN, 1450 in a VXLAN.
    pub mtu: Option<u32>,
    /// `None`: [`DEFAULT_BLOCK_PREFIX_LEN`], or the subnet's own if that is longer.
    pub block_prefix_len: Option<u32>,
    /// A VLAN or VNI that is asked for must be of the pool's range, too: others are not its users' to take.
    pub within_ranges: bool,
}

/// What a checked request asks for, but for the number.
struct Wanted {
    kind: Kind,
    mtu: u32,
    block_prefix_len: u8,
}

/// The driver, and the number it is to have.
#[derive(Clone, Copy)]
enum Kind {
    Vlan(Option<VlanVid>),
    Vxlan(Option<Vni>),
}

/// The network of that name.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::Invalid`] if none is named at all.
pub fn find<'a>(state: &'a State, pool: &Pool, name: &str) -> Result<&'a Arc<Network>, Refusal> {
    if name.is_empty() {
        return Err(Refusal::Invalid("no network is named".to_owned()).of("network"));
    }
    state.network_named(pool.id, name).ok_or_else(|| {
        Refusal::NotFound(format!(
            "there is no network `{}` in the pool `{}`",
            name.escape_debug(),
            pool.name
        ))
        .of("network")
    })
}

/// What the gateway of a network should route where.
#[must_use]
pub fn routes(state: &State, network: &Network) -> Vec<Route> {
    let live = |id| state.container_of(id).filter(|container| !container.deleting);
    routes::routes(network, state.space(network.id), |id| Some(live(id)?.endpoint.node))
}

/// Creates a network; the same one again is not an error.
///
/// # Errors
/// [`Refusal::Invalid`]: name, driver, subnet, a setting, or a number that is not the pool's. [`Refusal::NotFound`]: no such
/// pool. [`Refusal::Exists`]: the name with other content, a taken VLAN, VNI or subnet. [`Refusal::Exhausted`]: the pool's
/// range is used up.
pub fn create(tx: &mut Transaction<'_>, spec: &NetworkSpec) -> Result<Arc<Network>, Refusal> {
    let pool = pools::find(tx.state(), &spec.pool)?.clone();
    let wanted = check(spec)?;
    if let Some(network) = tx.state().network_named(pool.id, &spec.name) {
        return if is_same(network, spec, &wanted) {
            Ok(network.clone())
        } else {
            Err(Refusal::Exists(format!(
                "the network `{}` of the pool `{}` exists with other content: {}",
                spec.name,
                spec.pool,
                describe(network)
            ))
            .of("name"))
        };
    }
    if spec.within_ranges {
        check_range(&pool, wanted.kind)?;
    }
    check_overlap(tx.state(), &pool, spec, wanted.kind)?;
    let driver = match wanted.kind {
        Kind::Vlan(vid) => Driver::Vlan(vlan(tx.state(), &pool, vid)?),
        Kind::Vxlan(vni) => Driver::Vxlan(self::vni(tx.state(), &pool, vni)?),
    };
    let id = tx.new_network_id();
    tx.put(Network {
        id,
        pool: pool.id,
        name: spec.name.clone(),
        driver,
        subnet: spec.subnet,
        gateway: spec.gateway,
        mtu: wanted.mtu,
        block_prefix_len: wanted.block_prefix_len,
        request_key: String::new(),
        revision: 0,
    });
    find(tx.state(), &pool, &spec.name).cloned()
}

/// Deletes a network without endpoints.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::Precondition`] while it has endpoints or services.
pub fn delete(tx: &mut Transaction<'_>, pool: &str, name: &str) -> Result<(), Refusal> {
    let pool = pools::find(tx.state(), pool)?.clone();
    let network = find(tx.state(), &pool, name).map_err(|refusal| refusal.of("name"))?.clone();
    let space = tx.state().space(network.id).clone();
    if !space.used.is_empty() {
        return Err(Refusal::Precondition(format!(
            "the network `{name}` of the pool `{}` has endpoints at {} addresses: delete their containers first",
            pool.name,
            space.used.len()
        )));
    }
    let service = tx.state().services().find(|service| service.network == network.id);
    if let Some(service) = service {
        return Err(Refusal::Precondition(format!(
            "the network `{name}` of the pool `{}` is that of the service `{}`: delete that first",
            pool.name, service.name
        )));
    }
    for prefix in space.blocks.keys() {
        tx.delete(&Key::Block(network.id, *prefix));
    }
    for address in space.cooling.keys() {
        tx.delete(&Key::Cooling(network.id, *address));
    }
    for address in space.neighbours.keys() {
        tx.delete(&Key::Neighbour(network.id, *address));
    }
    tx.delete(&Key::Network(network.id));
    Ok(())
}

fn invalid<T>(field: &'static str, sentence: String) -> Result<T, Refusal> {
    Err(Refusal::Invalid(sentence).of(field))
}

/// Checks what can be checked without the state.
fn check(spec: &NetworkSpec) -> Result<Wanted, Refusal> {
    name::check("network", &spec.name)?;
    if spec.name.contains('.') {
        return invalid(
            "name",
            format!(
                "`{}` is no name for a network: it has no dot, since SERVICE.NETWORK names a service in it",
                spec.name
            ),
        );
    }
    let kind = check_driver(spec)?;
    check_subnet(spec.subnet)?;
    if let Some(gateway) = spec.gateway {
        check_gateway(spec, kind, gateway)?;
    }
    let default_mtu = match kind {
        Kind::Vlan(_) => MTU_VLAN,
        Kind::Vxlan(_) => MTU_VLAN - VXLAN_OVERHEAD,
    };
    let mtu = spec.mtu.unwrap_or(default_mtu);
    if !MTU_RANGE.contains(&mtu) {
        return invalid(
            "mtu",
            format!("the MTU {mtu} is out of range: {} to {}", MTU_RANGE.start(), MTU_RANGE.end()),
        );
    }
    let own = spec.subnet.prefix_len();
    let block = spec.block_prefix_len.unwrap_or_else(|| DEFAULT_BLOCK_PREFIX_LEN.max(own).into());
    match u8::try_from(block) {
        Ok(block_prefix_len) if (own..=32).contains(&block_prefix_len) => {
            Ok(Wanted { kind, mtu, block_prefix_len })
        }
        _ => invalid(
            "block_prefix_len",
            format!("blocks of /{block} are not possible in {}: {own} to 32 are", spec.subnet),
        ),
    }
}

fn check_driver(spec: &NetworkSpec) -> Result<Kind, Refusal> {
    match (spec.driver.as_str(), spec.vlan, spec.vni) {
        ("vlan", _, Some(_)) => {
            invalid("vni", "a vlan network has no VNI; drop it, or take the driver vxlan".to_owned())
        }
        ("vxlan", Some(_), _) => {
            invalid("vlan", "a vxlan network has no VLAN; drop it, or take the driver vlan".to_owned())
        }
        ("vlan", vid, None) => match vid.map(VlanVid::try_from).transpose() {
            Ok(vid) => Ok(Kind::Vlan(vid)),
            Err(error) => invalid("vlan", error.to_string()),
        },
        ("vxlan", None, vni) => match vni.map(Vni::try_from).transpose() {
            Ok(vni) => Ok(Kind::Vxlan(vni)),
            Err(error) => invalid("vni", error.to_string()),
        },
        ("", ..) => invalid("driver", "no driver is named; there are: vlan, vxlan".to_owned()),
        (other, ..) => invalid(
            "driver",
            format!("there is no driver `{}`; there are: vlan, vxlan", other.escape_debug()),
        ),
    }
}

fn check_subnet(subnet: Ipv4Net) -> Result<(), Refusal> {
    if subnet.trunc() != subnet {
        return invalid(
            "subnet",
            format!("{subnet} is no subnet: it has host bits; {} would be one", subnet.trunc()),
        );
    }
    let reserved = [(Ipv4Addr::UNSPECIFIED, 8), (Ipv4Addr::LOCALHOST, 8), (Ipv4Addr::new(224, 0, 0, 0), 3)];
    for (address, len) in reserved {
        let reserved = Ipv4Net::new_assert(address, len).trunc();
        if overlap(subnet, reserved) {
            return invalid("subnet", format!("{subnet} is no subnet for hosts: it overlaps {reserved}"));
        }
    }
    Ok(())
}

fn check_gateway(spec: &NetworkSpec, kind: Kind, gateway: Ipv4Addr) -> Result<(), Refusal> {
    let subnet = spec.subnet;
    if matches!(kind, Kind::Vxlan(_)) {
        return invalid(
            "gateway",
            "a vxlan network has no gateway: the gateway is a host on a VLAN".to_owned(),
        );
    }
    if !subnet.contains(&gateway) {
        return invalid("gateway", format!("the gateway {gateway} is not in the subnet {subnet}"));
    }
    if subnet.prefix_len() < 31 && (gateway == subnet.network() || gateway == subnet.broadcast()) {
        return invalid(
            "gateway",
            format!("the gateway {gateway} is the network or broadcast address of {subnet}"),
        );
    }
    Ok(())
}

fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b) || b.contains(&a)
}

/// Two VLAN networks of a pool may not overlap: the fabric around them routes an address to one place.
fn check_overlap(state: &State, pool: &Pool, spec: &NetworkSpec, kind: Kind) -> Result<(), Refusal> {
    let others = state.members(pool.id).networks.iter().filter_map(|id| state.network(*id));
    for other in others.filter(|other| overlap(other.subnet, spec.subnet)) {
        if matches!(kind, Kind::Vlan(_)) && matches!(other.driver, Driver::Vlan(_)) {
            return Err(Refusal::Exists(format!(
                "the subnet {} overlaps {} of the network `{}` in the same pool, and both are on VLANs",
                spec.subnet, other.subnet, other.name
            ))
            .of("subnet"));
        }
    }
    Ok(())
}

fn vlan(state: &State, pool: &Pool, asked: Option<VlanVid>) -> Result<VlanVid, Refusal> {
    let holder = |vid| state.network_of_vlan(vid);
    let next = || {
        let range = (pool.vlans.first..=pool.vlans.last).filter_map(|number| VlanVid::try_from(number).ok());
        range.into_iter().find(|vid| holder(*vid).is_none()).ok_or_else(|| {
            let (first, last) = (pool.vlans.first, pool.vlans.last);
            Refusal::Exhausted(format!("all VLANs of the pool `{}`, {first} to {last}, are taken", pool.name))
        })
    };
    asked.map_or_else(next, |vid| {
        holder(vid)
            .map_or(Ok(vid), |other| Err(taken(pool, &format!("VLAN {}", vid.get()), other).of("vlan")))
    })
}

fn vni(state: &State, pool: &Pool, asked: Option<Vni>) -> Result<Vni, Refusal> {
    let holder = |vni| state.network_of_vni(vni);
    let next = || {
        let range = (pool.vnis.first..=pool.vnis.last).filter_map(|number| Vni::try_from(number).ok());
        range.into_iter().find(|vni| holder(*vni).is_none()).ok_or_else(|| {
            let (first, last) = (pool.vnis.first, pool.vnis.last);
            Refusal::Exhausted(format!("all VNIs of the pool `{}`, {first} to {last}, are taken", pool.name))
        })
    };
    asked.map_or_else(next, |vni| {
        holder(vni).map_or(Ok(vni), |other| Err(taken(pool, &format!("VNI {}", vni.get()), other).of("vni")))
    })
}

/// A user of a pool takes numbers of the pool's ranges only: others may be in use on the fabric.
fn check_range(pool: &Pool, kind: Kind) -> Result<(), Refusal> {
    let (field, what, asked, range) = match kind {
        Kind::Vlan(vid) => ("vlan", "VLAN", vid.map(|vid| vid.get().into()), pool.vlans),
        Kind::Vxlan(vni) => ("vni", "VNI", vni.map(Vni::get), pool.vnis),
    };
    let Some(number) = asked.filter(|number| !(range.first..=range.last).contains(number)) else {
        return Ok(());
    };
    let (first, last) = (range.first, range.last);
    invalid(
        field,
        format!(
            "{what} {number} is not of the pool `{}`, which has {first} to {last}: only an administrator may take it",
            pool.name
        ),
    )
}

/// Another pool's network is not named: whoever asks need not know that it is there.
fn taken(pool: &Pool, what: &str, other: &Network) -> Refusal {
    Refusal::Exists(if other.pool == pool.id {
        format!("{what} is taken by the network `{}` of the pool `{}`", other.name, pool.name)
    } else {
        format!("{what} is taken by a network of another pool")
    })
}

fn is_same(network: &Network, spec: &NetworkSpec, wanted: &Wanted) -> bool {
    let driver = match (wanted.kind, network.driver) {
        (Kind::Vlan(asked), Driver::Vlan(vid)) => asked.is_none_or(|asked| asked == vid),
        (Kind::Vxlan(asked), Driver::Vxlan(vni)) => asked.is_none_or(|asked| asked == vni),
        _ => false,
    };
    driver
        && network.subnet == spec.subnet
        && network.gateway == spec.gateway
        && network.mtu == wanted.mtu
        && network.block_prefix_len == wanted.block_prefix_len
}

fn describe(network: &Network) -> String {
    let driver = match network.driver {
        Driver::Vlan(vid) => format!("VLAN {}", vid.get()),
        Driver::Vxlan(vni) => format!("VNI {}", vni.get()),
    };
    let gateway =
        network.gateway.map_or_else(|| "no gateway".to_owned(), |gateway| format!("gateway {gateway}"));
    format!(
        "{driver}, subnet {}, {gateway}, MTU {}, blocks of /{}",
        network.subnet, network.mtu, network.block_prefix_len
    )
}
