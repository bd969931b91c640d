//! The switch of `flowlib::switch` beside a real Open vSwitch: the same random histories give the same answers, errors
//! included, and the same dumps.

#![allow(clippy::unwrap_used)]

#[path = "../daemons/mod.rs"]
mod daemons;
mod history;
mod ovs;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use flowlib::channel::{self, Deframer};
use flowlib::openflow::*;
use flowlib::switch::{Bodies, Config, ConnectionId, Switch};
use flowlib::types::{TableId, Xid};

use history::Dice;
use ovs::{Ovs, PATIENCE, encoded};

const N_CONNECTIONS: usize = 2;

/// A table that can hold only so many flows.
const LIMITED: (u8, u32) = (7, 4);

/// Ours, with as many connections.
struct Ours {
    switch: Switch,
    ids: Vec<ConnectionId>,
}

impl Ours {
    /// As the other one is.
    fn like(ovs: &mut Ovs) -> Self {
        let features = ovs.ask(0, &encoded(Xid(1), &Message::FeaturesRequest)).unwrap();
        let [(_, Message::FeaturesReply(features))] = features[..] else { panic!("{features:?}") };
        let config = Config {
            datapath_id: features.datapath_id,
            limits: BTreeMap::from([(TableId(LIMITED.0), LIMITED.1)]),
            channel: channel::Config::default(),
        };
        let mut switch = Switch::new(Instant::now(), config, Arc::new(Bodies::new()));
        for port in ports(ovs) {
            switch.set_port(port);
        }
        let mut ours = Self { switch, ids: Vec::new() };
        ours.connect();
        ours
    }

    fn connect(&mut self) {
        for id in std::mem::take(&mut self.ids) {
            self.switch.disconnect(id);
        }
        for n in 0..N_CONNECTIONS {
            self.ids.push(self.switch.connect(Instant::now()));
            let answers = self.ask(n, &encoded(Xid(1), &Message::Hello(Hello::new(&[VERSION]))));
            assert!(matches!(answers[..], [(_, Message::Hello(_))]), "{answers:?}");
        }
    }

    fn ask(&mut self, connection: usize, bytes: &[u8]) -> Vec<(Xid, Message)> {
        let id = self.ids[connection];
        self.switch.handle_bytes(Instant::now(), id, bytes);
        let mut deframer = Deframer::default();
        deframer.push(&self.switch.poll_transmit(id).unwrap_or_default());
        let mut answers = Vec::new();
        while let Some(bytes) = deframer.next_message().unwrap() {
            answers.push(Message::decode(bytes).unwrap());
        }
        answers
    }
}

fn ports(ovs: &mut Ovs) -> Vec<Port> {
    let request = Message::MultipartRequest(MultipartRequestBody::PortDesc.into());
    let mut answers = ovs.ask(0, &encoded(Xid(1), &request)).unwrap();
    match answers.pop() {
        Some((
            _,
            Message::MultipartReply(MultipartReply { body: MultipartReplyBody::PortDesc(ports), .. }),
        )) => ports,
        other => panic!("{other:?}"),
    }
}

/// Whether a message is a multipart request of ONF's, type 1870.
fn asks_for_monitor(message: &[u8]) -> bool {
    message.get(8..10) == Some(&[0xff, 0xff])
        && message.get(16..24) == Some(&[0x4f, 0x4e, 0x46, 0, 0, 0, 7, 0x4e])
}

/// Answers without what changes from one moment to the next, and lists that have no order in order; flow removed
/// apart, which Open vSwitch sends when it comes to it.
fn steady(answers: Vec<(Xid, Message)>, removed: &mut Vec<String>) -> Vec<String> {
    let mut steady: Vec<String> = Vec::new();
    let mut parts: Option<(Xid, MultipartReply)> = None;
    let end = (Xid(0), Message::BarrierReply);
    for (xid, message) in answers.into_iter().chain([end]) {
        if !matches!(message, Message::MultipartReply(_) | Message::FlowRemoved(_)) {
            steady.extend(parts.take().map(|(xid, reply)| format!("{xid} {}", sorted(reply.body))));
        }
        match message {
            Message::FlowRemoved(flow) => {
                removed.push(format!("{:?}", FlowRemoved { duration_s: 0, duration_ns: 0, ..flow }))
            }
            Message::MultipartReply(reply) => {
                let joined = match parts.take() {
                    Some((_, mut before)) => {
                        before.join(reply).unwrap();
                        before
                    }
                    None => reply,
                };
                // Reports may come in one message or in several.
                let is_report = matches!(joined.body, MultipartReplyBody::FlowMonitor(_)) && xid == Xid(0);
                if joined.has_more() || is_report {
                    parts = Some((xid, joined));
                } else {
                    steady.push(format!("{xid} {}", sorted(joined.body)));
                }
            }
            // Open vSwitch 3.1 has read on when it refuses a monitor, and sends back what lies there.
            Message::Error(error) if error.code.name().is_none() || asks_for_monitor(&error.data) => {
                steady.push("a monitor is refused".to_owned());
            }
            Message::Error(error) => steady.push(format!("{xid} {} {:02x?}", error.code, error.data)),
            Message::BarrierReply => {}
            message => steady.push(format!("{xid} {message:?}")),
        }
    }
    steady
}

