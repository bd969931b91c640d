//! What a pool uses of what it may.

use crate::intent::model::{Pool, Quota, Resources};
use crate::intent::{Refusal, State};

use super::containers::DOCKER;

/// What a pool uses, in the terms of its quota. What is being deleted counts until it is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Containers.
    pub containers: u64,
    /// Thousandths of a processor.
    pub cpu_millis: u64,
    /// Bytes of memory.
    pub memory_bytes: u128,
    /// Addresses of its networks that endpoints have.
    pub addresses: u64,
}

/// What a pool uses.
#[must_use]
pub fn used(state: &State, pool: &Pool) -> Used {
    let members = state.members(pool.id);
    let addresses = members.networks.iter().map(|network| state.space(*network).used.len() as u64);
    Used {
        containers: members.containers as u64,
        cpu_millis: members.allocated.cpu_millis,
        memory_bytes: members.allocated.memory_bytes,
        addresses: addresses.sum(),
    }
}

/// Whether one more container, with those limits, is within the pool's quota.
///
/// # Errors
/// [`Refusal::Exhausted`], with the quota, what is used of it and what is asked for. [`Refusal::Precondition`]: the pool has
/// a quota of what the container, run by Docker, sets no limit for.
pub(super) fn check(state: &State, pool: &Pool, runtime: &str, asked: Resources) -> Result<(), Refusal> {
    let Quota { containers, cpu_millis, memory_bytes, addresses } = pool.quota;
    if pool.quota == Quota::default() {
        return Ok(());
    }
    let used = used(state, pool);
    let exhausted = |what: &str, limit: &str, used: &str, asked: &str| {
        Err(Refusal::Exhausted(format!(
            "the pool `{}` has a quota of {limit} {what}: {used} are used, and {asked} more is asked for",
            pool.name
        )))
    };
    let count = |what: &str, limit: u32, used: u64| {
        if limit > 0 && used >= u64::from(limit) {
            return exhausted(what, &limit.to_string(), &used.to_string(), "1");
        }
        Ok(())
    };
    count("containers", containers, used.containers)?;
    count("addresses", addresses, used.addresses)?;
    let named = [("cpus", "--cpus", cpu_millis > 0 && asked.cpu_millis == 0)];
    let named =
        named.into_iter().chain([("memory", "--memory", memory_bytes > 0 && asked.memory_bytes == 0)]);
    if let Some((what, option, _)) = named.into_iter().find(|(.., lacks)| runtime == DOCKER && *lacks) {
        return Err(Refusal::Precondition(format!(
            "the pool `{}` has a quota of {what}: the container must say how much it may use, as with {option}",
            pool.name
        )));
    }
    // Who asks for none is not kept out by who has too much.
    if cpu_millis > 0
        && asked.cpu_millis > 0
        && used.cpu_millis + u64::from(asked.cpu_millis) > u64::from(cpu_millis)
    {
        let (limit, used) = (cpus(cpu_millis.into()), cpus(used.cpu_millis));
        return exhausted("cpus", &limit, &used, &cpus(asked.cpu_millis.into()));
    }
    if memory_bytes > 0
        && asked.memory_bytes > 0
        && used.memory_bytes + u128::from(asked.memory_bytes) > u128::from(memory_bytes)
    {
        let (limit, used) = (memory_bytes.to_string(), used.memory_bytes.to_string());
        return exhausted("bytes of memory", &limit, &used, &asked.memory_bytes.to_string());
    }
    Ok(())
}

