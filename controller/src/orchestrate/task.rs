//! The shell around the lifecycle: takes in events, carries out orders, keeps time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use crate::intent::{IntentError, State};
use crate::openflow::SwitchEvent;

use super::evacuation::{self, Outcome};
use super::lifecycle::{Done, Lifecycle, Notes, Now, Order};
use super::{Inner, Input, QUEUE, containers, now_ms, services};

/// How often addresses that have cooled down are looked for, and how many are forgotten in one commit.
const SWEEP: Duration = Duration::from_secs(10);
const SWEEP_LIMIT: usize = 1000;
/// How long an order waits that the store did not take.
const RETRY: Duration = Duration::from_secs(1);

/// Runs until the last handle to its inputs is gone.
pub(super) async fn run(
    inner: Arc<Inner>,
    mut inputs: mpsc::Receiver<Input>,
    mut switches: mpsc::Receiver<SwitchEvent>,
) {
    let (_, mut commits) = inner.intent.subscribe();
    let mut lifecycle = Lifecycle::new(notes(&inner), inner.timing.lease);
    let mut orders: JoinSet<Option<Done>> = JoinSet::new();
    inner.intent.read(|state| lifecycle.resume(state, Now::read()));
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = lifecycle.next_timeout().map(Instant::from_std);
        // All branches are cancel safe: an event is taken from its channel, or stays there.
        tokio::select! {
            commit = commits.recv() => match commit {
                Ok(commit) => with(&inner, |state| lifecycle.commit(state, &commit, Now::read())),
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "lifecycle is behind, takes up the whole intent again");
                    with(&inner, |state| lifecycle.resume(state, Now::read()));
                }
                Err(RecvError::Closed) => return,
            },
            input = inputs.recv() => match input {
                Some(input) => take(&inner, &mut lifecycle, input),
                None => return,
            },
            Some(event) = switches.recv() => {
                with(&inner, |state| lifecycle.switch(state, event, Now::read()));
            }
            Some(done) = orders.join_next() => match done {
                Ok(Some(done)) => with(&inner, |state| lifecycle.done(state, done, Now::read())),
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "an order has failed"),
            },
            () = async { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {
                judge(&inner, &mut lifecycle, (&mut inputs, &mut switches));
            }
            _ = sweep.tick() => {
                tokio::spawn(sweep_cooling(inner.clone()));
            }
        }
        for order in lifecycle.take_orders() {
            orders.spawn(carry_out(inner.clone(), order));
        }
    }
}

fn take(inner: &Inner, lifecycle: &mut Lifecycle, input: Input) {
    match input {
        Input::Agent { node, session, event } => {
            with(inner, |state| lifecycle.agent(state, (node, session), event, Now::read()));
        }
        Input::Look(look) => with(inner, |state| look(lifecycle, state)),
    }
}

/// Does what the passing of time calls for, after all that waits: who has spoken while the task was busy is not silent.
fn judge(
    inner: &Inner,
    lifecycle: &mut Lifecycle,
    (inputs, switches): (&mut mpsc::Receiver<Input>, &mut mpsc::Receiver<SwitchEvent>),
) {
    for input in waiting(inputs) {
        take(inner, lifecycle, input);
    }
    for event in waiting(switches) {
        with(inner, |state| lifecycle.switch(state, event, Now::read()));
    }
    with(inner, |state| lifecycle.timeout(state, Now::read()));
}

/// What is in a channel already, at most as much as it holds.
fn waiting<T>(channel: &mut mpsc::Receiver<T>) -> impl Iterator<Item = T> + '_ {
    std::iter::from_fn(|| channel.try_recv().ok()).take(QUEUE)
}

fn notes(inner: &Inner) -> Notes {
    Notes {
        board: inner.board.clone(),
        links: inner.links.clone(),
        ports: inner.ports.clone(),
        events: inner.events.clone(),
        journal: inner.journal.clone(),
    }
}

fn with(inner: &Inner, handle: impl FnOnce(&State)) {
    inner.intent.read(handle);
}

