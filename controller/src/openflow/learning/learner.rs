//! A learning switch's mind: packets in, flows and packets out.
//!
//! ```text
//!  packet-in ─▶ learn the sender ─▶ receiver known? ── yes ─▶ flow (idle 60 s), and the packet through it
//!                                                   └─ no ──▶ the packet to all other ports
//! ```
//!
//! Nothing is allocated for a packet: the messages that are sent over and over are kept and filled in anew.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use flowlib::channel::{Channel, Event};
use flowlib::openflow::oxm::field;
use flowlib::openflow::port::{PortConfig, PortReason, PortState};
use flowlib::openflow::{
    Action, FlowMod, FlowModCommand, FlowStatsRequest, Instruction, Match, Message, MultipartReplyBody,
    MultipartRequestBody, PacketInRef, PacketOut, PortStatus,
};
use flowlib::types::{Cookie, PortNo, Priority, TableId, Xid};

use super::frame::{Front, LINK_LOCAL, LINK_LOCAL_MASK};
use super::seats::LearnerSeat;
use super::table::{Addresses, Forgotten, Heard, Station};

/// A flow that carries nothing for so long goes. Source: `ovs-testcontroller(8)`, `--max-idle`.
const IDLE_S: u16 = 60;
/// A flow goes after so long in any case, before the addresses are forgotten: a host that goes on speaking is heard of.
const HARD_S: u16 = 240;
/// Flows in a switch beyond which no more are installed: packets go on one by one, through the controller.
const FLOWS_MAX: u32 = 65_536;
const EXPIRE_EVERY: Duration = Duration::from_secs(10);

/// Flows between two addresses.
const PAIR: Priority = Priority(100);
/// What is for bridges is not forwarded.
const BRIDGES: Priority = Priority(200);

/// The state of one learning switch.
#[derive(Debug)]
pub(super) struct Learner {
    seat: LearnerSeat,
    addresses: Addresses,
    flows: Flows,
    /// Installs a flow; filled in anew each time.
    add: Message,
    /// Sends a packet; filled in anew each time.
    out: Message,
    expire_at: Instant,
}

/// How many flows the switch has, at most.
#[derive(Debug, Default)]
struct Flows {
    /// What it said last.
    counted: u32,
    /// Those installed since it was asked last.
    since: u32,
    /// The question that it has not answered.
    asked: Option<Xid>,
}

impl Learner {
    pub(super) fn new(now: Instant, seat: LearnerSeat) -> Self {
        let add = FlowMod {
            priority: PAIR,
            idle_timeout_s: IDLE_S,
            hard_timeout_s: HARD_S,
            instructions: vec![Instruction::ApplyActions(vec![Action::output(PortNo::ANY)])],
            ..FlowMod::default()
        };
        let actions = Vec::with_capacity(1);
        let out = PacketOut { buffer_id: None, in_port: PortNo::ANY, actions, data: Vec::new() };
        Self {
            seat,
            addresses: Addresses::default(),
            flows: Flows::default(),
            add: Message::FlowMod(add),
            out: Message::PacketOut(out),
            expire_at: now + EXPIRE_EVERY,
        }
    }

    /// Empties the switch's tables and has it show what it has no flow for.
    pub(super) fn begin(&self, channel: &mut Channel) {
        send(channel, &Message::FlowMod(FlowMod::delete_by_cookie(Cookie(0), 0)));
        let bridges = Match::new().with_masked(field::ETH_DST, LINK_LOCAL, LINK_LOCAL_MASK);
        send(
            channel,
            &Message::FlowMod(FlowMod { priority: BRIDGES, flow_match: bridges, ..FlowMod::default() }),
        );
        let show = vec![Instruction::ApplyActions(vec![Action::output(PortNo::CONTROLLER)])];
        send(channel, &Message::FlowMod(FlowMod { instructions: show, ..FlowMod::default() }));
    }

