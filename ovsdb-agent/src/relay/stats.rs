//! What containers use, which the controller wants to know: read here, and told over `RelayStats`.

use std::{sync::Arc, time::SystemTime};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use weir_api::v1::{RelayStatsRequest, StatsReport, Usage, relay_stats_request::Request};

use super::{QUEUE, until_over};
use crate::{
    metrics::{Sample, Sampler, cgroup::Disk},
    northbound::Client,
    runtime::EndpointSpec,
};

/// Reads what those containers use and tells it.
pub async fn relay(sampler: Sampler, client: Client, id: String, specs: Vec<Arc<EndpointSpec>>) {
    let (outgoing, outputs) = mpsc::channel(QUEUE);
    until_over(&id, speak(sampler, id.clone(), specs, outgoing), listen(client, outputs)).await;
}

/// Says whose call it is, then what they use.
async fn speak(
    sampler: Sampler,
    id: String,
    specs: Vec<Arc<EndpointSpec>>,
    outgoing: mpsc::Sender<RelayStatsRequest>,
) {
    let send = |request| outgoing.send(RelayStatsRequest { request: Some(request) });
    // If nobody takes it the call has ended, which the other side notices.
    if send(Request::Id(id)).await.is_ok() {
        let samples = sampler.sample(specs).await;
        let usages = samples.iter().map(|sample| (sample.spec.id, usage(sample))).collect();
        drop(send(Request::Report(StatsReport { usages })).await);
    }
}

/// Opens the call; it ends when the controller ends it.
async fn listen(mut client: Client, outputs: mpsc::Receiver<RelayStatsRequest>) -> Result<(), Status> {
    let mut answers = client.relay_stats(ReceiverStream::new(outputs)).await?.into_inner();
    while answers.message().await?.is_some() {}
    Ok(())
}

/// A sample as the API has it.
fn usage(sample: &Sample) -> Usage {
    let (used, interface) = (sample.usage.as_ref(), sample.interface.as_ref());
    let disks = used.and_then(|used| used.disks.as_ref());
    let sum = |of: fn(&Disk) -> u64| disks.map(|disks| disks.values().map(of).sum());
    let [cpu, ..] = used.map(|used| used.cpu).unwrap_or_default();
    Usage {
        // Traffic alone is only shown as sums.
        time: Some(used.and_then(|used| used.at).unwrap_or_else(SystemTime::now).into()),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a time, which only grows"
        )]
        cpu_us: cpu.map(|seconds| (seconds * 1e6) as u64),
        memory_bytes: used.and_then(|used| used.working_set),
        memory_limit_bytes: used.and_then(|used| used.memory_limit).unwrap_or(0),
        processes: used.and_then(|used| used.processes),
        threads: used.and_then(|used| used.threads),
        oom_kills: used.and_then(|used| used.oom_kills),
        // What the node's end of the interface receives is what the container sends.
        received_bytes: interface.map(|interface| interface.sent.bytes),
        sent_bytes: interface.map(|interface| interface.received.bytes),
        read_bytes: sum(|disk| disk.read_bytes),
        written_bytes: sum(|disk| disk.written_bytes),
    }
}
