//! The node's containers with what they use, and as metrics under cAdvisor's names.
//!
//! Source: google/cadvisor, docs/storage/prometheus.md.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use futures::{StreamExt, stream};
use weir_metrics::{Family, Labels, Unit};

use super::{
    FRESH, PATIENCE, Part, Recent, Troubles,
    cgroup::{Disk, Groups, Usage, scaled},
    switch::Interface,
};
use crate::{
    plugin::Shelf,
    runtime::{EndpointId, EndpointSpec, docker::Docker},
};

/// A container of this node at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The container.
    pub spec: Arc<EndpointSpec>,
    /// Its control group, or its network namespace.
    pub id: String,
    /// What its processes use; `None`: it has none, or it could not be read in time.
    pub usage: Option<Usage>,
    /// Its interface.
    pub interface: Option<Interface>,
}

/// Reads what containers use. Copies share what is remembered.
#[derive(Clone, Debug)]
pub(super) struct Containers {
    docker: Docker,
    /// Which of Docker's own containers is in which endpoint.
    shelf: Shelf,
    groups: Groups,
    /// The first process of each container of Docker's, so that Docker is not asked for it again and again.
    processes: Arc<Mutex<HashMap<String, u32>>>,
    /// Those that are being read: one that hangs in the kernel is not read a second time meanwhile.
    reading: Arc<Mutex<HashSet<String>>>,
}

/// What was read last, for whoever asks right after.
#[derive(Debug, Default)]
pub(super) struct Last {
    /// Docker's ids of the containers whose process runs.
    running: Recent<HashMap<EndpointId, String>>,
    /// The group and usage of each by that id, and until when it counts; `None`: nothing was known of it in time.
    usages: HashMap<String, (Instant, Option<Read>)>,
}

/// A container's group, and what it uses.
type Read = (String, Usage);

/// Samples of those containers, with what was read of each.
pub(super) fn samples(
    specs: Vec<Arc<EndpointSpec>>,
    interfaces: &[Interface],
    mut usages: HashMap<EndpointId, Read>,
) -> Vec<Sample> {
    let interfaces: HashMap<EndpointId, &Interface> =
        interfaces.iter().filter_map(|interface| Some((interface.endpoint?, interface))).collect();
    let sample = |spec: Arc<EndpointSpec>| {
        let (id, usage) = usages.remove(&spec.id).unzip();
        let id = id.unwrap_or_else(|| format!("/run/netns/weir-{}", spec.id));
        Sample { interface: interfaces.get(&spec.id).copied().cloned(), id, usage, spec }
    };
    specs.into_iter().map(sample).collect()
}

impl Containers {
    pub(super) fn new(docker: Docker, shelf: Shelf) -> Self {
        let groups = Groups::default();
        Self { docker, shelf, groups, processes: Arc::default(), reading: Arc::default() }
    }

    /// The group and the usage of each container that has processes. What is not known in time is left out.
    pub(super) async fn usages(
        &self,
        specs: &[Arc<EndpointSpec>],
        last: &mut Last,
        troubles: &Troubles,
    ) -> HashMap<EndpointId, Read> {
        if !specs.iter().any(|spec| spec.program.is_some() || spec.is_plain) {
            return HashMap::new();
        }
        let Some(mut running) = last.running.get(async { self.docker.running().await.ok() }).await else {
            troubles.note(Part::Docker);
            return HashMap::new();
        };
        running.extend(self.shelf.containers());
        self.forget_all_but(&running);
        let of = |spec: &Arc<EndpointSpec>| running.get(&spec.id).map(|id| (spec.id, id.clone()));
        let wanted: Vec<(EndpointId, String)> = specs.iter().filter_map(of).collect();
        self.refresh(&wanted, &mut last.usages).await;
        let mut usages = HashMap::new();
        for (endpoint, id) in wanted {
            match last.usages.get(&id) {
                Some((_, Some(read))) => drop(usages.insert(endpoint, read.clone())),
                Some((_, None)) | None => troubles.note(Part::Container),
            }
        }
        usages
    }