    /// Learns from a packet and sends it on.
    pub(super) fn handle_packet_in(&mut self, now: Instant, channel: &mut Channel, packet: PacketInRef<'_>) {
        self.seat.tally.packet_ins.fetch_add(1, Ordering::Relaxed);
        let (Some(in_port), Some(front)) = (packet.in_port, Front::of(packet.data)) else { return };
        if front.is_for_bridges() {
            return self.send_on(channel, packet, in_port, None);
        }
        let was_known = front.from.mac.is_multicast() || self.learn(now, channel, front.from, in_port);
        let target = match front.to.mac.is_multicast() {
            true => None,
            false => self.addresses.port_of(now, front.to),
        };
        match target {
            None => self.send_on(channel, packet, in_port, Some(PortNo::ALL)),
            // It is where it came from.
            Some(port) if port == in_port => self.send_on(channel, packet, in_port, None),
            Some(port) => {
                // One that made up its address has no flow for it.
                let installs = was_known && self.flows.have_room();
                if installs {
                    self.install(channel, packet.buffer_id, front, in_port, port);
                }
                if !installs || packet.buffer_id.is_none() {
                    self.send_on(channel, packet, in_port, Some(port));
                }
            }
        }
    }

    /// Takes in what came besides packets.
    pub(super) fn handle_event(&mut self, channel: &mut Channel, event: Event) {
        match event {
            Event::Reply { xid, message: Message::MultipartReply(reply) }
                if self.flows.asked == Some(xid) =>
            {
                self.flows.asked = None;
                if let MultipartReplyBody::Aggregate(stats) = reply.body {
                    self.flows.counted = stats.flow_count;
                }
            }
            Event::Message { message: Message::PortStatus(PortStatus { reason, port }), .. } => {
                let is_down = reason == PortReason::DELETE
                    || port.state.contains(PortState::LINK_DOWN)
                    || port.config.contains(PortConfig::PORT_DOWN);
                if is_down {
                    self.port_down(channel, port.port);
                }
            }
            Event::Error { xid, error } => {
                tracing::debug!(dpid = %self.seat.datapath, %xid, %error, "a learning switch refused a message");
            }
            _ => {}
        }
    }

    /// Forgets what is behind a port that is down, and all flows that have to do with it.
    fn port_down(&mut self, channel: &mut Channel, port: PortNo) {
        tracing::debug!(dpid = %self.seat.datapath, %port, "port down");
        self.addresses.forget_port(port);
        delete(channel, Match::new(), Some(port));
        delete(channel, Match::new().with(field::IN_PORT, port), None);
        self.tell();
    }

    /// Forgets old addresses when it is time to.
    pub(super) fn handle_timeout(&mut self, now: Instant, channel: &mut Channel) {
        if now >= self.expire_at {
            self.expire_at = now + EXPIRE_EVERY;
            for old in self.addresses.expire(now) {
                delete_flows(channel, old);
            }
            self.tell();
            if !self.flows.have_room() {
                self.flows.ask(channel);
            }
        }
    }

    /// When that is.
    pub(super) fn poll_timeout(&self) -> Instant {
        self.expire_at
    }

    /// Learns where an address is; whether it had been heard of before.
    fn learn(&mut self, now: Instant, channel: &mut Channel, from: Station, port: PortNo) -> bool {
        match self.addresses.hear(now, from, port) {
            Heard::Known => true,
            Heard::Moved(before) => {
                delete_flows(channel, before);
                true
            }
            Heard::New { displaced } => {
                if let Some(displaced) = displaced {
                    delete_flows(channel, displaced);
                }
                self.tell();
                false
            }
        }
    }

    fn install(
        &mut self,
        channel: &mut Channel,
        buffer_id: Option<u32>,
        front: Front,
        in_port: PortNo,
        port: PortNo,
    ) {
        let Message::FlowMod(add) = &mut self.add else { unreachable!("it is made as one") };
        add.buffer_id = buffer_id;
        add.flow_match.set(field::IN_PORT, in_port.into(), None);
        add.flow_match.set(field::ETH_SRC, front.from.mac.into(), None);
        add.flow_match.set(field::ETH_DST, front.to.mac.into(), None);
        add.flow_match.set(field::VLAN_VID, front.to.vlan.into(), None);
        if let Some(Instruction::ApplyActions(actions)) = add.instructions.first_mut() {
            actions.clear();
            actions.push(Action::output(port));
        }
        send(channel, &self.add);
        self.flows.installed(channel);
        self.seat.tally.flows_installed.fetch_add(1, Ordering::Relaxed);
        self.addresses.mark_flows(front.from);
        self.addresses.mark_flows(front.to);
    }

