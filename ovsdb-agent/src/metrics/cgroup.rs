//! What a container's control groups say of all that is in them.
//!
//! In version 1 there is one hierarchy for each controller, `/sys/fs/cgroup/CONTROLLER`; in version 2 that folder is the
//! only one. A controller that is in no hierarchy of version 1 is looked for in version 2, so mixed ones are read too.
//! What a file does not say is left out.
//!
//! Source: the kernel's Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use procfs::{ProcResult, ProcessCGroup, ProcessCGroups, process::Process};

/// What a container uses, and may use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processor time in seconds, all, and in user and kernel mode.
    pub cpu: [Option<f64>; 3],
    /// Periods in which its processor time was limited, those in which it was held back, and for how many seconds.
    pub throttled: [Option<f64>; 3],
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Those of them that the kernel does not drop as soon as there is need: without inactive files.
    pub working_set: Option<u64>,
    /// Those of anonymous memory.
    pub resident: Option<u64>,
    /// Those of files.
    pub cache: Option<u64>,
    /// Bytes of memory it may use; `None`: any.
    pub memory_limit: Option<u64>,
    /// How often something in it was killed for want of memory.
    pub oom_kills: Option<u64>,
    /// Processes.
    pub processes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Threads it may have; `None`: any.
    pub threads_limit: Option<u64>,
    /// What it read from and wrote to devices; `None`: nobody counts that here.
    pub disks: Option<BTreeMap<String, Disk>>,
    /// When its first process started, in seconds since 1970.
    pub started: Option<f64>,
    /// When this was read.
    pub at: Option<SystemTime>,
}

/// Reads from and writes to a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
}

/// Where the control groups are.
#[derive(Clone, Debug)]
pub struct Groups {
    root: PathBuf,
}

/// A controller's folder for a process, in either version.
enum Folder {
    V1(PathBuf),
    V2(PathBuf),
}

impl Default for Groups {
    fn default() -> Self {
        Self { root: "/sys/fs/cgroup".into() }
    }
}

impl Groups {
    /// What the control groups of a container say, of which that is a process, and the name of the one that its memory is
    /// counted in, which is what cAdvisor calls a container's id. `None`: the process is not the container's.
    ///
    /// # Errors
    /// There is no such process.
    pub fn read(&self, pid: u32, container: &str) -> ProcResult<Option<(String, Usage)>> {
        let process = Process::new(i32::try_from(pid).unwrap_or(i32::MAX))?;
        let groups = process.cgroups()?;
        let Some(name) = name(&groups, container) else { return Ok(None) };
        let started = procfs::boot_time_secs().ok().zip(process.stat().ok()).map(|(boot, stat)| {
            #[expect(clippy::cast_precision_loss, reason = "times in ticks are far below 2^53")]
            let seconds = boot as f64 + stat.starttime as f64 / procfs::ticks_per_second() as f64;
            seconds
        });
        // What grows is read right after that.
        let at = Some(SystemTime::now());
        Ok(Some((name, Usage { started, at, ..self.usage(&groups, container) })))
    }

    fn usage(&self, groups: &ProcessCGroups, container: &str) -> Usage {
        let mut usage = Usage::default();
        let folder = |controller| self.folder(groups, controller, container);
        folder("cpuacct").iter().for_each(|folder| read_cpu(folder, &mut usage));
        folder("cpu").iter().for_each(|folder| read_throttled(folder, &mut usage));
        folder("memory").iter().for_each(|folder| read_memory(folder, &mut usage));
        folder("pids").iter().for_each(|folder| read_processes(folder, &mut usage));
        usage.disks = folder("blkio").and_then(|folder| disks(&folder));
        usage
    }

    fn folder(&self, groups: &ProcessCGroups, controller: &str, container: &str) -> Option<Folder> {
        let group = group(groups, controller)?;
        let pathname = own(&group.pathname, container)?.trim_start_matches('/');
        Some(match group.hierarchy {
            0 => Folder::V2(self.root.join(pathname)),
            _ => Folder::V1(self.root.join(controller).join(pathname)),
        })
    }
}

/// The container's group that its memory is counted in.
fn name(groups: &ProcessCGroups, container: &str) -> Option<String> {
    own(&group(groups, "memory")?.pathname, container).map(str::to_owned)
}