/// Changes the intent as ordered; tries again while the store fails, so that nothing stays half-gone. Gives back what
/// became of evacuations and services, whose refusals are the lifecycle's to deal with.
async fn carry_out(inner: Arc<Inner>, order: Order) -> Option<Done> {
    loop {
        let (own, step) = (inner.clone(), order.clone());
        let transact = inner.intent.transact(move |tx| match step {
            Order::Retired(endpoint) => {
                containers::retired(tx, endpoint, now_ms());
                Ok(None)
            }
            Order::ChooseOfport(endpoint, refused) => {
                containers::choose_ofport(tx, endpoint, refused, &own.ports)?;
                Ok(None)
            }
            Order::Evacuate(endpoint) => {
                let outcome = evacuation::evacuate(tx, endpoint, own.surroundings())?;
                Ok(Some(Done::Evacuated(endpoint, outcome)))
            }
            Order::Replicate(steps) => {
                let refusal = services::carry_out(tx, &steps, own.surroundings())?;
                Ok(Some(Done::Replicated(steps.service, refusal)))
            }
        });
        match (transact.await, &order) {
            (Ok(done), _) => return done.value,
            (Err(IntentError::Stopped), _) => return None,
            (Err(IntentError::Refused(refusal)), Order::Evacuate(endpoint)) => {
                return Some(Done::Evacuated(*endpoint, Outcome::Refused(refusal)));
            }
            (Err(error), _) => tracing::warn!(?order, %error, "order not carried out yet, tried again"),
        }
        sleep(RETRY).await;
    }
}

async fn sweep_cooling(inner: Arc<Inner>) {
    let limit_ms = inner.cool_down_ms();
    let over = |state: &State| {
        let mut all = state.networks().flat_map(|network| state.space(network.id).cooling.values());
        all.any(|cooling| now_ms().saturating_sub(cooling.released_ms) >= limit_ms)
    };
    if inner.intent.read(over) {
        let sweep = inner
            .intent
            .transact(move |tx| Ok(containers::sweep_cooling(tx, now_ms(), limit_ms, SWEEP_LIMIT)));
        if let Err(error) = sweep.await {
            tracing::warn!(%error, "addresses that have cooled down are not forgotten yet");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use flowlib::types::DatapathId;

    use super::super::lifecycle::AgentEvent;
    use super::super::nodes::{self, NodeSpec};
    use super::super::pools::{self, PoolSpec};
    use super::super::{Orchestrator, Timing};
    use super::*;
    use crate::intent::Intent;
    use crate::intent::model::Resources;
    use crate::intent::store::embedded::Embedded;

    const LEASE: Duration = Duration::from_secs(1);

    fn node() -> NodeSpec {
        NodeSpec {
            pool: "p".to_owned(),
            name: "n1".to_owned(),
            datapath_id: DatapathId(1),
            tunnel_address: Ipv4Addr::new(172, 31, 0, 1),
            labels: BTreeMap::new(),
            capacity: Resources::default(),
            metrics: None,
        }
    }

    #[tokio::test]
    async fn who_has_spoken_while_the_task_was_busy_is_not_silent() {
        let dir = tempfile::tempdir().unwrap();
        let intent = Intent::start(Embedded::open(&dir.path().join("intent.redb")).unwrap()).unwrap();
        let timing = Timing { cool_down: Duration::ZERO, lease: LEASE };
        let inner = Orchestrator::start(intent.clone(), timing, Arc::default()).0.inner;
        let registered = intent.transact(|tx| {
            pools::create(tx, PoolSpec { name: "p".to_owned(), ..PoolSpec::default() })?;
            nodes::register(tx, node())
        });
        let (node, session) = (registered.await.unwrap().value.id, 1);
        let (say, mut inputs) = mpsc::channel(1);
        let (_connect, mut switches) = mpsc::channel(1);
        for has_spoken in [true, false] {
            let mut lifecycle = Lifecycle::new(Notes::default(), LEASE);
            let attached = AgentEvent::Attached(Arc::default());
            let now = Now::read();
            let long_ago = Now { clock: now.clock - 2 * LEASE, ..now };
            with(&inner, |state| lifecycle.agent(state, (node, session), attached, long_ago));
            if has_spoken {
                let alive = Input::Agent { node, session, event: AgentEvent::KeepAlive };
                assert!(say.try_send(alive).is_ok());
            }
            judge(&inner, &mut lifecycle, (&mut inputs, &mut switches));
            assert_eq!(lifecycle.outbox(node).is_some(), has_spoken);
        }
    }
}