    /// Reads those containers of which nothing is known that counts still.
    async fn refresh(
        &self,
        wanted: &[(EndpointId, String)],
        known: &mut HashMap<String, (Instant, Option<Read>)>,
    ) {
        let now = Instant::now();
        known.retain(|_, (until, _)| now < *until);
        // A container of Docker's own may be in several endpoints.
        let stale = wanted.iter().filter(|(_, id)| !known.contains_key(id));
        let stale: HashMap<String, EndpointId> =
            stale.map(|(endpoint, id)| (id.clone(), *endpoint)).collect();
        let read = stale.clone().into_iter().map(|(id, endpoint)| async move {
            let read = self.usage(endpoint, &id).await;
            (id, read)
        });
        let in_time = stream::iter(read).buffer_unordered(AT_ONCE).take_until(tokio::time::sleep(PATIENCE));
        let mut read: HashMap<String, Option<Read>> = in_time.collect().await;
        let until = Instant::now() + FRESH;
        for id in stale.into_keys() {
            let read = read.remove(&id).flatten();
            known.insert(id, (until, read));
        }
    }

    /// A container's group and usage; `None` if it has ended, or Docker or the kernel do not say.
    async fn usage(&self, endpoint: EndpointId, id: &str) -> Option<Read> {
        let known = lock(&self.processes).get(id).copied();
        if let Some(read) = self.read(known, id).await {
            return Some(read);
        }
        let process = self.docker.inspect(endpoint, id).await.ok()??.pid;
        let read = self.read(process, id).await?;
        process.map(|process| lock(&self.processes).insert(id.to_owned(), process));
        Some(read)
    }

    /// What a process's groups say, if they are the container's: its number may be another's by now.
    async fn read(&self, process: Option<u32>, id: &str) -> Option<Read> {
        let (process, groups, id) = (process?, self.groups.clone(), id.to_owned());
        let reading = self.reading.clone();
        if !lock(&reading).insert(id.clone()) {
            return None;
        }
        // The kernel may take its time, and whoever asked may have gone by then.
        let read = tokio::task::spawn_blocking(move || {
            let read = groups.read(process, &id).ok().flatten();
            lock(&reading).remove(&id);
            read
        });
        read.await.ok()?
    }