fn sorted(body: MultipartReplyBody) -> String {
    use MultipartReplyBody as Body;
    fn lines<T: std::fmt::Debug>(list: Vec<T>) -> String {
        let mut lines: Vec<String> = list.iter().map(|item| format!("{item:?}")).collect();
        lines.sort();
        lines.iter().map(|line| format!("\n    {line}")).collect()
    }
    match body {
        Body::Flow(list) => {
            lines(list.into_iter().map(|flow| FlowStats { duration_s: 0, duration_ns: 0, ..flow }).collect())
        }
        Body::PortStats(list) => {
            lines(list.into_iter().map(|port| PortStats { duration_s: 0, duration_ns: 0, ..port }).collect())
        }
        Body::GroupStats(list) => lines(
            list.into_iter().map(|group| GroupStats { duration_s: 0, duration_ns: 0, ..group }).collect(),
        ),
        Body::MeterStats(list) => lines(
            list.into_iter().map(|meter| MeterStats { duration_s: 0, duration_ns: 0, ..meter }).collect(),
        ),
        Body::GroupDesc(list) => lines(list),
        Body::MeterConfig(list) => lines(list),
        Body::PortDesc(list) => lines(list),
        Body::FlowMonitor(list) => lines(list),
        body => format!("{body:?}"),
    }
}

/// What both say to bytes on a connection, and what the other connections hear of it, must be the same.
struct Beside {
    ovs: Ovs,
    ours: Ours,
    removed: [Vec<String>; 2],
    story: Vec<String>,
    n_differences: usize,
    n_removed: usize,
}

impl Beside {
    fn tell(&mut self, connection: usize, bytes: &[u8], what: &str) {
        self.story.push(format!("{connection}: {what}"));
        self.compare(connection, bytes);
        for other in (0..N_CONNECTIONS).filter(|other| *other != connection) {
            self.compare(other, &[]);
        }
    }

    fn compare(&mut self, connection: usize, bytes: &[u8]) {
        let [removed, our_removed] = &mut self.removed;
        let mut theirs = steady(
            self.ovs
                .ask(connection, bytes)
                .unwrap_or_else(|| panic!("Open vSwitch is gone after {:#?}", self.story.last_chunk::<6>())),
            removed,
        );
        let mut ours = steady(self.ours.ask(connection, bytes), our_removed);
        if ours != theirs {
            let lines = |list: &[String]| -> Vec<String> {
                list.iter().flat_map(|answer| answer.lines()).map(str::to_owned).collect()
            };
            (theirs, ours) = (lines(&theirs), lines(&ours));
            let common: Vec<String> = theirs.iter().filter(|line| ours.contains(line)).cloned().collect();
            theirs.retain(|line| !common.contains(line));
            ours.retain(|line| !common.contains(line));
            self.n_differences += 1;
            eprintln!(
                "on connection {connection}, after\n  {}\n  Open vSwitch: {theirs:#?}\n  ours: {ours:#?}\n",
                self.story[self.story.len().saturating_sub(3)..].join("\n  ")
            );
        }
    }

    /// Waits until Open vSwitch has said of as many flows that they are gone, which must be the same ones.
    fn wait_for_removed(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.removed[0].len() < self.removed[1].len() && Instant::now() < deadline {
            (0..N_CONNECTIONS).for_each(|connection| self.compare(connection, &[]));
        }
        self.removed.iter_mut().for_each(|list| list.sort());
        assert_eq!(self.removed[0], self.removed[1]);
        self.n_removed += self.removed[0].len();
        self.removed = Default::default();
    }

    /// Asks for all that a switch holds.
    fn dump(&mut self) {
        let all = FlowStatsRequest::default();
        for body in [
            MultipartRequestBody::Flow(all),
            MultipartRequestBody::GroupDesc,
            MultipartRequestBody::all_meters(),
            MultipartRequestBody::PortDesc,
            MultipartRequestBody::Table,
        ] {
            let request = Message::MultipartRequest(body.into());
            self.tell(0, &encoded(Xid(5), &request), "dump");
        }
    }
}

/// How long histories are, and how many there are.
const N_MESSAGES: u64 = 300;
const N_HISTORIES: u64 = 4;

#[test]
fn the_same_history_gives_the_same_answers_and_dumps() {
    let Some(mut ovs) = Ovs::start() else { return };
    let ours = Ours::like(&mut ovs);
    let ports = ports(&mut ovs);
    let seed = std::env::var("SEED").ok().map_or(1, |seed| seed.parse().expect("SEED is a number"));
    let mut beside =
        Beside { ovs, ours, removed: Default::default(), story: Vec::new(), n_differences: 0, n_removed: 0 };
    let mut dice = Dice(seed);
    for _ in 0..N_HISTORIES {
        for n in 0..N_MESSAGES {
            let connection = usize::from(dice.once_in(4));
            let message = dice.message(&ports);
            let xid = Xid(1000 + n as u32);
            beside.tell(connection, &encoded(xid, &message), &format!("{xid} {message:?}"));
            assert!(beside.n_differences < 12, "seed {seed}");
        }
        beside.dump();
        beside.wait_for_removed();
        beside.ovs.connect();
        beside.ours.connect();
    }
    assert_eq!(beside.n_differences, 0, "seed {seed}");
    assert!(beside.n_removed > 0, "no flow said that it goes");
}
