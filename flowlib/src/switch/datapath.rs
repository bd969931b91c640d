//! What a switch holds, and how messages change it: all of a message or nothing, and all can be taken back.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::body::{Bodies, Body, Used};
use super::flows::{Criteria, Flows};
use crate::openflow::flow_removed::FlowRemovedReason;
use crate::openflow::meter::{BandKind, MeterCommand};
use crate::openflow::{ErrorCode, Flow, FlowMod, FlowModCommand, FlowModFlags, Group, Meter, MeterMod, Port};
use crate::types::{GroupId, MeterId, PortNo, TableId};

/// The tables that a switch has, and the one that Open vSwitch keeps to itself.
pub(super) const N_TABLES: u8 = 254;

/// How many bands a meter can have.
pub(super) const MAX_BANDS: usize = 8;

/// What a switch holds.
#[derive(Debug, Default)]
pub(super) struct Datapath {
    pub(super) bodies: Arc<Bodies>,
    pub(super) flows: Flows,
    pub(super) groups: BTreeMap<GroupId, Held<Group>>,
    pub(super) meters: BTreeMap<MeterId, Held<Meter>>,
    pub(super) ports: BTreeMap<PortNo, Port>,
    /// How many flows a table can hold.
    pub(super) limits: BTreeMap<TableId, u32>,
}

/// A group or meter.
#[derive(Clone, Debug)]
pub(super) struct Held<T> {
    pub(super) what: Arc<T>,
    /// In milliseconds of the switch's life.
    pub(super) created: u64,
}

/// A flow mod, ready to be carried out.
#[derive(Clone, Debug)]
pub(super) enum FlowChange {
    /// An add.
    Add(Arc<Body>),
    /// Anything else.
    Other(Box<OtherChange>),
}

/// New instructions for flows, or their end.
#[derive(Clone, Debug)]
pub(super) struct OtherChange {
    command: FlowModCommand,
    criteria: Criteria,
    /// What flows become.
    template: Flow,
}

/// One thing that was done.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A flow is there, perhaps in the place of another that was made then.
    Put { body: Arc<Body>, old: Option<(Arc<Body>, u64)>, is_add: bool },
    /// A flow that was made then is gone.
    Removed { body: Arc<Body>, created: u64, reason: FlowRemovedReason },
    /// A group is another, or gone; this is what it was.
    Group { group: GroupId, old: Option<Held<Group>> },
}

/// What was done, in order.
pub(super) type Log = Vec<Step>;

type Done = Result<(), ErrorCode>;

impl FlowChange {
    /// A flow mod as a switch takes it in, before it looks at what it holds.
    ///
    /// # Errors
    /// What it refuses at once.
    pub(super) fn new(flow_mod: FlowMod, bodies: &Bodies) -> Result<Self, ErrorCode> {
        let command = flow_mod.command;
        let is_delete = matches!(command, FlowModCommand::DELETE | FlowModCommand::DELETE_STRICT);
        if flow_mod.table.0 == N_TABLES && !is_delete {
            return Err(ErrorCode::OFPBRC_EPERM);
        }
        if !is_delete && flow_mod.buffer_id.is_some() {
            return Err(ErrorCode::OFPBRC_BUFFER_UNKNOWN);
        }
        if command == FlowModCommand::ADD {
            return Ok(Self::Add(bodies.intern(flow_mod.into_flow())));
        }
        let criteria = Criteria {
            table: flow_mod.table,
            cookie: flow_mod.cookie,
            cookie_mask: flow_mod.cookie_mask,
            out_port: flow_mod.out_port.filter(|_| is_delete),
            out_group: flow_mod.out_group.filter(|_| is_delete),
            flow_match: flow_mod.flow_match.clone(),
        };
        Ok(Self::Other(Box::new(OtherChange { command, criteria, template: flow_mod.into_flow() })))
    }
}

impl Datapath {
    /// Carries out a flow mod.
    ///
    /// # Errors
    /// Then nothing is changed.
    pub(super) fn change_flows(&mut self, change: &FlowChange, now: u64, log: &mut Log) -> Done {
        let change = match change {
            FlowChange::Add(body) => return self.add_flow(body, now, log),
            FlowChange::Other(change) => change,
        };
        let found: Vec<_> = match change.command {
            FlowModCommand::MODIFY | FlowModCommand::DELETE => {
                self.flows.select(&change.criteria).cloned().collect()
            }
            _ => self.flows.select_strict(&change.criteria, change.template.priority),
        };
        match change.command {
            FlowModCommand::DELETE | FlowModCommand::DELETE_STRICT => {
                self.remove_all(found, FlowRemovedReason::DELETE, log);
                Ok(())
            }
            _ if found.is_empty() => Ok(()),
            _ => self.modify_all(found, change, now, log),
        }
    }