    fn forget_all_but(&self, running: &HashMap<EndpointId, String>) {
        let running: HashSet<&String> = running.values().collect();
        lock(&self.processes).retain(|id, _| running.contains(id));
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The samples as metrics.
pub(super) fn families(samples: &[Sample], node: &str) -> Vec<Family> {
    let labelled: Vec<(Labels, &Sample)> =
        samples.iter().map(|sample| (labels(sample, node), sample)).collect();
    let mut families: Vec<Family> = usage_columns()
        .iter()
        .map(|column| column.family(&labelled, |sample| sample.usage.as_ref()))
        .collect();
    families.extend(traffic_columns().iter().map(|column| {
        let named: Vec<_> =
            labelled.iter().map(|(labels, sample)| (with(labels, "interface", INSIDE), *sample)).collect();
        column.family(&named, |sample| sample.interface.as_ref())
    }));
    families.extend(disk_columns().iter().map(|column| {
        let mut family = column.empty();
        for (labels, sample) in &labelled {
            let disks = sample.usage.as_ref().and_then(|usage| usage.disks.as_ref());
            for (device, disk) in disks.into_iter().flat_map(nothing_yet) {
                family.push(with(labels, "device", &device), (column.of)(&disk).unwrap_or(0.0));
            }
        }
        family
    }));
    families
}

/// The devices, or a nameless one if the container has used none: its numbers are 0.
fn nothing_yet(disks: &BTreeMap<String, Disk>) -> Vec<(String, Disk)> {
    let all: Vec<_> = disks.iter().map(|(device, disk)| (device.clone(), *disk)).collect();
    if all.is_empty() { vec![Default::default()] } else { all }
}

fn labels(sample: &Sample, node: &str) -> Labels {
    let Sample { spec, id, .. } = sample;
    let image = spec.program.as_ref().map(|program| program.image.clone()).unwrap_or_default();
    vec![
        ("id", id.clone()),
        ("name", spec.container.clone()),
        ("image", image),
        ("network", spec.network.clone()),
        ("pool", spec.pool.clone()),
        ("node", node.to_owned()),
    ]
}

fn with(labels: &Labels, name: &'static str, value: &str) -> Labels {
    labels.iter().cloned().chain([(name, value.to_owned())]).collect()
}

/// A metric, and where its number is.
struct Column<T> {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    grows: bool,
    of: fn(&T) -> Option<f64>,
}

impl<T> Column<T> {
    fn gauge(name: &'static str, help: &'static str, of: fn(&T) -> Option<f64>) -> Self {
        Self { name, help, unit: None, grows: false, of }
    }

    fn counter(name: &'static str, help: &'static str, of: fn(&T) -> Option<f64>) -> Self {
        Self { grows: true, ..Self::gauge(name, help, of) }
    }

    fn bytes(self) -> Self {
        Self { unit: Some(Unit::Bytes), ..self }
    }

    fn seconds(self) -> Self {
        Self { unit: Some(Unit::Seconds), ..self }
    }

    fn empty(&self) -> Family {
        let new = if self.grows { Family::counters } else { Family::gauges };
        new(self.name, self.help, self.unit.clone())
    }

    fn family(&self, all: &[(Labels, &Sample)], part: impl Fn(&Sample) -> Option<&T>) -> Family {
        let mut family = self.empty();
        for (labels, sample) in all {
            if let Some(value) = part(sample).and_then(self.of) {
                family.push(labels.clone(), value);
            }
        }
        family
    }
}

fn usage_columns() -> [Column<Usage>; 16] {
    [
        Column::<Usage>::counter("container_cpu_usage", "Processor time", |u| u.cpu[0]).seconds(),
        Column::<Usage>::counter("container_cpu_user", "Processor time in user mode", |u| u.cpu[1]).seconds(),
        Column::<Usage>::counter("container_cpu_system", "Processor time in kernel mode", |u| u.cpu[2])
            .seconds(),
        Column::<Usage>::counter("container_cpu_cfs_periods", "Periods of a limited processor", |u| {
            u.throttled[0]
        }),
        Column::<Usage>::counter("container_cpu_cfs_throttled_periods", "Periods that were cut short", |u| {
            u.throttled[1]
        }),
        Column::<Usage>::counter("container_cpu_cfs_throttled", "Time for which it was held back", |u| {
            u.throttled[2]
        })
        .seconds(),
        Column::<Usage>::gauge("container_memory_usage", "Memory", |u| u.memory.map(scaled)).bytes(),
        Column::<Usage>::gauge("container_memory_working_set", "Memory without inactive files", |u| {
            u.working_set.map(scaled)
        })
        .bytes(),
        Column::<Usage>::gauge("container_memory_rss", "Anonymous memory", |u| u.resident.map(scaled)),
        Column::<Usage>::gauge("container_memory_cache", "Memory of files", |u| u.cache.map(scaled)),
        Column::<Usage>::gauge("container_spec_memory_limit", "Memory it may use; 0: any", |u| {
            Some(scaled(u.memory_limit.unwrap_or(0)))
        })
        .bytes(),
        Column::<Usage>::counter("container_oom_events", "Processes killed for want of memory", |u| {
            u.oom_kills.map(scaled)
        }),
        Column::<Usage>::gauge("container_processes", "Processes", |u| u.processes.map(scaled)),
        Column::<Usage>::gauge("container_threads", "Threads", |u| u.threads.map(scaled)),
        Column::<Usage>::gauge("container_threads_max", "Threads it may have; 0: any", |u| {
            u.threads.map(|_| scaled(u.threads_limit.unwrap_or(0)))
        }),
        Column::<Usage>::gauge("container_start_time", "When it started, since 1970", |u| u.started)
            .seconds(),
    ]
}

/// The node's end of the interface receives what the container sends.
fn traffic_columns() -> [Column<Interface>; 8] {
    [
        Column::<Interface>::counter("container_network_receive", "Bytes received", |i| {
            Some(scaled(i.sent.bytes))
        })
        .bytes(),
        Column::<Interface>::counter("container_network_receive_packets", "Packets received", |i| {
            Some(scaled(i.sent.packets))
        }),
        Column::<Interface>::counter(
            "container_network_receive_packets_dropped",
            "Packets for it that were dropped",
            |i| Some(scaled(i.sent.dropped)),
        ),
        Column::<Interface>::counter(
            "container_network_receive_errors",
            "Packets for it that were damaged",
            |i| Some(scaled(i.sent.errors)),
        ),
        Column::<Interface>::counter("container_network_transmit", "Bytes sent", |i| {
            Some(scaled(i.received.bytes))
        })
        .bytes(),
        Column::<Interface>::counter("container_network_transmit_packets", "Packets sent", |i| {
            Some(scaled(i.received.packets))
        }),
        Column::<Interface>::counter(
            "container_network_transmit_packets_dropped",
            "Packets of it that were dropped",
            |i| Some(scaled(i.received.dropped)),
        ),
        Column::<Interface>::counter(
            "container_network_transmit_errors",
            "Packets of it that were damaged",
            |i| Some(scaled(i.received.errors)),
        ),
    ]
}

fn disk_columns() -> [Column<Disk>; 4] {
    [
        Column::<Disk>::counter("container_fs_reads", "Bytes read", |d| Some(scaled(d.read_bytes))).bytes(),
        Column::<Disk>::counter("container_fs_writes", "Bytes written", |d| Some(scaled(d.written_bytes)))
            .bytes(),
        Column::<Disk>::counter("container_fs_reads", "Reads", |d| Some(scaled(d.reads))),
        Column::<Disk>::counter("container_fs_writes", "Writes", |d| Some(scaled(d.writes))),
    ]
}

/// What a container's interface is called inside.
const INSIDE: &str = "eth0";

/// Containers that are read at the same time.
const AT_ONCE: usize = 16;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use weir_metrics::Metrics;

    use super::{
        super::tests::{sampler, spec},
        *,
    };

    #[tokio::test]
    async fn what_was_just_read_is_told_again_and_later_read_anew() {
        let (folder, metrics) = (tempfile::tempdir().unwrap(), Metrics::default());
        let sampler = sampler(folder.path(), &metrics);
        // Docker has named this test's own process, in whatever group that is, for the container.
        let id = "/".to_owned();
        lock(&sampler.containers.processes).insert(id.clone(), std::process::id());
        let running = HashMap::from([(1, id.clone()), (2, id.clone())]);
        let far = Instant::now() + Duration::from_secs(600);
        let mut last = Last { running: Recent(Some((far, Some(running)))), usages: HashMap::new() };
        let read = async |last: &mut Last| {
            let both = [spec(1, "docker"), spec(2, "docker-plain")];
            let usages = sampler.containers.usages(&both, last, &sampler.troubles).await;
            assert_eq!(usages[&1], usages[&2], "it is in both networks");
            usages[&1].1.at.unwrap()
        };
        let first = read(&mut last).await;
        assert_eq!(read(&mut last).await, first);
        last.usages.get_mut(&id).unwrap().0 = Instant::now();
        assert!(read(&mut last).await > first);
        assert!(
            sampler.containers.usages(&[spec(3, "netns")], &mut last, &sampler.troubles).await.is_empty()
        );
    }
}
