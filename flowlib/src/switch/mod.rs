//! A switch without a data plane: the OpenFlow side of Open vSwitch 3.1, for tests and simulated fleets.
//!
//! ```text
//!  bytes, time ──handle_*──▶ channel ─▶ obey ─▶ datapath (flows, groups, meters, ports) ─▶ what was done
//!                               ▲                                                              │
//!  bytes ◀──poll_transmit── connection ◀─ answers, errors, reports of monitors, flow removed ──┘
//! ```
//!
//! It stores every flow that it acknowledges and answers as Open vSwitch does, errors included: what a message is
//! refused for, in which order things are looked at, how bundles, roles and monitors go on after that. No packet
//! passes it: counters stay 0, packet-outs are counted. Pure: it is fed with bytes and the time, and polled.
//!
//! What it lacks: mappings of tunnel options, descriptions of what tables can do, queues, Nicira's flow mod; it answers
//! as a switch that knows no such message. A match of `xreg0` does not see that it lies over `reg0` and `reg1`; what a
//! packet-out does is not compared with its packet.
//!
//! Promises: equal histories on it and on Open vSwitch give equal answers and equal dumps; a flow costs about 50
//! bytes, and its own bytes once for all switches that share their [`Bodies`]; a message costs no more with more
//! flows than it does in Open vSwitch.

mod answer;
mod body;
mod bundle;
mod connection;
mod datapath;
mod flows;
mod groups;
mod monitor;
mod obey;
mod parts;
mod ports;
mod roles;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use body::Bodies;

use bundle::Order;
use connection::{Asynchronous, Connection, xid_of};
use datapath::{Datapath, FlowChange, Log, Step};

use crate::channel::{self, Event};
use crate::openflow::error::error_code;
use crate::openflow::flow_removed::FlowRemovedReason;
use crate::openflow::port::PortReason;
use crate::openflow::{ErrorCode, FlowModFlags, FlowRemoved, HEADER_LEN, Message, Port, PortStatus};
use crate::types::{DatapathId, PortNo, TableId, Xid};

/// How a switch is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its id.
    pub datapath_id: DatapathId,
    /// How many flows a table can hold, where that is bounded.
    pub limits: BTreeMap<TableId, u32>,
    /// The limits of its channels.
    pub channel: channel::Config,
}

/// A connection of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u32);

/// What a switch has been asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    /// Flow mods that were carried out, those in bundles too.
    pub flow_mods: u64,
    /// Bundles that were committed.
    pub bundles: u64,
    /// Packets to send.
    pub packet_outs: u64,
    /// Messages that were refused.
    pub errors: u64,
}

/// A switch.
///
/// Feed it with [`Switch::handle_bytes`] and [`Switch::handle_timeout`], and after either, and after ports change,
/// empty [`Switch::poll_transmit`] of every connection and look at [`Switch::poll_timeout`].
#[derive(Debug)]
pub struct Switch {
    config: Config,
    /// When its life began.
    born: Instant,
    datapath: Datapath,
    connections: BTreeMap<ConnectionId, Connection>,
    last_connection: u32,
    /// The greatest generation id that a controller has named.
    generation: Option<u64>,
    /// What it does with fragments.
    fragments: u16,
    counts: Counts,
}

impl Switch {
    /// A switch without ports and flows. Those that share `bodies` keep equal flows once.
    #[must_use]
    pub fn new(now: Instant, config: Config, bodies: Arc<Bodies>) -> Self {
        let datapath = Datapath { bodies, limits: config.limits.clone(), ..Datapath::default() };
        Self {
            config,
            born: now,
            datapath,
            connections: BTreeMap::new(),
            last_connection: 0,
            generation: None,
            fragments: 0,
            counts: Counts::default(),
        }
    }

    /// How many flows it holds.
    #[must_use]
    pub fn n_flows(&self) -> usize {
        self.datapath.flows.len()
    }

    /// What it has been asked for.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// A new connection to a controller; its HELLO is ready to be transmitted.
    pub fn connect(&mut self, now: Instant) -> ConnectionId {
        self.last_connection += 1;
        let id = ConnectionId(self.last_connection);
        self.connections.insert(id, Connection::new(now, self.config.channel));
        id
    }

    /// A connection is no more. What was transmitted of it counts.
    pub fn disconnect(&mut self, id: ConnectionId) {
        self.connections.remove(&id);
    }