/// A process's group in a controller's hierarchy, or else in that of version 2.
fn group<'a>(groups: &'a ProcessCGroups, controller: &str) -> Option<&'a ProcessCGroup> {
    let is_its = |group: &&ProcessCGroup| group.controllers.iter().any(|name| name == controller);
    groups.0.iter().find(is_its).or_else(|| groups.0.iter().find(|group| group.hierarchy == 0))
}

/// The group of the container itself, which has Docker's id in its name: a process may be in one that was made below it.
fn own<'a>(pathname: &'a str, container: &str) -> Option<&'a str> {
    let at = pathname.find(container)?;
    let end = pathname.get(at..)?.find('/').map_or(pathname.len(), |n| at.saturating_add(n));
    pathname.get(..end)
}

fn read_cpu(folder: &Folder, usage: &mut Usage) {
    usage.cpu = match folder {
        Folder::V1(folder) => {
            let modes = table(folder, "cpuacct.stat");
            let ticks = scaled(procfs::ticks_per_second());
            let mode = |name| modes.get(name).map(|n| scaled(*n) / ticks);
            [number(folder, "cpuacct.usage").map(|ns| scaled(ns) / 1e9), mode("user"), mode("system")]
        }
        Folder::V2(folder) => {
            let stat = table(folder, "cpu.stat");
            ["usage_usec", "user_usec", "system_usec"].map(|name| stat.get(name).map(|us| scaled(*us) / 1e6))
        }
    };
}

fn read_throttled(folder: &Folder, usage: &mut Usage) {
    let (folder, time, per_second) = match folder {
        Folder::V1(folder) => (folder, "throttled_time", 1e9),
        Folder::V2(folder) => (folder, "throttled_usec", 1e6),
    };
    let stat = table(folder, "cpu.stat");
    let count = |name| stat.get(name).copied().map(scaled);
    usage.throttled = [count("nr_periods"), count("nr_throttled"), count(time).map(|time| time / per_second)];
}

fn read_memory(folder: &Folder, usage: &mut Usage) {
    let (folder, [used, limit, events], [inactive, resident, cache]) = match folder {
        Folder::V1(folder) => (
            folder,
            ["memory.usage_in_bytes", "memory.limit_in_bytes", "memory.oom_control"],
            ["total_inactive_file", "total_rss", "total_cache"],
        ),
        Folder::V2(folder) => {
            (folder, ["memory.current", "memory.max", "memory.events"], ["inactive_file", "anon", "file"])
        }
    };
    let stat = table(folder, "memory.stat");
    usage.memory = number(folder, used);
    let inactive = stat.get(inactive).copied().unwrap_or(0);
    usage.working_set = usage.memory.map(|used| used.saturating_sub(inactive));
    usage.resident = stat.get(resident).copied();
    usage.cache = stat.get(cache).copied();
    usage.memory_limit = number(folder, limit).filter(|limit| *limit < UNLIMITED);
    usage.oom_kills = table(folder, events).get("oom_kill").copied();
}

fn read_processes(folder: &Folder, usage: &mut Usage) {
    let (Folder::V1(folder) | Folder::V2(folder)) = folder;
    usage.processes = processes(folder, DEEPEST);
    usage.threads = number(folder, "pids.current");
    usage.threads_limit = number(folder, "pids.max");
}

/// The processes in a group and in those below it, which a file of the group itself does not count.
fn processes(folder: &Path, deepest: u8) -> Option<u64> {
    let own = fs::read_to_string(folder.join("cgroup.procs")).ok()?;
    let mut n = u64::try_from(own.lines().count()).ok()?;
    if let Some(deepest) = deepest.checked_sub(1) {
        let below = fs::read_dir(folder).into_iter().flatten().flatten();
        let groups = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        n = groups.filter_map(|group| processes(&group.path(), deepest)).fold(n, u64::saturating_add);
    }
    Some(n)
}

