//! A session: from a switch's connection to its end, keeping it at what it should hold.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use flowlib::openflow::{ErrorCode, FlowStatsRequest, Message, PortStatus, Role, role::ControllerRole};
use flowlib::pipeline::table::Table;
use flowlib::segment::id::SegmentId;
use flowlib::segment::{Step, ledger, plan};
use flowlib::types::{Cookie, NodeId};
use futures::future::try_join_all;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

use super::audit::Audit;
use super::board::{Board, NoSeat};
use super::complaints::Culprit;
use super::converge::{Held, Holdings, Work};
use super::counts::Counts;
use super::event::{FabricEvent, SwitchEvent};
use super::suspicion::Suspicion;
use super::switch::{Committed, Refusal, Switch, SwitchError};
use super::watch::Watch;
use crate::access::{Access, NodeName, Pass, Refused};
use crate::measure::Milestone;
use crate::measure::journey::Journal;

/// Between two tries of what a switch refused: twice as long each time, up to this.
const RETRY_MAX: Duration = Duration::from_secs(10);
const RETRY_MIN: Duration = Duration::from_millis(500);

/// Flows that deletes of whole segments may take away in one bundle, beside all else that is in it.
const DELETED_AT_ONCE: usize = 100;

/// Packets of one switch that may wait for the network: the others' must not wait behind more.
const PACKETS_WAITING: usize = 64;

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
    /// When each switch's segments are compared with what they should be.
    pub audit: Audit,
    /// The controller's term: switches that have heard of a later one refuse this one.
    pub term: u64,
    /// How long a switch may say nothing before it is asked whether it is there, and then before it is given up.
    pub switch_idle: Duration,
    /// Whether a switch that no node has is served as a learning switch; otherwise it is refused.
    pub learns: bool,
    /// Who says which switch may connect; nobody: all may.
    pub access: Option<Access>,
}

/// What a switch says unasked.
#[derive(Debug)]
pub(super) struct Heard {
    /// Changes of flows by others.
    pub(super) watch: Watch,
    /// All else.
    pub(super) unasked: mpsc::Receiver<Message>,
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
    /// It is not the switch of the node whose certificate it shows, or that node may act no longer.
    #[error(transparent)]
    NotAdmitted(#[from] Refused),
    /// The node was revoked meanwhile.
    #[error("the node is revoked")]
    Revoked,
    /// The node was deleted.
    #[error("the node is no more")]
    NodeGone,
    /// A refusal that leaving out one owner's flows does not mend.
    #[error("the switch refused a bundle as such: {0}")]
    BundleRefused(String),
    /// The switch obeys a controller of a later term.
    #[error("the switch obeys a controller of a later term than {term}")]
    Deposed {
        /// This controller's.
        term: u64,
    },
    /// The controller is stopping.
    #[error("the controller is stopping")]
    Stopping,
}

/// A switch's session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) node: NodeId,
    pub(super) switch: Switch,
    pub(super) around: Surroundings,
    pub(super) holdings: Holdings,
    pub(super) suspicion: Suspicion,
}

/// Serves a switch until its connection ends, or it cannot be served.
///
/// Tells `culprit` which node's it is. `shown` is whose certificate the switch has shown.
pub(super) async fn serve(
    switch: Switch,
    heard: Heard,
    around: Surroundings,
    shown: Option<&NodeName>,
    culprit: &Culprit,
) -> Result<(), SessionError> {
    let Message::FeaturesReply(features) = switch.request("its features", Message::FeaturesRequest).await?
    else {
        return Err(SwitchError::Mismatch("its features").into());
    };
    let datapath = features.datapath_id;
    let access = around.access.as_ref();
    let pass = access.map(|access| access.admit_switch(shown, datapath)).transpose()?.flatten();
    let mut seated = around.board.seat(datapath)?;
    let node = seated.node;
    culprit.is(node);
    let result = match take_charge(&switch, around.term).await {
        Ok(()) => {
            around.counts.sessions.add(1);
            tracing::info!(%node, dpid = %datapath, term = around.term, "switch connected");
            converse(node, switch, heard, &around, (&mut seated.changed, pass.as_ref(), culprit)).await
        }
        Err(error) => Err(error.into()),
    };
    let result = result.map_err(|error| error.or_deposed(around.term));
    if let Err(SessionError::Deposed { .. }) = result {
        around.counts.sessions_deposed.add(1);
        around.tell_lifecycle(SwitchEvent::Deposed { node }).await?;
    }
    result
}

/// Becomes the switch's primary controller: one of an earlier term is refused everything from then on.
async fn take_charge(switch: &Switch, term: u64) -> Result<(), SwitchError> {
    let role = Role { role: ControllerRole::PRIMARY, generation_id: term };
    switch.request("the primary role", Message::RoleRequest(role)).await.map(drop)
}