    /// Whether a connection is over; what is still to be transmitted should be.
    #[must_use]
    pub fn is_closed(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_none_or(|connection| connection.channel.is_closed())
    }

    /// All bytes that are to be transmitted on a connection now. A monitor whose reports nobody takes pauses.
    pub fn poll_transmit(&mut self, id: ConnectionId) -> Option<Vec<u8>> {
        let connection = self.connections.get_mut(&id)?;
        connection.take_channel();
        let mut bytes = std::mem::take(&mut connection.out);
        connection.monitors.transmitted(&mut bytes);
        (!bytes.is_empty()).then_some(bytes)
    }

    /// When [`Switch::handle_timeout`] should be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let connections = self.connections.values().flat_map(|connection| {
            let bundles = connection.bundles.values().map(bundle::Bundle::deadline);
            bundles.chain(connection.channel.poll_timeout())
        });
        let flows = self.datapath.flows.next_end().map(|at| self.born + Duration::from_millis(at));
        connections.chain(flows).min()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        for connection in self.connections.values_mut() {
            connection.channel.handle_timeout(now);
            connection.expire_bundles(now);
        }
        while let Some((body, reason)) = self.datapath.flows.expired(self.age(now)) {
            let mut log = Log::new();
            self.datapath.remove_all(vec![body], reason, &mut log);
            self.tell(&log, None, now);
        }
    }

    /// Takes in bytes that came on a connection.
    pub fn handle_bytes(&mut self, now: Instant, id: ConnectionId, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let mut deframer = std::mem::take(&mut connection.deframer);
        deframer.push(bytes);
        loop {
            match deframer.next_message() {
                Ok(Some(message)) => self.handle_message(now, id, message),
                Ok(None) => break,
                // The channel finds that too, and closes.
                Err(_) => {
                    if let Some(connection) = self.connections.get_mut(&id) {
                        connection.channel.handle_bytes(now, bytes);
                    }
                    break;
                }
            }
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.deframer = deframer;
        }
    }

    /// Adds a port, or changes one.
    pub fn set_port(&mut self, port: Port) {
        let old = self.datapath.ports.insert(port.port, port);
        match old {
            None => self.tell_port(PortReason::ADD, port, None),
            Some(old) if old != port => self.tell_port(PortReason::MODIFY, port, None),
            Some(_) => {}
        }
    }

    /// Removes a port.
    pub fn remove_port(&mut self, number: PortNo) {
        if let Some(port) = self.datapath.ports.remove(&number) {
            self.tell_port(PortReason::DELETE, port, None);
        }
    }

    fn handle_message(&mut self, now: Instant, id: ConnectionId, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.is_open
            && let Some((what, body)) = Added::of(bytes, &self.datapath.bodies)
        {
            return self.add_known(now, id, bytes, what, body);
        }
        connection.channel.handle_bytes(now, bytes);
        while let Some(event) = self.next_event(id) {
            match event {
                Event::Open => {
                    if let Some(connection) = self.connections.get_mut(&id) {
                        connection.is_open = true;
                    }
                }
                Event::Message { message, .. } | Event::Stray { message, .. } => {
                    self.obey(now, id, bytes, message);
                }
                Event::Bad { bytes, error } => {
                    let code = self.refusal_of_write(id, &bytes).unwrap_or(error_code(&error));
                    self.refuse(id, &bytes, code);
                }
                Event::Reply { .. } | Event::Error { .. } | Event::Closed(_) => {}
            }
        }
    }

    fn next_event(&mut self, id: ConnectionId) -> Option<Event> {
        let connection = self.connections.get_mut(&id)?;
        connection.take_channel();
        connection.channel.poll_event()
    }

    /// Adds a flow that another switch holds in the same bytes, so that it is known to be a good one.
    fn add_known(
        &mut self,
        now: Instant,
        id: ConnectionId,
        bytes: &[u8],
        what: Added,
        body: Arc<body::Body>,
    ) {
        let change = FlowChange::Add(body);
        let result = self.check_writes(id).and_then(|()| match what {
            Added::Alone => self.change_flows(now, id, xid_of(bytes), &change),
            Added::ToBundle(number, flags) => {
                self.add_to_bundle(now, id, (number, flags), bytes, Order::Flow(change))
            }
        });
        if let Err(code) = result {
            self.refuse(id, bytes, code);
        }
    }

    fn refuse(&mut self, id: ConnectionId, message: &[u8], code: ErrorCode) {
        self.counts.errors += 1;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.send_error(message, code);
        }
    }

    /// Milliseconds of its life.
    fn age(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.born).as_millis()).unwrap_or(u64::MAX)
    }

    /// Tells everyone what was done; `own` is who asked for it, and under which xid.
    fn tell(&mut self, log: &Log, own: Option<(ConnectionId, Xid)>, now: Instant) {
        for (id, connection) in &mut self.connections {
            let xid = own.filter(|(own, _)| own == id).map(|(_, xid)| xid);
            connection.monitors.report(log, xid);
        }
        for step in log {
            if let Step::Removed { body, created, reason } = step
                && body.flags().contains(FlowModFlags::SEND_FLOW_REM)
            {
                let (duration_s, duration_ns) = answer::duration(self.age(now), *created);
                let flow = body.flow();
                let is_by_meter = *reason == FlowRemovedReason::METER_DELETE;
                let removed = Message::FlowRemoved(FlowRemoved {
                    cookie: flow.cookie,
                    priority: flow.priority,
                    // OpenFlow 1.3 does not know of meters that go.
                    reason: if is_by_meter { FlowRemovedReason::DELETE } else { *reason },
                    table: flow.table,
                    duration_s,
                    duration_ns,
                    idle_timeout_s: flow.idle_timeout_s,
                    hard_timeout_s: flow.hard_timeout_s,
                    packet_count: 0,
                    byte_count: 0,
                    flow_match: flow.flow_match,
                });
                for connection in self.connections.values_mut() {
                    if connection.gets(Asynchronous::FlowRemoved, reason.0) {
                        connection.send(Xid(0), &removed);
                    }
                }
            }
        }
    }

    /// Sends what monitors have to tell.
    fn flush_monitors(&mut self) {
        for connection in self.connections.values_mut() {
            connection.monitors.flush(&mut connection.out);
        }
    }

    /// Tells everyone of a port but who has changed it.
    fn tell_port(&mut self, reason: PortReason, port: Port, by: Option<ConnectionId>) {
        let status = Message::PortStatus(PortStatus { reason, port });
        for (id, connection) in &mut self.connections {
            if Some(*id) != by && connection.gets(Asynchronous::PortStatus, reason.0) {
                connection.send(Xid(0), &status);
            }
        }
    }
}