    /// Sends a packet on to a port; to `None`, the switch forgets it.
    fn send_on(
        &mut self,
        channel: &mut Channel,
        packet: PacketInRef<'_>,
        in_port: PortNo,
        port: Option<PortNo>,
    ) {
        let is_whole = packet.data.len() >= usize::from(packet.total_len);
        if packet.buffer_id.is_none() && (port.is_none() || !is_whole) {
            return;
        }
        let Message::PacketOut(out) = &mut self.out else { unreachable!("it is made as one") };
        out.buffer_id = packet.buffer_id;
        out.in_port = in_port;
        out.actions.clear();
        out.actions.extend(port.map(Action::output));
        out.data.clear();
        if packet.buffer_id.is_none() {
            out.data.extend_from_slice(packet.data);
        }
        send(channel, &self.out);
    }

    fn tell(&self) {
        self.seat.tally.addresses.store(self.addresses.len() as u64, Ordering::Relaxed);
    }
}

impl Flows {
    /// Whether the switch has room for a flow, as far as is known.
    fn have_room(&self) -> bool {
        self.counted.saturating_add(self.since) < FLOWS_MAX
    }

    /// Counts one more, and asks in time how many there are: some were there before, and some are gone.
    fn installed(&mut self, channel: &mut Channel) {
        self.since += 1;
        if self.since >= FLOWS_MAX / 4 {
            self.ask(channel);
        }
    }

    fn ask(&mut self, channel: &mut Channel) {
        if self.asked.is_none() {
            let all = MultipartRequestBody::Aggregate(FlowStatsRequest::by_cookie(Cookie(0), 0));
            self.asked = send(channel, &Message::MultipartRequest(all.into()));
            // What was installed up to now is in the answer.
            self.counted = self.counted.saturating_add(std::mem::take(&mut self.since));
        }
    }
}

/// Deletes all flows from and to an address.
fn delete_flows(channel: &mut Channel, Forgotten { station, has_flows }: Forgotten) {
    if has_flows {
        for side in [field::ETH_SRC, field::ETH_DST] {
            let flow_match = Match::new().with(field::VLAN_VID, station.vlan).with(side, station.mac);
            delete(channel, flow_match, None);
        }
    }
}

fn delete(channel: &mut Channel, flow_match: Match, out_port: Option<PortNo>) {
    let (command, priority) = (FlowModCommand::DELETE, Priority(0));
    let table = TableId::ALL;
    send(
        channel,
        &Message::FlowMod(FlowMod { command, table, priority, out_port, flow_match, ..FlowMod::default() }),
    );
}

