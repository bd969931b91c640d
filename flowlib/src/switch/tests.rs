use std::time::{Duration, Instant};

use super::*;
use crate::openflow::bundle::BundleControlType;
use crate::openflow::multipart::{FlowEvent, MonitorFlags};
use crate::openflow::oxm::field;
use crate::openflow::{
    BundleAdd, BundleControl, BundleFlags, FlowMod, FlowModCommand, FlowStatsRequest, FlowUpdate, Hello,
    Match, MonitorRequest, MultipartReplyBody, MultipartRequestBody, VERSION,
};
use crate::types::{Cookie, Priority};

/// A switch and its only connection.
struct Bench {
    switch: Switch,
    id: ConnectionId,
    now: Instant,
    last_xid: u32,
}

impl Bench {
    fn new(bodies: &Arc<Bodies>) -> Self {
        let now = Instant::now();
        let limits = BTreeMap::from([(TableId(9), 1)]);
        let channel = channel::Config::default();
        let config = Config { datapath_id: DatapathId(7), limits, channel };
        let mut switch = Switch::new(now, config, bodies.clone());
        let id = switch.connect(now);
        let mut bench = Self { switch, id, now, last_xid: 0 };
        let answers = bench.ask(&Message::Hello(Hello::new(&[VERSION])));
        assert!(matches!(answers[..], [Message::Hello(_)]));
        bench
    }

    /// What is answered to a message.
    fn ask(&mut self, message: &Message) -> Vec<Message> {
        self.tell(message);
        self.answers()
    }

    /// Sends a message, and leaves what comes where it is.
    fn tell(&mut self, message: &Message) {
        self.last_xid += 1;
        let mut bytes = Vec::new();
        message.encode(Xid(self.last_xid), &mut bytes).unwrap();
        self.switch.handle_bytes(self.now, self.id, &bytes);
    }

    fn answers(&mut self) -> Vec<Message> {
        let mut deframer = channel::Deframer::default();
        deframer.push(&self.switch.poll_transmit(self.id).unwrap_or_default());
        let mut answers = Vec::new();
        while let Some(bytes) = deframer.next_message().unwrap() {
            answers.push(Message::decode(bytes).unwrap().1);
        }
        answers
    }

    fn code(&mut self, message: &Message) -> Option<ErrorCode> {
        match &self.ask(message)[..] {
            [] => None,
            [Message::Error(error)] => Some(error.code),
            other => panic!("{other:?}"),
        }
    }
}

fn add(table: u8, port: u32) -> FlowMod {
    FlowMod {
        table: TableId(table),
        priority: Priority(5),
        cookie: Cookie(port.into()),
        flow_match: Match::new().with(field::IN_PORT, port),
        ..FlowMod::default()
    }
}

fn bundled(message: FlowMod) -> Message {
    Message::BundleAdd(BundleAdd::new(3, BundleFlags::ATOMIC, Message::FlowMod(message)))
}

fn control(what: BundleControlType) -> Message {
    Message::BundleControl(BundleControl::new(3, what, BundleFlags::ATOMIC))
}

#[test]
fn switches_share_the_flows_that_they_hold_in_equal_bytes() {
    let bodies = Arc::new(Bodies::new());
    let mut switches = [Bench::new(&bodies), Bench::new(&bodies)];
    for bench in &mut switches {
        assert_eq!(bench.code(&Message::FlowMod(add(1, 1))), None);
        assert_eq!(bench.code(&bundled(add(1, 2))), None);
        bench.ask(&control(BundleControlType::COMMIT_REQUEST));
        assert_eq!(bench.switch.n_flows(), 2);
    }
    let all = MultipartRequestBody::Flow(FlowStatsRequest::default());
    let dumps = switches.map(|mut bench| bench.ask(&Message::MultipartRequest(all.clone().into())));
    assert_eq!(dumps[0], dumps[1]);
    let Message::MultipartReply(reply) = &dumps[0][0] else { panic!("{dumps:?}") };
    assert!(matches!(&reply.body, MultipartReplyBody::Flow(flows) if flows.len() == 2));
}

#[test]
fn a_bundle_that_fails_changes_nothing() {
    let bodies = Arc::new(Bodies::new());
    let mut bench = Bench::new(&bodies);
    bench.ask(&Message::FlowMod(add(1, 1)));
    let mut other = add(1, 1);
    other.cookie = Cookie(77);
    for message in [other, add(9, 1), add(9, 2)] {
        assert_eq!(bench.code(&bundled(message)), None);
    }
    let answers = bench.ask(&control(BundleControlType::COMMIT_REQUEST));
    let codes: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Message::Error(error) => error.code,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(codes, [ErrorCode::OFPFMFC_TABLE_FULL, ErrorCode::OFPBFC_MSG_FAILED]);
    assert_eq!(bench.switch.n_flows(), 1);
    let held = bench.switch.datapath.flows.find(&Arc::new(body::Body::new(add(1, 1).into_flow())));
    assert_eq!(held.unwrap().0.cookie(), Cookie(1));
}