    fn add_flow(&mut self, body: &Arc<Body>, now: u64, log: &mut Log) -> Done {
        self.check_uses(body.uses())?;
        let old = self.flows.find(body);
        if old.is_none() {
            if body.flags().contains(FlowModFlags::CHECK_OVERLAP) && self.flows.overlaps(body) {
                return Err(ErrorCode::OFPFMFC_OVERLAP);
            }
            let table = body.table();
            if self.limits.get(&table).is_some_and(|limit| self.flows.n_in(table) >= *limit) {
                return Err(ErrorCode::OFPFMFC_TABLE_FULL);
            }
        }
        self.put(body.clone(), old, now, now, true, log);
        Ok(())
    }

    fn modify_all(&mut self, found: Vec<Arc<Body>>, change: &OtherChange, now: u64, log: &mut Log) -> Done {
        self.check_uses(Body::new(change.template.clone()).uses())?;
        for old in found {
            let mut flow = old.flow();
            flow.instructions = change.template.instructions.clone();
            let created = self.flows.created(&old);
            let body = self.bodies.intern(flow);
            self.put(body, Some((old, created)), created, now, false, log);
        }
        Ok(())
    }

    fn put(
        &mut self,
        body: Arc<Body>,
        old: Option<(Arc<Body>, u64)>,
        created: u64,
        now: u64,
        is_add: bool,
        log: &mut Log,
    ) {
        if let Some((old, _)) = &old {
            self.flows.remove(old);
        }
        self.flows.insert(body.clone(), created, now);
        log.push(Step::Put { body, old, is_add });
    }

    pub(super) fn remove_all(&mut self, flows: Vec<Arc<Body>>, reason: FlowRemovedReason, log: &mut Log) {
        for body in flows {
            let created = self.flows.remove(&body);
            log.push(Step::Removed { body, created, reason });
        }
    }

    /// Whether all groups and meters are there.
    pub(super) fn check_uses(&self, uses: &[Used]) -> Done {
        uses.iter().try_for_each(|used| match used {
            Used::Group(group) if !self.groups.contains_key(group) => Err(ErrorCode::OFPBAC_BAD_OUT_GROUP),
            Used::Meter(meter) | Used::PacketInMeter(meter) if !self.meters.contains_key(meter) => {
                Err(ErrorCode::OFPMMFC_INVALID_METER)
            }
            _ => Ok(()),
        })
    }

    /// Carries out a meter mod, which cannot be taken back.
    ///
    /// # Errors
    /// Then nothing is changed.
    pub(super) fn change_meters(&mut self, meter_mod: MeterMod, now: u64, log: &mut Log) -> Done {
        let mut meter = meter_mod.meter;
        let id = meter.meter;
        if meter_mod.command == MeterCommand::DELETE {
            let gone: Vec<MeterId> = match id {
                MeterId::ALL => self.meters.keys().copied().collect(),
                id => self.meters.contains_key(&id).then_some(id).into_iter().collect(),
            };
            for id in gone {
                let users = self.flows.users(Used::Meter(id));
                self.remove_all(users, FlowRemovedReason::METER_DELETE, log);
                self.meters.remove(&id);
            }
            return Ok(());
        }
        check_meter(&meter)?;
        let old = self.meters.get(&id);
        let created = match (meter_mod.command, old) {
            (MeterCommand::ADD, Some(_)) => return Err(ErrorCode::OFPMMFC_METER_EXISTS),
            (MeterCommand::MODIFY, None) => return Err(ErrorCode::OFPMMFC_UNKNOWN_METER),
            (_, old) => old.map_or(now, |old| old.created),
        };
        check_bands(&meter)?;
        // Some burst must be possible.
        for band in meter.bands.iter_mut().filter(|band| band.burst == 0) {
            band.burst = band.rate;
        }
        self.meters.insert(id, Held { what: meter.into(), created });
        Ok(())
    }

    /// Takes back what was done, the last first.
    pub(super) fn revert(&mut self, log: Log, now: u64) {
        for step in log.into_iter().rev() {
            match step {
                Step::Put { body, old, .. } => {
                    self.flows.remove(&body);
                    if let Some((old, created)) = old {
                        self.flows.insert(old, created, now);
                    }
                }
                Step::Removed { body, created, .. } => self.flows.insert(body, created, now),
                Step::Group { group, old: Some(old) } => {
                    self.groups.insert(group, old);
                }
                Step::Group { group, old: None } => {
                    self.groups.remove(&group);
                }
            }
        }
    }
}

fn check_meter(meter: &Meter) -> Done {
    let is_possible = (MeterId(1)..=MeterId::MAX).contains(&meter.meter)
        || [MeterId::SLOWPATH, MeterId::CONTROLLER].contains(&meter.meter);
    match meter.bands.len() {
        _ if !is_possible => Err(ErrorCode::OFPMMFC_INVALID_METER),
        0..=MAX_BANDS => Ok(()),
        _ => Err(ErrorCode::OFPMMFC_OUT_OF_BANDS),
    }
}

/// What the datapath of Open vSwitch in user space can do.
fn check_bands(meter: &Meter) -> Done {
    match &meter.bands[..] {
        [] => Err(ErrorCode::OFPMMFC_OUT_OF_BANDS),
        bands if bands.iter().all(|band| band.kind == BandKind::Drop) => Ok(()),
        _ => Err(ErrorCode::OFPMMFC_BAD_BAND),
    }
}