fn send(channel: &mut Channel, message: &Message) -> Option<Xid> {
    match channel.send(message) {
        Ok(xid) => Some(xid),
        Err(error) => {
            tracing::error!(%error, "message without an encoding");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use flowlib::channel::Config;
    use flowlib::openflow::action::PacketInReason;
    use flowlib::openflow::fixed_text::FixedText;
    use flowlib::openflow::{AggregateStats, PacketIn};
    use flowlib::types::MacAddr;

    use super::super::seats::LearnerSeats;
    use super::*;

    /// A learner and a switch at either end of a channel.
    struct World {
        learner: Learner,
        ours: Channel,
        switch: Channel,
        now: Instant,
    }

    impl World {
        fn new() -> Self {
            let now = Instant::now();
            let peer = SocketAddr::from(([127, 0, 0, 1], 1));
            let seat = LearnerSeats::default().take(flowlib::types::DatapathId(1), peer).unwrap();
            let (mut ours, mut switch) =
                (Channel::new(now, Config::default()), Channel::new(now, Config::default()));
            switch.handle_bytes(now, &ours.poll_transmit().unwrap());
            ours.handle_bytes(now, &switch.poll_transmit().unwrap());
            assert_eq!((ours.poll_event(), switch.poll_event()), (Some(Event::Open), Some(Event::Open)));
            Self { learner: Learner::new(now, seat), ours, switch, now }
        }

        /// Lets the switch say something; what it is told then, the last bits of addresses and ports only.
        fn say(&mut self, xid: Option<Xid>, message: &Message) -> Vec<(Xid, Message)> {
            match xid {
                Some(xid) => self.switch.send_with_xid(xid, message).unwrap(),
                None => drop(self.switch.send(message).unwrap()),
            }
            let bytes = self.switch.poll_transmit().unwrap();
            let (learner, now) = (&mut self.learner, self.now);
            self.ours.handle_bytes_showing(now, &bytes, |channel, packet| {
                learner.handle_packet_in(now, channel, packet);
            });
            while let Some(event) = self.ours.poll_event() {
                self.learner.handle_event(&mut self.ours, event);
            }
            self.told()
        }

        fn told(&mut self) -> Vec<(Xid, Message)> {
            self.switch.handle_bytes(self.now, &self.ours.poll_transmit().unwrap_or_default());
            std::iter::from_fn(|| self.switch.poll_event())
                .map(|event| match event {
                    Event::Message { xid, message } => (xid, message),
                    other => panic!("unexpected {other:?}"),
                })
                .collect()
        }

        /// Shows a packet; the answer as words.
        fn show(&mut self, in_port: u32, from: u8, to: MacAddr, buffer_id: Option<u32>) -> String {
            let mut data = [to.0, mac(from).0].concat();
            data.extend([8, 0, 1, 2, 3]);
            let packet = PacketIn {
                buffer_id,
                total_len: data.len() as u16,
                reason: PacketInReason::ACTION,
                table: TableId(0),
                cookie: Cookie(0),
                flow_match: Match::new().with(field::IN_PORT, in_port),
                data,
            };
            let told = self.say(None, &Message::PacketIn(packet.clone()));
            told.iter().map(|(_, message)| words(message, &packet)).collect::<Vec<_>>().join("; ")
        }
    }

    fn mac(n: u8) -> MacAddr {
        MacAddr([2, 0, 0, 0, 0, n])
    }

    fn words(message: &Message, packet: &PacketIn) -> String {
        let with = |buffer: Option<u32>| buffer.map_or(String::new(), |id| format!(" buffer {id}"));
        match message {
            Message::PacketOut(out) => {
                assert_eq!((out.buffer_id, Some(out.in_port)), (packet.buffer_id, packet.in_port()));
                assert_eq!(out.data, if out.buffer_id.is_some() { Vec::new() } else { packet.data.clone() });
                let actions: Vec<_> = out.actions.iter().map(flowlib::text::format_action).collect();
                format!("out {}{}", actions.join(","), with(out.buffer_id))
            }
            Message::FlowMod(flow_mod) => flowlib::text::format_flow_mod(flow_mod),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn floods_what_it_does_not_know_and_installs_what_it_does() {
        let mut world = World::new();
        assert_eq!(world.show(1, 1, MacAddr::BROADCAST, None), "out ALL");
        assert_eq!(world.show(1, 1, mac(2), Some(7)), "out ALL buffer 7");
        // A sender that was not heard of before has no flow yet.
        assert_eq!(world.show(2, 2, mac(1), None), "out output:1");
        let add = |buffer| {
            "ADD priority=100,in_port=1,vlan_tci=0x0000/0x1fff,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02 \
             idle:60 hard:240"
                .to_owned()
                + buffer
                + " actions=output:2"
        };
        assert_eq!(world.show(1, 1, mac(2), None), add("") + "; out output:2");
        assert_eq!(world.show(1, 1, mac(2), Some(8)), add(" buf:0x8"));
        assert_eq!(world.learner.seat.tally.flows_installed.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn what_is_behind_the_same_port_or_for_bridges_is_not_sent_on() {
        let mut world = World::new();
        world.show(1, 1, MacAddr::BROADCAST, None);
        assert_eq!(world.show(1, 2, mac(1), None), "");
        assert_eq!(world.show(1, 2, mac(1), Some(3)), "out  buffer 3");
        for last in [0, 0x0e] {
            assert_eq!(world.show(2, 3, MacAddr([1, 0x80, 0xc2, 0, 0, last]), None), "");
        }
        assert_eq!(world.show(1, 1, mac(3), None), "out ALL", "learnt from what is for bridges");
    }

    #[test]
    fn flows_of_a_host_that_moved_go() {
        let mut world = World::new();
        world.show(1, 1, MacAddr::BROADCAST, None);
        world.show(2, 2, mac(1), None);
        world.show(2, 2, mac(1), None);
        let gone = |side| {
            format!("DEL table:255 priority=0,vlan_tci=0x0000/0x1fff,{side}=02:00:00:00:00:01 actions=drop")
        };
        let (from, to) = (gone("dl_src"), gone("dl_dst"));
        assert_eq!(world.show(3, 1, MacAddr::BROADCAST, None), format!("{from}; {to}; out ALL"));
        assert!(world.show(2, 2, mac(1), None).ends_with("out output:3"));
    }

    #[test]
    fn a_port_that_goes_down_takes_along_what_was_learnt_there() {
        let mut world = World::new();
        world.show(1, 1, MacAddr::BROADCAST, None);
        world.show(2, 2, mac(1), None);
        let port = flowlib::openflow::Port {
            port: PortNo(1),
            hw_addr: mac(9),
            name: FixedText::new("p1"),
            config: PortConfig::empty(),
            state: PortState::LINK_DOWN,
            current: 0,
            advertised: 0,
            supported: 0,
            peer: 0,
            current_speed_kbps: 0,
            max_speed_kbps: 0,
        };
        let down = Message::PortStatus(PortStatus { reason: PortReason::MODIFY, port });
        let told = world.say(None, &down);
        let [(_, Message::FlowMod(to)), (_, Message::FlowMod(from))] = &told[..] else { panic!("{told:?}") };
        assert_eq!((to.out_port, &to.flow_match), (Some(PortNo(1)), &Match::new()));
        assert_eq!((from.out_port, from.flow_match.exact(field::IN_PORT)), (None, Some(1_u32.into())));
        assert_eq!(world.show(2, 2, mac(1), None), "out ALL");
    }

    #[test]
    fn installs_no_more_flows_than_the_switch_has_room_for() {
        let mut world = World::new();
        world.show(1, 1, MacAddr::BROADCAST, None);
        world.show(2, 2, MacAddr::BROADCAST, None);
        world.learner.flows.counted = FLOWS_MAX - 1;
        assert!(world.show(1, 1, mac(2), Some(1)).starts_with("ADD"));
        assert_eq!(world.show(1, 1, mac(2), Some(2)), "out output:2 buffer 2");
        world.now += EXPIRE_EVERY;
        world.learner.handle_timeout(world.now, &mut world.ours);
        let told = world.told();
        let [(xid, Message::MultipartRequest(_))] = told[..] else { panic!("{told:?}") };
        let stats = AggregateStats { packet_count: 0, byte_count: 0, flow_count: 5 };
        let body = MultipartReplyBody::Aggregate(stats);
        world.say(Some(xid), &Message::MultipartReply(body.into()));
        assert!(world.show(1, 1, mac(2), Some(3)).starts_with("ADD"));
    }

    #[test]
    fn a_host_that_makes_up_addresses_has_no_flows_for_them() {
        let mut world = World::new();
        world.show(1, 1, MacAddr::BROADCAST, None);
        for n in 2..=255 {
            assert_eq!(world.show(2, n, mac(1), None), "out output:1");
        }
        assert_eq!(world.learner.seat.tally.flows_installed.load(Ordering::Relaxed), 0);
    }
}
