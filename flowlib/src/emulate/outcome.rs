//! What goes in, and what comes out.

use super::datapath::DatapathAction;
use super::trace::{self, Node};
use crate::openflow::action::PacketInReason;
use crate::packet::{Conntrack, Key, compose};
use crate::text::{Names, Style, print_key};
use crate::types::{Cookie, MeterId, PortNo, TableId};

/// A packet, and how it is to be treated.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Its fields: of a frame, what is known of it besides its headers.
    pub key: Key,
    /// The packet itself, if there is one. Without it, its length and what lies below MPLS and NSH is unknown.
    pub frame: Option<Vec<u8>>,
    /// Whether it may change the switch: teach it addresses, flows and connections.
    pub has_side_effects: bool,
    /// The states in which it comes back from the connection tracker, in this order; behind their end it is the first
    /// packet of its connection. `None`: the switch's own connections decide.
    pub ct_states: Option<Vec<u32>>,
    /// Whether it is followed only as far as `ofproto/trace` does: through the connection tracker, but not where a
    /// datapath would have to compute a hash or read more headers.
    pub is_trace: bool,
    /// Names for ports in the trace.
    pub names: Option<Names>,
}

/// What became of a packet: a pass through the tables, and one for each time that it was sent round again.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The passes, in order.
    pub passes: Vec<Pass>,
}

/// One pass.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Of which earlier pass it is the continuation.
    pub resumed: Option<Resumed>,
    /// The packet as it came.
    pub initial: Key,
    /// The packet as it was at the end.
    pub last: Key,
    /// What came out, in order.
    pub outputs: Vec<Output>,
    /// What the controller is told.
    pub to_controller: Vec<ToController>,
    /// All of that in a datapath's words.
    pub actions: Vec<DatapathAction>,
    /// Whether it would be made only if the packet's length were another; then nothing came out.
    pub is_hypothetical: bool,
    /// Why the pass was given up; then nothing came out.
    pub failure: Option<Failure>,
    /// The way it took; the first node is the bridge.
    pub trace: Vec<Node>,
}

/// Why and how a pass goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The number it has in the datapath actions.
    pub recirc_id: u32,
    /// Why it was interrupted.
    pub reason: ResumeReason,
    /// What the trace says of addresses that were translated, and of the state that was assumed.
    pub notes: Vec<String>,
}

/// Why a packet is sent round again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResumeReason {
    /// To have its connection told.
    Conntrack,
    /// To have its hash computed.
    Hash,
    /// To have headers read that were covered by others.
    Headers,
    /// Because a flow asks for it.
    Debug,
}

/// A packet that leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The port.
    pub port: PortNo,
    /// The packet, with the tunnel and the queue it goes by.
    pub key: Key,
    /// The length it is cut to.
    pub max_len: Option<u32>,
}

/// A packet that the controller gets to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToController {
    /// Why.
    pub reason: PacketInReason,
    /// From which table.
    pub table: TableId,
    /// The cookie of the flow that sent it, if one did.
    pub cookie: Option<Cookie>,
    /// The packet.
    pub key: Key,
    /// How much of it.
    pub max_len: u16,
    /// To which connections.
    pub controller_id: u16,
    /// Bytes that go along.
    pub userdata: Vec<u8>,
    /// The meter that limits it, if not the bridge's own.
    pub meter: Option<MeterId>,
    /// Whether the pipeline waits for the controller.
    pub is_paused: bool,
    /// Whether it is a miss because a table-miss flow sent it.
    pub is_miss: bool,
}

/// Why a pass was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Failure {
    #[error("Recursion too deep")]
    TooDeep,
    #[error("Too many resubmits")]
    TooManyResubmits,
    #[error("Stack too deep")]
    StackTooDeep,
    #[error("Too many steps")]
    TooManySteps,
    #[error("Too many MPLS labels")]
    TooManyLabels,
    #[error("Unsupported packet type")]
    UnsupportedPacketType,
    #[error("Too many recirculations")]
    TooManyRecirculations,
}

impl Failure {
    /// Whether only the bucket in which it happens is given up.
    pub(super) fn ends_with_bucket(self) -> bool {
        matches!(self, Self::TooManyLabels | Self::UnsupportedPacketType)
    }
}

impl Input {
    /// The packet's length; without a frame, that of one with nothing in its headers.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        self.frame.as_ref().map_or_else(|| compose(&self.key).len(), Vec::len)
    }
}

impl Outcome {
    /// What came out, in order.
    pub fn outputs(&self) -> impl Iterator<Item = &Output> {
        self.passes.iter().flat_map(|pass| &pass.outputs)
    }

    /// What the controller is told, in order.
    pub fn to_controller(&self) -> impl Iterator<Item = &ToController> {
        self.passes.iter().flat_map(|pass| &pass.to_controller)
    }

    /// All of it as `ofproto/trace` prints it, without the megaflow.
    #[must_use]
    pub fn format(&self, style: Style<'_>) -> String {
        let mut out = String::new();
        for pass in &self.passes {
            pass.format(&mut out, style);
        }
        out
    }
}

impl Pass {
    /// Gives it up: nothing comes out of it.
    pub(super) fn give_up(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.outputs.clear();
        self.to_controller.clear();
        self.actions.clear();
    }

    /// What a datapath would be told: `set(ipv4(ttl=63)),1,2`.
    #[must_use]
    pub fn format_actions(&self, names: Option<&Names>) -> String {
        let mut out = String::new();
        DatapathAction::format_list(&self.actions, &mut out, names);
        out
    }

    fn format(&self, out: &mut String, style: Style<'_>) {
        if let Some(resumed) = &self.resumed {
            resumed.format(out);
        }
        out.push_str("Flow: ");
        print_key(out, &self.initial, style);
        out.push('\n');
        trace::print(out, &self.trace);
        out.push_str("\nFinal flow: ");
        if self.initial == self.last {
            out.push_str("unchanged");
        } else {
            print_key(out, &self.last, style);
        }
        out.push_str("\nDatapath actions: ");
        DatapathAction::format_list(&self.actions, out, style.names);
        if let Some(failure) = self.failure {
            out.push_str(&format!("\nTranslation failed ({failure}), packet is dropped."));
        }
        out.push('\n');
    }
}

impl Resumed {
    fn format(&self, out: &mut String) {
        let line = "=".repeat(79);
        out.push_str(&format!("\n{line}\nrecirc({:#x})", self.recirc_id));
        for note in &self.notes {
            out.push_str(note);
        }
        out.push_str(&format!("\n{line}\n\n"));
    }
}

/// A connection's state as text: `new|trk`.
pub(super) fn state_text(state: u32) -> String {
    const NAMES: [(u32, &str); 8] = [
        (Conntrack::NEW, "new"),
        (Conntrack::ESTABLISHED, "est"),
        (Conntrack::RELATED, "rel"),
        (Conntrack::REPLY, "rpl"),
        (Conntrack::INVALID, "inv"),
        (Conntrack::TRACKED, "trk"),
        (Conntrack::SRC_NAT, "snat"),
        (Conntrack::DST_NAT, "dnat"),
    ];
    let names: Vec<_> = NAMES.iter().filter(|(bit, _)| state & bit != 0).map(|(_, name)| *name).collect();
    if names.is_empty() { "0".to_owned() } else { names.join("|") }
}