fn disks(folder: &Folder) -> Option<BTreeMap<String, Disk>> {
    let mut disks: BTreeMap<String, Disk> = BTreeMap::new();
    match folder {
        Folder::V1(folder) => {
            let text =
                |kind| fs::read_to_string(folder.join(format!("blkio.throttle.{kind}_recursive"))).ok();
            let (bytes, times) = (text("io_service_bytes")?, text("io_serviced")?);
            for (device, word, n) in triples(&bytes) {
                let disk = disks.entry(device).or_default();
                match word {
                    "Read" => disk.read_bytes = n,
                    "Write" => disk.written_bytes = n,
                    _ => {}
                }
            }
            for (device, word, n) in triples(&times) {
                let disk = disks.entry(device).or_default();
                match word {
                    "Read" => disk.reads = n,
                    "Write" => disk.writes = n,
                    _ => {}
                }
            }
        }
        Folder::V2(folder) => {
            for line in fs::read_to_string(folder.join("io.stat")).ok()?.lines() {
                let mut words = line.split_whitespace();
                let Some(device) = words.next() else { continue };
                let disk = disks.entry(device_name(device)).or_default();
                for (name, value) in words.filter_map(|word| word.split_once('=')) {
                    let n = value.parse().unwrap_or(0);
                    match name {
                        "rbytes" => disk.read_bytes = n,
                        "wbytes" => disk.written_bytes = n,
                        "rios" => disk.reads = n,
                        "wios" => disk.writes = n,
                        _ => {}
                    }
                }
            }
        }
    }
    Some(disks)
}

/// Lines of the form `254:0 Read 4096`; the last one, of all devices, has no device.
fn triples(text: &str) -> impl Iterator<Item = (String, &str, u64)> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (device, word, n) = (words.next()?, words.next()?, words.next()?);
        Some((device_name(device), word, n.parse().ok()?))
    })
}

/// `/dev/vda` for `254:0`, or the numbers themselves if the device has no name.
fn device_name(numbers: &str) -> String {
    let link = fs::read_link(Path::new("/sys/dev/block").join(numbers)).ok();
    let name = link.as_deref().and_then(Path::file_name);
    name.map_or_else(|| numbers.to_owned(), |name| format!("/dev/{}", name.display()))
}

/// The number that a file consists of; `None` also for `max`.
fn number(folder: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
}

/// The numbers in a file of lines `name number`.
fn table(folder: &Path, file: &str) -> BTreeMap<String, u64> {
    let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| {
        let (name, n) = line.split_once(' ')?;
        Some((name.to_owned(), n.trim().parse().ok()?))
    });
    pairs.collect()
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a double")]
pub(super) fn scaled(n: u64) -> f64 {
    n as f64
}

/// How deep below a container's group its processes are counted.
const DEEPEST: u8 = 8;

/// Version 1 says so for no limit: the largest number of whole pages.
const UNLIMITED: u64 = 1 << 62;

#[cfg(test)]
mod tests {
    use procfs::{FromBufRead, ProcessCGroups};

    use super::*;

    fn groups(text: &str) -> ProcessCGroups {
        ProcessCGroups::from_buf_read(text.as_bytes()).unwrap()
    }

    fn write(folder: &Path, files: &[(&str, &str)]) {
        fs::create_dir_all(folder).unwrap();
        files.iter().for_each(|(name, text)| fs::write(folder.join(name), text).unwrap());
    }

    #[test]
    fn reads_version_2() {
        let root = tempfile::tempdir().unwrap();
        let files = [
            (
                "cpu.stat",
                "usage_usec 3500000\nuser_usec 2000000\nsystem_usec 1500000\nnr_periods 5\nnr_throttled 2\nthrottled_usec 250000\n",
            ),
            ("memory.current", "5000\n"),
            ("memory.max", "max\n"),
            ("memory.stat", "anon 3000\nfile 1500\ninactive_file 1000\n"),
            ("memory.events", "low 0\noom 2\noom_kill 1\n"),
            ("cgroup.procs", "7\n8\n"),
            ("pids.current", "3\n"),
            ("pids.max", "100\n"),
            ("io.stat", "999:7 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n"),
        ];
        write(&root.path().join("docker/4fe8"), &files);
        // The container has made groups of its own, and the process that Docker knows is in one.
        write(
            &root.path().join("docker/4fe8/init.scope"),
            &[("cgroup.procs", "9\n"), ("memory.current", "1\n")],
        );
        let cgroups = groups("0::/docker/4fe8/init.scope\n");
        let usage = Groups { root: root.path().into() }.usage(&cgroups, "4fe8");
        let disk = Disk { read_bytes: 1, written_bytes: 2, reads: 3, writes: 4 };
        let expected = Usage {
            cpu: [Some(3.5), Some(2.0), Some(1.5)],
            throttled: [Some(5.0), Some(2.0), Some(0.25)],
            memory: Some(5000),
            working_set: Some(4000),
            resident: Some(3000),
            cache: Some(1500),
            memory_limit: None,
            oom_kills: Some(1),
            processes: Some(3),
            threads: Some(3),
            threads_limit: Some(100),
            disks: Some(BTreeMap::from([("999:7".to_owned(), disk)])),
            started: None,
            at: None,
        };
        assert_eq!((usage, name(&cgroups, "4fe8").as_deref()), (expected, Some("/docker/4fe8")));
    }