async fn converse(
    node: NodeId,
    switch: Switch,
    heard: Heard,
    around: &Surroundings,
    (changed, pass, culprit): (&mut watch::Receiver<()>, Option<&Pass>, &Culprit),
) -> Result<(), SessionError> {
    around.tell_lifecycle(SwitchEvent::Connected { node }).await?;
    around.tell_fabric(FabricEvent::Up { node, switch: switch.clone() }).await?;
    let Heard { watch, unasked } = heard;
    let mut session = Session {
        node,
        switch: switch.clone(),
        around: around.clone(),
        holdings: Holdings::default(),
        suspicion: Suspicion::default(),
    };
    let result = tokio::select! {
        result = session.run(changed, &watch) => result,
        result = show(node, unasked, around, culprit) => result,
        () = cut(pass) => Err(SessionError::Revoked),
    };
    around.tell_fabric(FabricEvent::Down { node, switch }).await?;
    around.tell_lifecycle(SwitchEvent::Disconnected { node }).await?;
    result
}

/// Waits until the switch is to be cut off.
async fn cut(pass: Option<&Pass>) {
    match pass {
        Some(pass) => pass.cut().cancelled().await,
        None => std::future::pending().await,
    }
}

/// Hands packet-ins to the fabric and logs what happens to ports, until the connection ends.
async fn show(
    node: NodeId,
    mut unasked: mpsc::Receiver<Message>,
    around: &Surroundings,
    culprit: &Culprit,
) -> Result<(), SessionError> {
    let places = Arc::new(Semaphore::new(PACKETS_WAITING));
    while let Some(message) = unasked.recv().await {
        match message {
            Message::PacketIn(packet) => {
                around.counts.packet_ins.add(1);
                if let Ok(place) = places.clone().try_acquire_owned() {
                    // Its queue is larger than a switch's share, so that it is full only if many flood.
                    if around.fabric.try_send(FabricEvent::PacketIn { node, packet, place }).is_ok() {
                        continue;
                    }
                } else {
                    culprit.floods();
                }
                around.counts.packet_ins_dropped.add(1);
            }
            // Whether an endpoint's port is there is the agent's to say, which also mends it.
            Message::PortStatus(PortStatus { reason, port }) => {
                tracing::info!(%node, port = %port.port, name = %port.name, %reason, state = ?port.state, "port status");
            }
            Message::RoleStatus(status) if status.role == ControllerRole::SECONDARY => {
                return Err(SessionError::Deposed { term: around.term });
            }
            other => tracing::debug!(%node, message = other.message_type(), "message that nobody asked for"),
        }
    }
    Ok(())
}

impl SessionError {
    /// Named as what it is, if the switch refused something because it has another primary controller.
    fn or_deposed(self, term: u64) -> Self {
        match self {
            Self::Switch(SwitchError::Refused { error, .. }) if is_of_deposed(error.code) => {
                Self::Deposed { term }
            }
            other => other,
        }
    }
}

