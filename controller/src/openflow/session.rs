//! A session: from a switch's connection to its end, keeping it at what it should hold.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use flowlib::openflow::{FlowStatsRequest, Message, MultipartReplyBody, MultipartRequestBody, PortStatus};
use flowlib::pipeline::table::Table;
use flowlib::segment::id::SegmentId;
use flowlib::segment::plan;
use flowlib::types::{Cookie, NodeId};
use futures::future::try_join_all;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::board::{Board, NoSeat};
use super::converge::{Held, Holdings, Work};
use super::counts::Counts;
use super::event::{FabricEvent, SwitchEvent};
use super::switch::{Committed, Refusal, Switch, SwitchError};
use crate::measure::Milestone;
use crate::measure::journey::Journal;

/// Between two tries of what a switch refused: twice as long each time, up to this.
const RETRY_MAX: Duration = Duration::from_secs(10);
const RETRY_MIN: Duration = Duration::from_millis(500);

/// What all sessions have to do with.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// What switches should hold.
    pub board: Board,
    /// Who is told what switches hold.
    pub lifecycle: mpsc::Sender<SwitchEvent>,
    /// Who is shown packets.
    pub fabric: mpsc::Sender<FabricEvent>,
    /// What is counted.
    pub counts: Counts,
    /// Where the time of creates goes.
    pub journal: Arc<Journal>,
    /// How long a switch may say nothing before it is asked whether it is there, and then before it is given up.
    pub switch_idle: Duration,
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum SessionError {
    /// A request failed.
    #[error(transparent)]
    Switch(#[from] SwitchError),
    /// There is no place for it.
    #[error(transparent)]
    NoSeat(#[from] NoSeat),
    /// The node was deleted.
    #[error("the node is no more")]
    NodeGone,
    /// A refusal that leaving out one owner's flows does not mend.
    #[error("the switch refused a bundle as such: {0}")]
    BundleRefused(String),
    /// The controller is stopping.
    #[error("the controller is stopping")]
    Stopping,
}

/// A switch's session.
#[derive(Debug)]
struct Session {
    node: NodeId,
    switch: Switch,
    around: Surroundings,
    holdings: Holdings,
}

/// Serves a switch until its connection ends, or it cannot be served.
pub(super) async fn serve(
    switch: Switch,
    unasked: mpsc::Receiver<Message>,
    around: Surroundings,
) -> Result<(), SessionError> {
    let Message::FeaturesReply(features) = switch.request("its features", Message::FeaturesRequest).await?
    else {
        return Err(SwitchError::Mismatch("its features").into());
    };
    let datapath = features.datapath_id;
    let mut seated = around.board.seat(datapath)?;
    let node = seated.node;
    around.counts.sessions.add(1);
    tracing::info!(%node, dpid = %datapath, "switch connected");
    around.tell_lifecycle(SwitchEvent::Connected { node }).await?;
    around.tell_fabric(FabricEvent::Up { node, switch: switch.clone() }).await?;
    let mut session =
        Session { node, switch: switch.clone(), around: around.clone(), holdings: Holdings::default() };
    let shown = show(node, unasked, around.clone());
    let result = tokio::select! {
        result = session.run(&mut seated.changed) => result,
        () = shown => Ok(()),
    };
    around.tell_fabric(FabricEvent::Down { node, switch }).await?;
    around.tell_lifecycle(SwitchEvent::Disconnected { node }).await?;
    result
}

/// Hands packet-ins to the fabric and logs what happens to ports, until the connection ends.
async fn show(node: NodeId, mut unasked: mpsc::Receiver<Message>, around: Surroundings) {
    while let Some(message) = unasked.recv().await {
        match message {
            Message::PacketIn(packet) => {
                around.counts.packet_ins.add(1);
                if around.fabric.try_send(FabricEvent::PacketIn { node, packet }).is_err() {
                    around.counts.packet_ins_dropped.add(1);
                }
            }
            // Whether an endpoint's port is there is the agent's to say, which also mends it.
            Message::PortStatus(PortStatus { reason, port }) => {
                tracing::info!(%node, port = %port.port, name = %port.name, %reason, state = ?port.state, "port status");
            }
            other => tracing::debug!(%node, message = other.message_type(), "message that nobody asked for"),
        }
    }
}

impl Surroundings {
    async fn tell_lifecycle(&self, event: SwitchEvent) -> Result<(), SessionError> {
        self.lifecycle.send(event).await.map_err(|_| SessionError::Stopping)
    }

    async fn tell_fabric(&self, event: FabricEvent) -> Result<(), SessionError> {
        self.fabric.send(event).await.map_err(|_| SessionError::Stopping)
    }
}

impl Session {
    async fn run(&mut self, changed: &mut watch::Receiver<()>) -> Result<(), SessionError> {
        changed.mark_unchanged();
        self.read_ledger().await?;
        self.converge().await?;
        self.remove_strange_flows().await?;
        let mut retry = RETRY_MIN;
        let mut retry_at = Instant::now() + retry;
        loop {
            let mut tried = None;
            tokio::select! {
                alive = changed.changed() => alive.map_err(|_| SessionError::NodeGone)?,
                () = tokio::time::sleep_until(retry_at), if !self.holdings.refused.is_empty() => {
                    tried = self.holdings.try_again();
                }
            }
            self.converge().await?;
            match tried {
                Some(owner) if self.holdings.refused.contains_key(&owner) => {
                    retry = (retry * 2).min(RETRY_MAX);
                    retry_at = Instant::now() + retry;
                }
                // What kept it away is gone: perhaps for the others too.
                Some(_) => retry = RETRY_MIN,
                None if self.holdings.refused.is_empty() => {
                    retry = RETRY_MIN;
                    retry_at = Instant::now() + retry;
                }
                None => {}
            }
        }
    }

    /// Compares the switch's ledger with what it should hold.
    async fn read_ledger(&mut self) -> Result<(), SessionError> {
        let wanted = self.around.board.wanted(self.node).segments;
        let rows =
            self.flows("its ledger", FlowStatsRequest::of_table(flowlib::segment::ledger::TABLE)).await?;
        let claims: Vec<_> = rows.iter().filter_map(|row| self.holdings.read_row(row, &wanted)).collect();
        if !self.holdings.strangers.is_empty() {
            let segments = &self.holdings.strangers;
            tracing::info!(node = %self.node, ?segments, "deleting segments that the switch should not have");
        }
        let counts = claims.iter().map(|(id, _)| self.count(cookie_of(*id), SegmentId::COOKIE_MASK.0));
        let counts = try_join_all(counts).await?;
        for ((id, digest), flows) in claims.into_iter().zip(counts) {
            let version = self.around.board.with_segment(id, |segment| {
                let equal = segment.digest() == digest && segment.n_flows() + 1 == flows as usize;
                equal.then(|| segment.version())
            });
            if let Some(version) = version.flatten() {
                self.around.counts.segments_equal.add(1);
                self.holdings.segments.insert(id, Held::At(version));
            }
        }
        Ok(())
    }

    /// Does what is to be done until nothing is left, and tells who waits for it.
    async fn converge(&mut self) -> Result<(), SessionError> {
        loop {
            let wanted = self.around.board.wanted(self.node);
            self.tell_journal(wanted.revision, &[(Milestone::Woken, std::time::Instant::now())]);
            let work = self.plan(&wanted.segments).await?;
            if work.is_empty() {
                return self.settled(wanted.revision).await;
            }
            match self.carry_out(&work).await? {
                Ok(committed) => {
                    self.holdings.done(&work, &wanted.segments);
                    if let Some(Committed { sent, barrier, confirmed }) = committed {
                        use Milestone::{Barrier, Confirmed, Sent};
                        let times = [(Sent, sent), (Barrier, barrier), (Confirmed, confirmed)];
                        self.tell_journal(wanted.revision, &times);
                    }
                    let new_endpoints = work.endpoints();
                    let applied = FabricEvent::Applied { node: self.node, new_endpoints };
                    self.around.tell_fabric(applied).await?;
                }
                Err(refused) => {
                    self.holdings.unsure(&work);
                    self.leave_out(refused)?;
                }
            }
        }
    }

    fn tell_journal(&self, revision: u64, milestones: &[(Milestone, std::time::Instant)]) {
        self.around.journal.session(self.node, revision, milestones);
    }

    async fn settled(&mut self, revision: u64) -> Result<(), SessionError> {
        self.around.board.settled(self.node, revision);
        let applied =
            SwitchEvent::Applied { node: self.node, revision, rejected: self.holdings.rejections() };
        self.around.tell_lifecycle(applied).await
    }

    async fn plan(&self, wanted: &BTreeSet<SegmentId>) -> Result<Work, SessionError> {
        let mut work = Work::default();
        let mut has_meters = false;
        self.holdings.plan_deletes(wanted, &mut work);
        for id in wanted {
            let board = &self.around.board;
            let planned = board.with_segment(*id, |segment| self.holdings.plan(segment, None, &mut work));
            if planned == Some(None) {
                let dump = self
                    .flows(
                        "a segment's flows",
                        FlowStatsRequest::by_cookie(cookie_of(*id), SegmentId::COOKIE_MASK.0),
                    )
                    .await?;
                self.around.counts.segments_mended.add(1);
                if !std::mem::replace(&mut has_meters, true) {
                    self.make_meters(wanted).await?;
                }
                board.with_segment(*id, |segment| self.holdings.plan(segment, Some(dump), &mut work));
            }
        }
        Ok(work)
    }

    /// Meters cannot be bundled: they are made before the flows that use them. Those of all segments: flows of one use
    /// the meter of another, and a switch that has lost a meter has lost its flows but not its segment's row.
    async fn make_meters(&self, wanted: &BTreeSet<SegmentId>) -> Result<(), SessionError> {
        let of = |id: &SegmentId| self.around.board.with_segment(*id, |segment| segment.meters().to_vec());
        for bytes in wanted.iter().filter_map(of).flatten() {
            super::meters::make(&self.switch, &bytes).await?;
        }
        Ok(())
    }

    /// Gives back when the bundles were sent and confirmed, from the first to the last; `None` if there were none.
    async fn carry_out(
        &self,
        work: &Work,
    ) -> Result<Result<Option<Committed>, Vec<(plan::Step, Refusal)>>, SessionError> {
        let mut all: Option<Committed> = None;
        for steps in plan::bundles(work.first.clone(), work.changes.clone(), &work.targets) {
            self.around.counts.flow_mods_sent.add(steps.len() as u64);
            let committed = match self.switch.bundle(steps.clone()).await? {
                Ok(committed) => committed,
                Err(refusals) => {
                    self.around.counts.flow_mods_refused.add(refusals.len() as u64);
                    let mut refused = Vec::new();
                    for refusal in refusals {
                        match refusal.step.and_then(|nth| steps.get(nth)) {
                            Some(step) => refused.push((step.clone(), refusal)),
                            None => return Err(SessionError::BundleRefused(refusal.error.to_string())),
                        }
                    }
                    return Ok(Err(refused));
                }
            };
            let took = committed.confirmed - committed.sent;
            let (n_steps, bundle_us) = (steps.len(), took.as_micros());
            tracing::debug!(node = %self.node, n_steps, bundle_us, "bundle confirmed");
            self.around.counts.bundle.observe(took.as_secs_f64());
            self.around.counts.bundles_committed.add(1);
            all = Some(Committed { sent: all.map_or(committed.sent, |all| all.sent), ..committed });
        }
        Ok(Ok(all))
    }

    fn leave_out(&mut self, refused: Vec<(plan::Step, Refusal)>) -> Result<(), SessionError> {
        let mut left_out = false;
        for (step, refusal) in refused {
            let error = refusal.error.to_string();
            tracing::warn!(node = %self.node, %error, flow = %describe(&step), "the switch refused a flow");
            left_out |= self.holdings.refuse(&step, format!("{error}: {}", describe(&step)));
        }
        if left_out { Ok(()) } else { Err(SessionError::BundleRefused("nothing to leave out".to_owned())) }
    }

    /// Deletes flows that belong to no segment. Cheap if there are none: one count.
    async fn remove_strange_flows(&mut self) -> Result<(), SessionError> {
        let expected: usize = self
            .holdings
            .segments
            .keys()
            .filter_map(|id| self.around.board.with_segment(*id, |segment| segment.n_flows() + 1))
            .sum();
        // What is refused is not counted.
        let sure = self.holdings.refused.is_empty();
        if sure && self.count(Cookie(0), 0).await? as usize == expected {
            return Ok(());
        }
        let all = self.flows("all its flows", FlowStatsRequest::by_cookie(Cookie(0), 0)).await?;
        let mut work = Work::default();
        for flow in all {
            let known = SegmentId::of(flow.cookie).is_some_and(|id| self.holdings.segments.contains_key(&id));
            if !known {
                let entry = flowlib::segment::Entry::new(flow);
                tracing::warn!(node = %self.node, flow = %describe(&entry.add), "deleting a flow that is nobody's");
                work.changes.push(flowlib::segment::Change::Delete(entry.into()));
            }
        }
        match self.carry_out(&work).await? {
            Ok(_) => Ok(()),
            Err(_) => Err(SessionError::BundleRefused("strange flows stay".to_owned())),
        }
    }

    async fn flows(
        &self,
        what: &'static str,
        request: FlowStatsRequest,
    ) -> Result<Vec<flowlib::openflow::Flow>, SessionError> {
        match self.switch.multipart(what, MultipartRequestBody::Flow(request)).await? {
            MultipartReplyBody::Flow(flows) => Ok(flows.into_iter().map(|stats| stats.flow).collect()),
            _ => Err(SwitchError::Mismatch(what).into()),
        }
    }

    async fn count(&self, cookie: Cookie, mask: u64) -> Result<u32, SessionError> {
        let what = "how many flows it has";
        let request = MultipartRequestBody::Aggregate(FlowStatsRequest::by_cookie(cookie, mask));
        match self.switch.multipart(what, request).await? {
            MultipartReplyBody::Aggregate(stats) => Ok(stats.flow_count),
            _ => Err(SwitchError::Mismatch(what).into()),
        }
    }
}

fn cookie_of(id: SegmentId) -> Cookie {
    Cookie(u64::from(id.number()) << 32)
}

/// Which flow a flow mod is about, by its cookie, table and priority.
fn describe(step: &[u8]) -> String {
    let Ok((_, Message::FlowMod(flow_mod))) = Message::decode(step) else {
        return "not a flow mod".to_owned();
    };
    let table = Table::from_id(flow_mod.table).map_or("all tables", Table::name);
    format!("table {table}, priority {}, cookie {}", flow_mod.priority, flow_mod.cookie)
}