    #[test]
    fn reads_version_1_where_each_controller_has_its_own_path() {
        let root = tempfile::tempdir().unwrap();
        write(
            &root.path().join("cpuacct/c-4fe8"),
            &[("cpuacct.usage", "2500000000\n"), ("cpuacct.stat", "user 0\nsystem 0\n")],
        );
        write(
            &root.path().join("cpu/c-4fe8"),
            &[("cpu.stat", "nr_periods 1\nnr_throttled 1\nthrottled_time 500000000\n")],
        );
        write(
            &root.path().join("memory/m-4fe8.scope"),
            &[
                ("memory.usage_in_bytes", "900\n"),
                ("memory.limit_in_bytes", "9223372036854771712\n"),
                ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"),
                ("memory.stat", "rss 1\ntotal_rss 600\ntotal_cache 300\ntotal_inactive_file 1000\n"),
            ],
        );
        write(
            &root.path().join("blkio/c-4fe8"),
            &[
                (
                    "blkio.throttle.io_service_bytes_recursive",
                    "999:0 Read 10\n999:0 Write 20\n999:0 Total 30\nTotal 30\n",
                ),
                ("blkio.throttle.io_serviced_recursive", "999:0 Read 1\n999:0 Write 2\nTotal 3\n"),
            ],
        );
        let cgroups = groups(
            "7:pids:/c-4fe8\n4:memory:/m-4fe8.scope/x/y\n3:blkio:/c-4fe8\n2:cpu,cpuacct:/c-4fe8/x\n0::/\n",
        );
        let usage = Groups { root: root.path().into() }.usage(&cgroups, "4fe8");
        let disk = Disk { read_bytes: 10, written_bytes: 20, reads: 1, writes: 2 };
        let expected = Usage {
            cpu: [Some(2.5), Some(0.0), Some(0.0)],
            throttled: [Some(1.0), Some(1.0), Some(0.5)],
            memory: Some(900),
            working_set: Some(0),
            resident: Some(600),
            cache: Some(300),
            oom_kills: Some(4),
            disks: Some(BTreeMap::from([("999:0".to_owned(), disk)])),
            ..Usage::default()
        };
        assert_eq!(
            (usage, name(&cgroups, "4fe8").as_deref()),
            (expected, Some("/m-4fe8.scope")),
            "no pids folder: no processes are known"
        );
    }

    #[test]
    fn what_is_not_the_containers_group_says_nothing() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), &[("memory.current", "5000\n")]);
        let all = Groups { root: root.path().into() };
        for other in ["0::/../..\n", "0::/\n", "4:memory:/docker/77aa\n"] {
            let cgroups = groups(other);
            assert_eq!((all.usage(&cgroups, "4fe8"), name(&cgroups, "4fe8")), (Usage::default(), None));
        }
    }

    #[test]
    fn a_process_of_the_container_started_in_the_past_and_another_is_not_the_containers() {
        let groups = Groups::default();
        // The group of this test, whatever it is, in place of a container's.
        let (_, usage) = groups.read(std::process::id(), "/").unwrap().unwrap();
        assert!(usage.started.is_some_and(|started| started > 0.0), "{usage:?}");
        assert!(usage.at.is_some_and(|at| at <= SystemTime::now()), "{usage:?}");
        assert_eq!(groups.read(std::process::id(), "4fe8a1b2").unwrap(), None);
        assert!(groups.read(u32::MAX, "/").is_err());
    }
}
