//! The switch: what it holds, and a packet's way through it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::conntrack::Connections;
use super::group::Compiled;
use super::limits::{MAX_PASSES, Spent};
use super::normal::MacTable;
use super::outcome::{Failure, Input, Outcome, Pass};
use super::resume::Resume;
use super::table::Table;
use super::translate::Translation;
use crate::openflow::{Flow, Group, Meter};
use crate::types::{GroupId, MeterId, PortNo, TableId};

/// A port of a switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its number.
    pub number: PortNo,
    /// Its name.
    pub name: String,
    /// Whether its link is up.
    pub is_live: bool,
    /// OFPPC_NO_RECV: what comes in is dropped.
    pub no_recv: bool,
    /// OFPPC_NO_FWD: nothing is sent to it.
    pub no_fwd: bool,
    /// OFPPC_NO_FLOOD (of OpenFlow 1.0): nothing is flooded to it.
    pub no_flood: bool,
}

impl Port {
    /// A port that is up.
    #[must_use]
    pub fn new(number: PortNo, name: impl Into<String>) -> Self {
        Self { number, name: name.into(), is_live: true, no_recv: false, no_fwd: false, no_flood: false }
    }
}

/// A switch.
#[derive(Clone, Debug, Default)]
pub struct Switch {
    /// Its name.
    pub name: String,
    /// Its flow tables; one that is not here is empty.
    pub tables: BTreeMap<TableId, Table>,
    /// Its ports.
    pub ports: BTreeMap<PortNo, Port>,
    /// Whether it has every other port too, as one whose ports are not known has.
    pub has_all_ports: bool,
    /// Its meters, and how many packets went through each.
    pub meters: HashMap<MeterId, (Meter, u64)>,
    /// The connections it knows.
    pub connections: Connections,
    pub(super) groups: HashMap<GroupId, Arc<Compiled>>,
    pub(super) macs: MacTable,
    last_recirc_id: u32,
}

impl Switch {
    /// A switch without ports or flows.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Adds a flow; one of the same table, match and priority gives way.
    pub fn add_flow(&mut self, flow: Flow) {
        self.tables.entry(flow.table).or_default().insert(flow);
    }

    /// Adds a group; one of the same number gives way.
    pub fn add_group(&mut self, group: Group) {
        self.groups.insert(group.group, Arc::new(Compiled::new(group)));
    }

    /// Adds a meter; one of the same number gives way.
    pub fn add_meter(&mut self, meter: Meter) {
        self.meters.insert(meter.meter, (meter, 0));
    }

    /// Adds a port; one of the same number gives way.
    pub fn add_port(&mut self, port: Port) {
        self.ports.insert(port.number, port);
    }

    pub(super) fn is_port_live(&self, port: PortNo) -> bool {
        self.ports.get(&port).map_or(self.has_all_ports, |port| port.is_live)
    }

    pub(super) fn new_recirc_id(&mut self) -> u32 {
        self.last_recirc_id = self.last_recirc_id.wrapping_add(1).max(1);
        self.last_recirc_id
    }

    /// Sends a packet through.
    pub fn run(&mut self, input: &Input) -> Outcome {
        let mut outcome = Outcome::default();
        let mut spent = Spent::default();
        let mut states = input.ct_states.clone().map(VecDeque::from);
        let mut waiting = VecDeque::from([Resume::start(input)]);
        while let Some(next) = waiting.pop_front() {
            let mut pass = self.pass(input, next, &mut states, &mut spent, &mut waiting);
            if outcome.passes.len() + 1 == MAX_PASSES && !waiting.is_empty() {
                waiting.clear();
                pass.give_up(Failure::TooManyRecirculations);
            }
            outcome.passes.push(pass);
        }
        outcome
    }

    fn pass(
        &mut self,
        input: &Input,
        mut resume: Resume,
        states: &mut Option<VecDeque<u32>>,
        spent: &mut Spent,
        waiting: &mut VecDeque<Resume>,
    ) -> Pass {
        resume.thaw(states.as_mut());
        let counts = resume.counts;
        let (mut pass, more) = Translation::new(self, input, resume, spent).run();
        pass.is_hypothetical = !counts;
        if !counts {
            pass.outputs.clear();
            pass.to_controller.clear();
        }
        let is_followed = |resume: &Resume| !input.is_trace || resume.is_for_conntrack();
        let more = more.into_iter().filter(is_followed);
        waiting.extend(more.map(|resume| Resume { counts: resume.counts && counts, ..resume }));
        // No more of them will be made.
        waiting.truncate(MAX_PASSES);
        pass
    }
}
