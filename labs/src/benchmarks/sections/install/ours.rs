//! Flows by a session of the controller's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use controller::measure::Metrics;
use controller::openflow::board::{Board, Update};
use controller::openflow::{Audit, Counts, Surroundings, SwitchEvent, listen};
use flowlib::segment::id::{Owner, SegmentId};
use flowlib::types::{DatapathId, EndpointId, NodeId};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::bridge::{Bridge, DATAPATH};
use super::{Installed, carrier, flows};

const NODE: NodeId = NodeId(1);
const SEGMENT: SegmentId = SegmentId::Node(NODE);
const PATIENCE: Duration = Duration::from_secs(60);

/// From the moment at which the segment is there to the moment at which the switch has confirmed all of it.
pub(super) async fn install(bridge: &Bridge) -> anyhow::Result<Installed> {
    let listener = bridge.connect()?;
    let board = Board::default();
    let carrier = vec![(Owner::Segment, vec![carrier()])];
    let seats = vec![(NODE, Some(DatapathId(DATAPATH)))];
    let subscriptions = BTreeMap::from([(NODE, BTreeSet::from([SEGMENT]))]);
    let update = Update { seats, subscriptions, ..Update::default() };
    board.publish(1, update.with(SEGMENT, carrier));
    let (lifecycle, mut events) = mpsc::channel(64);
    let (fabric, mut said) = mpsc::channel(64);
    let around = Surroundings {
        board: board.clone(),
        lifecycle,
        fabric,
        counts: Counts::among(&Metrics::default()),
        journal: Arc::default(),
        // It would read what is being measured.
        audit: Audit::new(Duration::from_secs(3600), 1),
        term: 1,
        switch_idle: Duration::from_secs(5),
        learns: false,
        access: None,
    };
    // Threads of their own, as the daemon has: this one may encode while sessions send.
    let sessions = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let listener = {
        let _inside = sessions.enter();
        TcpListener::from_std(listener)?
    };
    sessions.spawn(listen(listener, around));
    sessions.spawn(async move { while said.recv().await.is_some() {} });
    let outcome = async {
        until(&mut events, 1).await?;
        let pings = bridge.ping()?;
        let owners: Vec<_> =
            (1..).zip(flows()).map(|(n, flow)| (Owner::Endpoint(EndpointId(n)), vec![flow])).collect();
        board.publish(2, Update::default().with(SEGMENT, owners));
        let begun = Instant::now();
        until(&mut events, 2).await?;
        Ok((begun.elapsed(), pings.felt()?))
    }
    .await;
    sessions.shutdown_background();
    outcome
}

async fn until(events: &mut mpsc::Receiver<SwitchEvent>, wanted: u64) -> anyhow::Result<()> {
    loop {
        let event = timeout(PATIENCE, events.recv()).await.context("the switch does not confirm")?;
        match event {
            Some(SwitchEvent::Applied { rejected, .. }) if !rejected.is_empty() => {
                bail!("refused: {rejected:?}")
            }
            Some(SwitchEvent::Applied { revision, .. }) if revision >= wanted => return Ok(()),
            Some(_) => {}
            None => bail!("the session has ended"),
        }
    }
}