impl Connection {
    /// Takes over what the channel itself has to say.
    fn take_channel(&mut self) {
        self.out.extend(self.channel.poll_transmit().unwrap_or_default());
    }
}

/// Where a flow is to be added.
enum Added {
    /// To the switch.
    Alone,
    /// To that bundle with those flags.
    ToBundle(u32, crate::openflow::BundleFlags),
}

impl Added {
    /// The flow that a message adds, if its bytes are known.
    fn of(bytes: &[u8], bodies: &Bodies) -> Option<(Self, Arc<body::Body>)> {
        use crate::openflow::BundleFlags;
        use crate::openflow::bundle::INNER_OFFSET;
        const FLOW_MOD: [u8; 2] = [crate::openflow::VERSION, 14];
        if bytes.starts_with(&FLOW_MOD) {
            return bodies.get(bytes.get(HEADER_LEN..)?).map(|body| (Self::Alone, body));
        }
        let inner = bytes.get(INNER_OFFSET..)?;
        let is_add = bytes.get(8..16)? == BUNDLE_ADD && bytes.get(1) == Some(&4);
        let has_whole = inner.get(2..4)? == u16::try_from(inner.len()).ok()?.to_be_bytes();
        if !is_add || !inner.starts_with(&FLOW_MOD) || !has_whole || inner.get(4..8)? != bytes.get(4..8)? {
            return None;
        }
        let body = bodies.get(inner.get(HEADER_LEN..)?)?;
        let number = u32::from_be_bytes(*bytes.get(16..)?.first_chunk()?);
        let flags = u16::from_be_bytes(*bytes.get(22..)?.first_chunk()?);
        Some((Self::ToBundle(number, BundleFlags::from_bits_retain(flags)), body))
    }
}

/// ONF's number and that of a bundle-add.
const BUNDLE_ADD: [u8; 8] = [0x4f, 0x4e, 0x46, 0, 0, 0, 0x08, 0xfd];

#[cfg(test)]
mod tests;