#[test]
fn a_bundle_that_lies_still_is_given_up() {
    let mut bench = Bench::new(&Arc::new(Bodies::new()));
    bench.ask(&control(BundleControlType::OPEN_REQUEST));
    bench.now += Duration::from_secs(10);
    bench.switch.handle_timeout(bench.now);
    let answers = bench.answers();
    let is_timeout =
        |answer: &Message| matches!(answer, Message::Error(error) if error.code == ErrorCode::OFPBFC_TIMEOUT);
    assert!(answers.iter().any(is_timeout), "{answers:?}");
    assert_eq!(bench.code(&control(BundleControlType::CLOSE_REQUEST)), Some(ErrorCode::OFPBFC_BAD_ID));
}

#[test]
fn a_monitor_whose_reports_nobody_takes_pauses_and_tells_afterwards_what_it_missed() {
    let mut bench = Bench::new(&Arc::new(Bodies::new()));
    let monitor = MonitorRequest {
        monitor: 1,
        flags: MonitorFlags::ADD | MonitorFlags::DELETE | MonitorFlags::MODIFY | MonitorFlags::OWN,
        out_port: None,
        table: TableId::ALL,
        flow_match: Match::new(),
    };
    bench.ask(&Message::MultipartRequest(MultipartRequestBody::FlowMonitor(vec![monitor]).into()));
    let n_flows = 5000;
    (1..=n_flows).for_each(|port| bench.tell(&Message::FlowMod(add(1, port))));
    // One that was told of goes, one that was not comes and goes.
    for port in [1, n_flows] {
        bench.tell(&Message::FlowMod(FlowMod { command: FlowModCommand::DELETE_STRICT, ..add(1, port) }));
    }
    let answers = bench.answers();
    let paused = answers.iter().position(|answer| *answer == Message::FlowMonitorPaused).expect("it pauses");
    assert_eq!(answers.last(), Some(&Message::FlowMonitorResumed));
    let events = |answers: &[Message]| {
        let mut events = Vec::new();
        for answer in answers {
            let Message::MultipartReply(reply) = answer else { continue };
            let MultipartReplyBody::FlowMonitor(updates) = &reply.body else { panic!("{reply:?}") };
            for update in updates {
                let FlowUpdate::Full { event, cookie, .. } = update else { panic!("{update:?}") };
                events.push((*event, cookie.0));
            }
        }
        events
    };
    let before = events(&answers[..paused]);
    let after = events(&answers[paused..]);
    assert!(before.iter().all(|(event, _)| *event == FlowEvent::ADDED) && before.len() > 1000);
    assert_eq!(after[0], (FlowEvent::DELETED, 1));
    let mut missed: Vec<u64> = after[1..].iter().map(|(_, cookie)| *cookie).collect();
    missed.sort_unstable();
    let first = before.len() as u64 + 1;
    assert_eq!(missed, (first..u64::from(n_flows)).collect::<Vec<_>>());
    assert_eq!(events(&bench.ask(&Message::FlowMod(add(2, 1)))), [(FlowEvent::ADDED, 1)]);
}

#[test]
fn a_flow_goes_when_its_time_is_over() {
    let mut bench = Bench::new(&Arc::new(Bodies::new()));
    let flags = FlowModFlags::SEND_FLOW_REM;
    bench.ask(&Message::FlowMod(FlowMod { hard_timeout_s: 3, flags, ..add(0, 1) }));
    bench.now += Duration::from_secs(3);
    assert!(bench.switch.poll_timeout().unwrap() <= bench.now);
    bench.switch.handle_timeout(bench.now);
    let answers = bench.answers();
    let is_removed = |answer: &Message| matches!(answer, Message::FlowRemoved(removed) if removed.reason == FlowRemovedReason::HARD_TIMEOUT && removed.duration_s == 3);
    assert!(answers.iter().any(is_removed), "{answers:?}");
    assert_eq!(bench.switch.n_flows(), 0);
}

#[test]
fn garbage_closes_the_connection_and_harms_nothing() {
    let mut bench = Bench::new(&Arc::new(Bodies::new()));
    bench.ask(&Message::FlowMod(add(0, 1)));
    bench.switch.handle_bytes(bench.now, bench.id, &[4, 14, 0, 3, 0, 0, 0, 0]);
    assert!(bench.switch.is_closed(bench.id));
    assert_eq!(bench.switch.n_flows(), 1);
}