fn is_of_deposed(code: ErrorCode) -> bool {
    code == ErrorCode::OFPRRFC_STALE || code == ErrorCode::OFPBRC_IS_SECONDARY
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
    async fn run(&mut self, changed: &mut watch::Receiver<()>, watch: &Watch) -> Result<(), SessionError> {
        changed.mark_unchanged();
        // Boxed, as all that is done now and then: what it takes is not kept while the switch is at rest.
        Box::pin(self.begin()).await?;
        let mut retry = RETRY_MIN;
        let mut retry_at = Instant::now() + retry;
        let mut turn = Box::pin(self.around.audit.turn(self.holdings.segments.len() + 1));
        loop {
            let mut tried = None;
            tokio::select! {
                alive = changed.changed() => alive.map_err(|_| SessionError::NodeGone)?,
                () = tokio::time::sleep_until(retry_at), if !self.holdings.refused.is_empty() => {
                    tried = self.holdings.try_again();
                }
                () = watch.changed() => {
                    self.suspect(watch.take());
                    continue;
                }
                () = tokio::time::sleep_until(self.suspicion.look_at()), if self.suspicion.is_any() => {
                    Box::pin(self.look()).await?;
                    continue;
                }
                front = &mut turn => {
                    Box::pin(self.audit(front)).await?;
                    turn = Box::pin(self.around.audit.turn(self.holdings.segments.len() + 1));
                    continue;
                }
            }
            Box::pin(self.converge()).await?;
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

    /// Brings a switch of which nothing is known to what it should hold.
    async fn begin(&mut self) -> Result<(), SessionError> {
        let _turn = self.around.board.turns().take().await;
        // First, so that nothing is changed unseen between a look and the reports.
        self.watch_flows().await?;
        let strange = self.mend_fixtures().await?;
        self.read_ledger().await?;
        self.converge().await?;
        if self.counts_agree().await? != Some(true) {
            self.remove_strange_flows().await?;
        }
        self.switch.confirmed("a meter or group that is nobody's", strange).await?;
        Ok(())
    }

    /// Compares the switch's ledger with what it should hold.
    async fn read_ledger(&mut self) -> Result<(), SessionError> {
        let wanted = self.around.board.wanted(self.node).segments;
        let rows = self.switch.flows("its ledger", FlowStatsRequest::of_table(ledger::TABLE)).await?;
        let claims: Vec<_> = rows.iter().filter_map(|row| self.holdings.read_row(row, &wanted)).collect();
        if !self.holdings.strangers.is_empty() {
            let segments = &self.holdings.strangers;
            tracing::info!(node = %self.node, ?segments, "deleting segments that the switch should not have");
        }
        let counts = claims.iter().map(|(id, _)| self.count(id.number()));
        let counts = try_join_all(counts).await?;
        for ((id, digest), flows) in claims.into_iter().zip(counts) {
            let version = self.around.board.with_segment(id, |segment| {
                let equal = segment.digest() == digest && segment.n_flows() + 1 == flows;
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
    pub(super) async fn converge(&mut self) -> Result<(), SessionError> {
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
        self.plan_deletes(wanted, &mut work).await?;
        let mut has_fixtures = false;
        for id in wanted {
            let board = &self.around.board;
            let planned = board.with_segment(*id, |segment| self.holdings.plan(segment, None, &mut work));
            if planned == Some(None) {
                let dump = self.dump(id.number()).await?;
                self.around.counts.segments_mended.add(1);
                // Those of all segments: flows of one use the meter of another.
                if !std::mem::replace(&mut has_fixtures, true) {
                    self.mend_fixtures().await?;
                }
                board.with_segment(*id, |segment| self.holdings.plan(segment, Some(&dump), &mut work));
            }
        }
        Ok(work)
    }

    /// One message deletes a segment, however many flows that are: what would hold up packets for long is deleted flow
    /// by flow, its row first.
    async fn plan_deletes(&self, wanted: &BTreeSet<SegmentId>, work: &mut Work) -> Result<(), SessionError> {
        let leaving = self.holdings.leaving(wanted);
        let counts = try_join_all(leaving.iter().map(|number| self.count(*number))).await?;
        if counts.into_iter().sum::<usize>() <= DELETED_AT_ONCE {
            work.first.extend(leaving.into_iter().map(ledger::delete_all));
            return Ok(());
        }
        for number in leaving {
            work.first.push(ledger::delete_row(number));
            work.first.extend(plan::deletes(self.dump(number).await?));
        }
        Ok(())
    }

    /// Gives back when the bundles were sent and confirmed, from the first to the last; `None` if there were none.
    pub(super) async fn carry_out(
        &self,
        work: &Work,
    ) -> Result<Result<Option<Committed>, Vec<(Step, Refusal)>>, SessionError> {
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
                            None if is_of_deposed(refusal.error.code) => {
                                return Err(SessionError::Deposed { term: self.around.term });
                            }
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

    fn leave_out(&mut self, refused: Vec<(Step, Refusal)>) -> Result<(), SessionError> {
        let mut left_out = false;
        for (step, refusal) in refused {
            let error = refusal.error.to_string();
            tracing::warn!(node = %self.node, %error, flow = %describe(&step), "the switch refused a flow");
            left_out |= self.holdings.refuse(&step, format!("{error}: {}", describe(&step)));
        }
        if left_out { Ok(()) } else { Err(SessionError::BundleRefused("nothing to leave out".to_owned())) }
    }

    /// What adds the flows that the switch holds of a segment number.
    pub(super) async fn dump(&self, number: u32) -> Result<Vec<Step>, SwitchError> {
        let request = FlowStatsRequest::by_cookie(cookie_of(number), SegmentId::COOKIE_MASK.0);
        let what = "a segment's flows";
        let flows = self.switch.flows(what, request).await?;
        flows.iter().map(Step::of_switch).collect::<Option<_>>().ok_or(SwitchError::Mismatch(what))
    }

    /// How many those are.
    async fn count(&self, number: u32) -> Result<usize, SwitchError> {
        self.switch.count(cookie_of(number), SegmentId::COOKIE_MASK.0).await
    }
}

fn cookie_of(number: u32) -> Cookie {
    Cookie(u64::from(number) << 32)
}

/// Which flow a flow mod is about, by its cookie, table and priority.
fn describe(step: &Step) -> String {
    let table = Table::from_id(step.table()).map_or("all tables", Table::name);
    format!("table {table}, priority {}, cookie {}", step.priority(), step.cookie())
}
