//! What this process uses of the machine, under the names that every client library of Prometheus gives.

use procfs::ProcResult;
use procfs::process::Process;

use crate::{Family, Reading, Unit, Value};

/// Memory, processor time, threads and files; nothing where `/proc` does not say.
pub(crate) fn families() -> Vec<Family> {
    let all = match read() {
        Ok(all) => all.to_vec(),
        Err(error) => {
            tracing::debug!(%error, "the process's own figures cannot be read");
            Vec::new()
        }
    };
    all.into_iter().map(Family::from).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a double; none of these comes near 2^53")]
fn read() -> ProcResult<[Reading; 4]> {
    let process = Process::myself()?;
    let (stat, files) = (process.stat()?, process.fd_count()?);
    let cpu = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
    let resident = (stat.rss * procfs::page_size()) as f64;
    Ok([
        Reading {
            name: "process_resident_memory",
            help: "Resident memory size",
            unit: Some(Unit::Bytes),
            value: Value::Gauge(resident),
        },
        Reading {
            name: "process_cpu",
            help: "User and system processor time",
            unit: Some(Unit::Seconds),
            value: Value::Counter(cpu),
        },
        Reading {
            name: "process_threads",
            help: "Threads",
            unit: None,
            value: Value::Gauge(stat.num_threads as f64),
        },
        Reading {
            name: "process_open_fds",
            help: "Open file descriptors",
            unit: None,
            value: Value::Gauge(files as f64),
        },
    ])
}