/// Thousandths of processors as processors, for example `1.5`.
fn cpus(millis: u64) -> String {
    let text = format!("{}.{:03}", millis / 1000, millis % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::pools::{self, Change, PoolSpec, QuotaChange};
    use super::super::{containers::NETNS, networks};
    use super::*;
    use crate::intent::Transaction;
    use crate::intent::model::{Container, Endpoint, RestartPolicy};
    use flowlib::compile::model::{EndpointId, NodeId};
    use flowlib::types::{MacAddr, PortNo};

    /// A pool with a network, and so many containers of half a processor and 100 bytes each.
    fn world(quota: Quota, n: u8) -> State {
        let mut state = State::default();
        let mut tx = Transaction::new(&mut state);
        pools::create(&mut tx, PoolSpec { name: "p".to_owned(), quota, ..PoolSpec::default() }).unwrap();
        let spec = networks::NetworkSpec {
            pool: "p".to_owned(),
            name: "n".to_owned(),
            driver: "vxlan".to_owned(),
            subnet: "10.0.0.0/24".parse().unwrap(),
            ..networks::NetworkSpec::default()
        };
        let network = networks::create(&mut tx, &spec).unwrap();
        for number in 1..=n {
            tx.put(Container {
                pool: network.pool,
                name: format!("c{number}"),
                image: "i".to_owned(),
                runtime: DOCKER.to_owned(),
                command: Vec::new(),
                environment: Default::default(),
                resources: ASKED,
                restart: RestartPolicy::No,
                stop_timeout_s: 1,
                constraints: Vec::new(),
                affinities: Vec::new(),
                pinned: false,
                stopped: false,
                starts: 0,
                health: None,
                mounts: Vec::new(),
                replica_of: None,
                service: String::new(),
                labels: Default::default(),
                endpoint: Endpoint {
                    id: EndpointId(number.into()),
                    network: network.id,
                    address: [10, 0, 0, number].into(),
                    mac: MacAddr([2, 0, 0, 0, 0, number]),
                    node: NodeId(1),
                    ofport: PortNo(1024),
                },
                deleting: false,
                request_key: String::new(),
                revision: 0,
            });
        }
        state
    }

    const ASKED: Resources = Resources { cpu_millis: 500, memory_bytes: 100, pids: 0 };

    fn refusal(quota: Quota, n: u8, runtime: &str, asked: Resources) -> Option<String> {
        let state = world(quota, n);
        let pool = pools::find(&state, "p").unwrap();
        check(&state, pool, runtime, asked).err().map(|refusal| refusal.to_string())
    }

    #[test]
    fn each_quota_is_reached_and_named_with_limit_and_use() {
        for (quota, says) in [
            (Quota { containers: 3, ..Quota::default() }, "3 containers: 3 are used, and 1 more"),
            (Quota { addresses: 3, ..Quota::default() }, "3 addresses: 3 are used, and 1 more"),
            (Quota { cpu_millis: 1750, ..Quota::default() }, "1.75 cpus: 1.5 are used, and 0.5 more"),
            (
                Quota { memory_bytes: 399, ..Quota::default() },
                "399 bytes of memory: 300 are used, and 100 more",
            ),
        ] {
            assert_eq!(refusal(quota, 2, DOCKER, ASKED), None, "{quota:?}");
            let said = refusal(quota, 3, DOCKER, ASKED).unwrap();
            assert!(said.contains(says), "{said}");
        }
        assert_eq!(refusal(Quota::default(), 200, DOCKER, Resources::default()), None);
    }

    #[test]
    fn what_has_a_quota_must_be_limited_where_there_is_a_process() {
        let quota = Quota { memory_bytes: 1000, ..Quota::default() };
        assert!(refusal(quota, 0, DOCKER, Resources::default()).unwrap().contains("--memory"));
        assert_eq!(refusal(quota, 0, NETNS, Resources::default()), None);
        assert_eq!(refusal(Quota { cpu_millis: 1, ..quota }, 20, NETNS, Resources::default()), None);
    }

    #[test]
    fn a_quota_is_changed_in_part() {
        let mut state = world(Quota { containers: 3, addresses: 9, ..Quota::default() }, 0);
        let mut tx = Transaction::new(&mut state);
        let quota = QuotaChange { containers: Some(0), cpu_millis: Some(500), ..QuotaChange::default() };
        let change = Change { quota, ..Change::default() };
        let pool = pools::update(&mut tx, "p", change.clone()).unwrap();
        assert_eq!(pool.quota, Quota { containers: 0, cpu_millis: 500, memory_bytes: 0, addresses: 9 });
        let nowhere = pools::update(&mut tx, "q", change).unwrap_err();
        assert_eq!(nowhere, Refusal::NotFound("there is no pool `q`".to_owned()).of("name"));
    }
}
