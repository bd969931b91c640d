//! Creates and deletes containers, and takes down what became of each.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use weir_api::v1;
use weir_api::v1::containers_client::ContainersClient;

/// What to create, and how fast.
#[derive(Clone, Debug)]
pub struct Load {
    /// What each container is to be, but for its name.
    pub container: v1::Container,
    /// What all names begin with.
    pub prefix: String,
    /// How many are measured.
    pub count: usize,
    /// How many are created before those, and not measured.
    pub warmup: usize,
    /// How many are begun in a second, however long each takes; `None`: one after another.
    pub rate: Option<f64>,
    /// How long each create and each delete may take.
    pub timeout: Duration,
    /// What each request shows.
    pub authorization: Option<MetadataValue<Ascii>>,
}

/// One create and its delete.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The controller's account of it.
    pub milestones: Vec<v1::Milestone>,
    /// From sending the request to the answer that it is ready.
    pub answered: Duration,
    /// From sending the request to delete it to the answer that it is gone.
    pub gone: Duration,
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Those that were measured, in the order in which they were gone.
    pub samples: Vec<Sample>,
    /// From the first request to the last answer of those.
    pub took: Duration,
    /// It was stopped before all were begun.
    pub stopped: bool,
}

/// A create or a delete failed. Nothing was begun after that, and all that had been was deleted as far as that worked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{name}: {}", status.message())]
pub struct Failed {
    /// The container.
    pub name: String,
    /// What the controller said.
    pub status: Status,
    /// Containers that may still be there.
    pub left: Vec<String>,
}

impl Sample {
    /// When something was reached, since the controller had the head of the request.
    #[must_use]
    pub fn at(&self, name: &str) -> Option<Duration> {
        let milestone = self.milestones.iter().find(|milestone| milestone.name == name)?;
        Some(Duration::from_micros(milestone.at_us))
    }
}

/// Creates and deletes containers until all are done, or until `stop` becomes true; what was begun is always deleted.
///
/// `progress` is told how many are done.
///
/// # Errors
/// [`Failed`], the first.
pub async fn run(
    channel: &Channel,
    load: &Load,
    mut stop: watch::Receiver<bool>,
    progress: impl Fn(usize),
) -> Result<Outcome, Failed> {
    let mut outcome = Outcome::default();
    let (mut names, mut failed, mut done) = (0..load.warmup + load.count, None, 0);
    let (mut under_way, mut begun) = (FuturesUnordered::new(), Instant::now());
    let mut tick = load.rate.map(|rate| {
        let mut tick = interval(Duration::from_secs_f64(1.0 / rate.max(1e-3)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        tick
    });
    loop {
        let may_begin = failed.is_none() && !outcome.stopped;
        if under_way.is_empty() && (!may_begin || names.is_empty()) {
            break;
        }
        let turn = async {
            if let Some(tick) = &mut tick {
                tick.tick().await;
            }
        };
        let is_due = load.rate.is_some() || under_way.is_empty();
        // All branches are cancel safe: a tick or a result that is not taken is there the next time.
        tokio::select! {
            biased;
            // Closed: nobody will stop it.
            changed = stop.changed(), if !outcome.stopped && stop.has_changed().is_ok() => {
                outcome.stopped |= changed.is_ok() && *stop.borrow();
            }
            () = turn, if may_begin && is_due && !names.is_empty() => {
                if let Some(number) = names.next() {
                    if number == load.warmup {
                        begun = Instant::now();
                    }
                    under_way.push(one(channel.clone(), load, number));
                }
            }
            Some((number, result)) = under_way.next() => {
                done += 1;
                progress(done);
                match result {
                    Ok(sample) if number >= load.warmup => outcome.samples.push(sample),
                    Ok(_) => {}
                    Err(error) => failed = Some(merged(failed, error)),
                }
            }
        }
    }
    outcome.took = begun.elapsed();
    failed.map_or(Ok(outcome), Err)
}

/// The first failure, with what all have left.
fn merged(first: Option<Failed>, next: Failed) -> Failed {
    match first {
        None => next,
        Some(mut first) => {
            let left: BTreeSet<String> = first.left.into_iter().chain(next.left).collect();
            first.left = left.into_iter().collect();
            first
        }
    }
}

/// Creates a container, waits until it is ready, and deletes it, also if it never was.
async fn one(channel: Channel, load: &Load, number: usize) -> (usize, Result<Sample, Failed>) {
    let name = format!("{}-{number}", load.prefix);
    let mut client: ContainersClient<Channel> = weir_api::client::containers(channel);
    let pool = load.container.pool.clone();
    let container = v1::Container { name: name.clone(), ..load.container.clone() };
    let start = Instant::now();
    let create = v1::CreateContainerRequest { container: Some(container), wait: true };
    let created = client.create_container(timed(create, load)).await;
    let answered = start.elapsed();
    let start = Instant::now();
    let delete = v1::DeleteContainerRequest { pool, name: name.clone(), wait: true };
    let deleted = client.delete_container(timed(delete, load)).await;
    let gone = start.elapsed();
    let left = match &deleted {
        Ok(_) => Vec::new(),
        // It was never committed, unless nobody knows whether it was.
        Err(status) if status.code() == Code::NotFound => Vec::new(),
        Err(_) => vec![name.clone()],
    };
    let result = match (created, deleted) {
        (Ok(created), Ok(_)) => {
            let milestones = created.into_inner().creation.unwrap_or_default().milestones;
            Ok(Sample { milestones, answered, gone })
        }
        (Err(status), _) | (Ok(_), Err(status)) => Err(Failed { name, status, left }),
    };
    (number, result)
}

fn timed<T>(message: T, load: &Load) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(load.timeout);
    if let Some(token) = &load.authorization {
        request.metadata_mut().insert("authorization", token.clone());
    }
    request
}
