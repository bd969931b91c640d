//! Fixtures: the meters and groups that a segment's flows use. They are made before the flows, and taken away after
//! them; Open vSwitch takes meters in no bundle.

use crate::openflow::group::GroupCommand;
use crate::openflow::meter::MeterCommand;
use crate::openflow::{Group, GroupMod, Message, Meter, MeterMod};

/// A meter or a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fixture {
    /// A meter.
    Meter(Meter),
    /// A group.
    Group(Group),
}

/// What brings the fixtures of a switch to what they should be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mending {
    /// Makes what is missing and gives what is otherwise its shape; to be sent before flows.
    pub make: Vec<Message>,
    /// Removes what is nobody's; to be sent when no flow uses it any more, for those go with it.
    pub remove: Vec<Message>,
}

/// Meters above that number are the switch's own. Source: OFPM_MAX, OpenFlow 1.3.5 §7.3.4.4.
const METER_MAX: u32 = 0xffff_0000;

impl Fixture {
    /// The message that makes it.
    #[must_use]
    pub fn add(&self) -> Message {
        match self {
            Self::Meter(meter) => Message::MeterMod(MeterMod::add(meter.clone())),
            Self::Group(group) => Message::GroupMod(GroupMod::add(group.clone())),
        }
    }

    /// The message that gives the one of its number this shape.
    #[must_use]
    pub fn modify(&self) -> Message {
        match self {
            Self::Meter(meter) => {
                Message::MeterMod(MeterMod { command: MeterCommand::MODIFY, meter: meter.clone() })
            }
            Self::Group(group) => {
                Message::GroupMod(GroupMod { command: GroupCommand::MODIFY, group: group.clone() })
            }
        }
    }

    /// The message that removes it, and all flows that use it.
    #[must_use]
    pub fn delete(&self) -> Message {
        match self {
            Self::Meter(meter) => Message::MeterMod(MeterMod::delete(meter.meter)),
            Self::Group(group) => Message::GroupMod(GroupMod::delete(group.group)),
        }
    }

    /// Whether both are of one kind and number.
    #[must_use]
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Meter(a), Self::Meter(b)) => a.meter == b.meter,
            (Self::Group(a), Self::Group(b)) => a.group == b.group,
            _ => false,
        }
    }

    fn is_the_switchs_own(&self) -> bool {
        matches!(self, Self::Meter(meter) if meter.meter.0 > METER_MAX)
    }
}

impl Mending {
    /// What a switch that has `present` needs to have `wanted`. A group comes after the meters, which its buckets may use.
    #[must_use]
    pub fn of(wanted: &[Fixture], present: &[Fixture]) -> Self {
        let is_in = |list: &[Fixture], one: &Fixture| list.iter().any(|other| other.is_same(one));
        let (meters, groups): (Vec<&Fixture>, Vec<_>) =
            wanted.iter().partition(|fixture| matches!(fixture, Fixture::Meter(_)));
        let make = meters.into_iter().chain(groups).filter(|fixture| !present.contains(fixture));
        let make = make.map(|fixture| if is_in(present, fixture) { fixture.modify() } else { fixture.add() });
        let strange = present.iter().filter(|one| !one.is_the_switchs_own() && !is_in(wanted, one));
        Self { make: make.collect(), remove: strange.map(Fixture::delete).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openflow::{Band, GroupType, MeterFlags, meter::BandKind};
    use crate::types::{GroupId, MeterId};

    fn meter(number: u32, rate: u32) -> Fixture {
        let bands = vec![Band { rate, burst: 1, kind: BandKind::Drop }];
        Fixture::Meter(Meter { meter: MeterId(number), flags: MeterFlags::PKTPS, bands })
    }

    fn group(number: u32) -> Fixture {
        let (group, group_type) = (GroupId(number), GroupType::SELECT);
        Fixture::Group(Group { group, group_type, buckets: Vec::new() })
    }

    #[test]
    fn only_what_differs_is_made_and_meters_before_groups() {
        let wanted = [group(1), meter(1, 100), meter(2, 100), meter(3, 100)];
        let present = [meter(1, 100), meter(2, 50), meter(7, 1), group(2), meter(0xffff_fffd, 5)];
        let mending = Mending::of(&wanted, &present);
        assert_eq!(mending.make, [meter(2, 100).modify(), meter(3, 100).add(), group(1).add()]);
        assert_eq!(mending.remove, [meter(7, 1).delete(), group(2).delete()], "the switch's own meter stays");
        assert_eq!(Mending::of(&wanted, &wanted), Mending::default());
    }
}
