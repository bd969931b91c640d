//! Which actions go with which packets, and with each other.

use std::net::IpAddr;

use super::{Action, Bundle, Ct, CtFlags, CtZone, Learn, LearnSource, LearnTarget, Legacy, Nat};
use crate::openflow::ErrorCode;
use crate::openflow::oxm::{Field, FieldValue, Match, Packets, Prerequisite, SubField, VLAN_PRESENT, field};
use crate::types::PortNo;

/// Why actions cannot stand where they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// A field that the packets do not have.
    #[error("{field} needs {needs} in the match")]
    MissingField {
        /// The field.
        field: Field,
        /// What would have to be matched.
        needs: &'static str,
    },
    /// An action on a header that the packets are not known to have.
    #[error("needs {needs} in the match")]
    Inconsistent {
        /// What would have to be matched.
        needs: &'static str,
    },
    /// A field that no action may change.
    #[error("{0} is read-only")]
    ReadOnly(Field),
    /// A value that the field cannot have.
    #[error("is no value of {0}")]
    BadValue(Field),
    /// A port that no packet can be sent to.
    #[error("port {0} is not one to output to")]
    BadPort(PortNo),
    /// More VLAN tags than a switch can push.
    #[error("is one VLAN tag too many")]
    TooManyTags,
    /// A field of connections outside of `ct(exec(…))`.
    #[error("{0} is set only within ct(commit,exec(…))")]
    OnlyInCt(Field),
    /// A translation outside of `ct(…)`.
    #[error("nat stands only within ct(…)")]
    NatOutsideCt,
    /// Something else in `ct(exec(…))` than it can do.
    #[error("does not stand within ct(exec(…)): only ct_mark and ct_label are set there")]
    NotInCt,
    /// An action that is not for action sets.
    #[error("does not stand within write_actions(…)")]
    NotInActionSet,
    /// Something beside conjunctions.
    #[error("does not stand beside conjunction: only note does")]
    BesideConjunction,
    /// A flag or an action of `ct` that is without effect.
    #[error("needs the flag commit")]
    NeedsCommit,
    /// A field that only tunnel metadata can be.
    #[error("{0} cannot be deleted: only tun_metadata can")]
    CannotDelete(Field),
    /// An instruction that stands behind one that comes later.
    #[error(
        "{later} comes before {earlier}: order is meter, actions, clear_actions, write_actions, write_metadata, goto_table"
    )]
    Order {
        /// The one that has to come later.
        later: &'static str,
        /// The one that has to come earlier.
        earlier: &'static str,
    },
    /// An instruction that is there already.
    #[error("{0} comes twice")]
    Duplicate(&'static str),
    /// A table that does not come later.
    #[error("table {0} does not come behind this one")]
    NotALaterTable(u8),
    /// A meter that none can have.
    #[error("{0} is not the number of a meter")]
    BadMeter(u32),
}

impl CheckError {
    /// The error that answers it.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::MissingField { .. } | Self::Inconsistent { .. } => ErrorCode::OFPBAC_MATCH_INCONSISTENT,
            Self::ReadOnly(_) | Self::BadValue(_) | Self::OnlyInCt(_) | Self::NatOutsideCt => {
                ErrorCode::OFPBAC_BAD_SET_ARGUMENT
            }
            Self::BadPort(_) => ErrorCode::OFPBAC_BAD_OUT_PORT,
            Self::TooManyTags => ErrorCode::OFPBAC_BAD_TAG,
            Self::NotInCt | Self::NeedsCommit | Self::CannotDelete(_) => ErrorCode::OFPBAC_BAD_ARGUMENT,
            Self::NotInActionSet => ErrorCode::OFPBAC_BAD_TYPE,
            Self::BesideConjunction => ErrorCode::NXBAC_BAD_CONJUNCTION,
            Self::Order { .. } => ErrorCode::OFPBAC_UNSUPPORTED_ORDER,
            Self::Duplicate(_) => ErrorCode::OFPBIC_DUP_INST,
            Self::NotALaterTable(_) => ErrorCode::OFPBIC_BAD_TABLE_ID,
            Self::BadMeter(_) => ErrorCode::OFPMMFC_INVALID_METER,
        }
    }

    /// Whether OpenFlow 1.0 would let it pass: there an action on a header that is not there does nothing.
    #[must_use]
    pub fn is_inconsistency(self) -> bool {
        matches!(self, Self::Inconsistent { .. })
    }
}

/// What actions stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// A list that is applied.
    List,
    /// An action set.
    ActionSet,
    /// `ct(exec(…))`.
    Ct,
    /// `clone(…)`.
    Clone,
}

impl Action {
    /// Checks actions, one after another, for packets of `packets`.
    ///
    /// # Errors
    /// Says what is wrong with the first that cannot stand there.
    pub fn check_list(actions: &[Self], mut packets: Packets, within: Within) -> Result<(), CheckError> {
        Self::check_each(actions, &mut packets, within)
    }

    /// Checks actions as [`Self::check_list`], and lets `packets` become what they make of them.
    pub(crate) fn check_each(
        actions: &[Self],
        packets: &mut Packets,
        within: Within,
    ) -> Result<(), CheckError> {
        let has_conjunction = actions.iter().any(|action| matches!(action, Self::Conjunction { .. }));
        for action in actions {
            if has_conjunction && !matches!(action, Self::Conjunction { .. } | Self::Note(_)) {
                return Err(CheckError::BesideConjunction);
            }
            action.check(packets, within)?;
        }
        Ok(())
    }

    /// Checks an action for packets of `packets`, which it changes as the action changes packets.
    ///
    /// # Errors
    /// Says why it cannot stand there.
    ///
    /// Source: `ofpacts_check` and `ofpacts_verify` in `lib/ofp-actions.c` of Open vSwitch 3.1.
    pub fn check(&self, packets: &mut Packets, within: Within) -> Result<(), CheckError> {
        self.check_place(within)?;
        match self {
            Self::Output { port, .. } | Self::OutputTrunc { port, .. } => check_port(*port),
            Self::OutputReg { src, .. } | Self::StackPush(src) => check_src(packets, *src),
            Self::StackPop(dst) => check_dst(packets, *dst),
            Self::CheckPktLarger { dst, .. } => writable(dst.field),
            Self::Multipath(multipath) => check_dst(packets, multipath.dst),
            Self::Bundle(bundle) => check_bundle(bundle, packets),
            Self::SetField { field, value } => check_set(packets, *field, *value, true),
            Self::RegLoad2(entry) => check_set(packets, entry.field, entry.value, false),
            Self::SetWideField(entry) | Self::WideRegLoad2(entry) => writable(entry.field),
            Self::RegLoad { dst, value } => {
                let value =
                    FieldValue::from(u128::from(*value).checked_shl(dst.start_bit.into()).unwrap_or(0));
                check_set(packets, dst.field, value, false)
            }
            Self::RegMove { src, dst } | Self::CopyField { src, dst } => {
                check_src(packets, *src)?;
                check_dst(packets, *dst)
            }
            Self::DeleteField(field) if !field.is_wide() => Err(CheckError::CannotDelete(*field)),
            Self::Resubmit { with_ct_orig: true, .. } => needs(packets, Prerequisite::Ct, false),
            Self::Clone(actions) => Self::check_list(actions, *packets, Within::Clone),
            Self::Ct(ct) => ct.check(packets),
            Self::Nat(nat) => nat.check(packets),
            Self::Learn(learn) => learn.check(packets),
            _ => self.check_headers(packets),
        }
    }

    /// The actions that need headers, and those that change which there are.
    fn check_headers(&self, packets: &mut Packets) -> Result<(), CheckError> {
        match self {
            Self::SetNwTtl(_) | Self::DecNwTtl | Self::DecTtlCntIds(_) => {
                needs(packets, Prerequisite::Ip, true)
            }
            Self::SetMplsTtl(_) | Self::DecMplsTtl => needs(packets, Prerequisite::Mpls, true),
            Self::DecNshTtl => needs(packets, Prerequisite::Nsh, true),
            Self::FinTimeout { .. } if packets.nw_proto != 6 && !packets.has(Prerequisite::Tcp) => {
                Err(CheckError::Inconsistent { needs: Prerequisite::Tcp.needs() })
            }
            Self::Legacy(legacy) => legacy.check(packets),
            Self::PushVlan(_) if packets.n_tags >= 2 => Err(CheckError::TooManyTags),
            Self::PushVlan(_) => {
                packets.n_tags += 1;
                Ok(())
            }
            Self::PopVlan => {
                let checked = needs(packets, Prerequisite::Vlan, true);
                packets.n_tags = packets.n_tags.saturating_sub(1);
                checked
            }
            Self::PushMpls(ethertype) => {
                let checked = needs(packets, Prerequisite::Ethernet, true);
                (packets.dl_type, packets.nw_proto) = (*ethertype, 0);
                checked
            }
            Self::PopMpls(ethertype) => {
                let is_ethernet = packets.has(Prerequisite::Ethernet);
                let checked = needs(packets, Prerequisite::Mpls, true);
                packets.dl_type = *ethertype;
                if is_ethernet { checked } else { needs(packets, Prerequisite::Ethernet, true) }
            }
            Self::Encap(encap) => {
                packets.packet_type = encap.packet_type;
                if encap.packet_type >> 16 == 1 {
                    packets.dl_type = encap.packet_type as u16;
                }
                if !packets.is_ip() {
                    packets.nw_proto = 0;
                }
                Ok(())
            }
            Self::Decap { .. } => {
                if packets.has(Prerequisite::Ethernet) {
                    packets.packet_type = 1 << 16 | u32::from(packets.dl_type);
                } else {
                    (packets.packet_type, packets.dl_type) = (Packets::UNKNOWN, u16::MAX);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The field that it writes to, if it is one of those that connections have fields for.
    fn dst(&self) -> Option<Field> {
        match self {
            Self::SetField { field, .. } => Some(*field),
            Self::RegLoad2(entry) => Some(entry.field),
            Self::SetWideField(entry) | Self::WideRegLoad2(entry) => Some(entry.field),
            Self::RegLoad { dst, .. } | Self::RegMove { dst, .. } | Self::CopyField { dst, .. } => {
                Some(dst.field)
            }
            _ => None,
        }
    }

    fn check_place(&self, within: Within) -> Result<(), CheckError> {
        let of_connection = |field: &Field| matches!(*field, field::CT_MARK | field::CT_LABEL);
        let dst = self.dst();
        match (within, self) {
            (Within::Ct, Self::Nat(_)) => Ok(()),
            (_, Self::Nat(_)) => Err(CheckError::NatOutsideCt),
            (Within::Ct, _) if dst.as_ref().is_some_and(of_connection) => Ok(()),
            (Within::Ct, _) => Err(CheckError::NotInCt),
            _ => match dst.filter(of_connection) {
                Some(field) => Err(CheckError::OnlyInCt(field)),
                None if within == Within::ActionSet && !self.is_for_action_sets() => {
                    Err(CheckError::NotInActionSet)
                }
                None => Ok(()),
            },
        }
    }

    /// Whether it may stand in an action set. Source: `action_set_classify` in `lib/ofp-actions.c`.
    fn is_for_action_sets(&self) -> bool {
        !matches!(
            self,
            Self::Bundle(_)
                | Self::Clone(_)
                | Self::Controller(_)
                | Self::Exit
                | Self::FinTimeout { .. }
                | Self::Learn(_)
                | Self::Conjunction { .. }
                | Self::Multipath(_)
                | Self::Note(_)
                | Self::OutputReg { .. }
                | Self::OutputTrunc { .. }
                | Self::PopQueue
                | Self::Sample(_)
                | Self::StackPop(_)
                | Self::StackPush(_)
                | Self::WriteMetadata { .. }
                | Self::DebugRecirc
                | Self::DebugSlow
                | Self::CheckPktLarger { .. }
                | Self::DeleteField(_)
        )
    }
}

impl Ct {
    fn check(&self, packets: &mut Packets) -> Result<(), CheckError> {
        needs(packets, Prerequisite::Ip, false)?;
        if packets.is_invalid_connection() && self.flags.contains(CtFlags::COMMIT) {
            return Err(CheckError::MissingField { field: field::CT_STATE, needs: "a state without +inv" });
        }
        match self.alg {
            21 if packets.nw_proto != 6 => needs(packets, Prerequisite::Tcp, false)?,
            69 if packets.nw_proto != 17 => needs(packets, Prerequisite::Udp, false)?,
            _ => {}
        }
        if let CtZone::Field(zone) = self.zone {
            check_src(packets, zone)?;
        }
        let restores = |action: &Action| matches!(action, Action::Nat(nat) if **nat == Nat::default());
        if !self.flags.contains(CtFlags::COMMIT)
            && (self.flags.contains(CtFlags::FORCE) || !self.actions.iter().all(restores))
        {
            return Err(CheckError::NeedsCommit);
        }
        Action::check_list(&self.actions, *packets, Within::Ct)
    }
}

impl Nat {
    fn check(&self, packets: &Packets) -> Result<(), CheckError> {
        match self.range.map(|range| range.min) {
            None => needs(packets, Prerequisite::Ip, false),
            Some(IpAddr::V4(_)) => needs(packets, Prerequisite::Ipv4, false),
            Some(IpAddr::V6(_)) => needs(packets, Prerequisite::Ipv6, false),
        }
    }
}

impl Learn {
    /// Sources must exist in these packets, destinations in those that the new flow matches by then.
    fn check(&self, packets: &Packets) -> Result<(), CheckError> {
        let mut learned = Match::new();
        for spec in &self.specs {
            if let LearnSource::Field(src) = spec.src {
                check_src(packets, src)?;
            }
            match spec.dst {
                LearnTarget::Match(dst) => {
                    check_src(&Packets::of(&learned), dst)?;
                    if let LearnSource::Value(value) = &spec.src
                        && dst == SubField::all(dst.field)
                        && let Some(value) = FieldValue::from_be_bytes(value)
                    {
                        learned.set(dst.field, value, None);
                    }
                }
                LearnTarget::Load(dst) => check_dst(&Packets::of(&learned), dst)?,
                LearnTarget::Output => {}
            }
        }
        self.result_dst.map_or(Ok(()), |dst| writable(dst.field))
    }
}

impl Legacy {
    fn check(self, packets: &mut Packets) -> Result<(), CheckError> {
        match self {
            Self::SetNwSrc(_) | Self::SetNwDst(_) => needs(packets, Prerequisite::Ipv4, true),
            Self::SetNwTos(_) | Self::SetNwEcn(_) => needs(packets, Prerequisite::Ip, true),
            Self::SetTpSrc(_) | Self::SetTpDst(_)
                if self.set_field(packets.protocol()).is_none() && !packets.has(Prerequisite::Tcp) =>
            {
                Err(CheckError::Inconsistent { needs: "tcp, udp or sctp" })
            }
            Self::SetMplsLabel(_) | Self::SetMplsTc(_) => needs(packets, Prerequisite::Mpls, true),
            Self::SetVlanVid(_) | Self::SetVlanPcp(_) => {
                let checked = needs(packets, Prerequisite::Vlan, true);
                packets.n_tags = packets.n_tags.max(1);
                checked
            }
            _ => Ok(()),
        }
    }
}

/// Checks what packets must have; `is_soft` if OpenFlow 1.0 lets it pass.
fn needs(packets: &Packets, prerequisite: Prerequisite, is_soft: bool) -> Result<(), CheckError> {
    let needs = prerequisite.needs();
    match packets.has(prerequisite) {
        true => Ok(()),
        false if is_soft => Err(CheckError::Inconsistent { needs }),
        false => Err(CheckError::MissingField { field: field::ETH_TYPE, needs }),
    }
}

fn exists(packets: &Packets, field: Field) -> Result<(), CheckError> {
    let prerequisite = field.info().prerequisite;
    if packets.has(prerequisite) {
        Ok(())
    } else {
        Err(CheckError::MissingField { field, needs: prerequisite.needs() })
    }
}

fn writable(field: Field) -> Result<(), CheckError> {
    if field.info().writable { Ok(()) } else { Err(CheckError::ReadOnly(field)) }
}

fn check_src(packets: &Packets, src: SubField) -> Result<(), CheckError> {
    exists(packets, src.field)
}

fn check_dst(packets: &Packets, dst: SubField) -> Result<(), CheckError> {
    writable(dst.field)?;
    exists(packets, dst.field)
}

/// A field's new value. A VLAN's number needs a tag to stand in, and the bit that says so.
fn check_set(
    packets: &mut Packets,
    field: Field,
    value: FieldValue,
    is_set_field: bool,
) -> Result<(), CheckError> {
    writable(field)?;
    exists(packets, field)?;
    match field {
        field::VLAN_VID if !packets.has(Prerequisite::Vlan) => {
            return Err(CheckError::MissingField { field, needs: Prerequisite::Vlan.needs() });
        }
        field::VLAN_VID if is_set_field && value.to_u16() & VLAN_PRESENT == 0 => {
            return Err(CheckError::BadValue(field));
        }
        field::IN_PORT if is_set_field => return Err(CheckError::ReadOnly(field)),
        field::ARP_OP if value.to_u16() > 0xff => return Err(CheckError::BadValue(field)),
        field::NSH_TTL if value.to_u16() > 63 => return Err(CheckError::BadValue(field)),
        field::NW_TOS if value.to_u16() & 3 != 0 => return Err(CheckError::BadValue(field)),
        field::VLAN_TCI => {
            let is_tagged = value.to_u16() & VLAN_PRESENT != 0;
            packets.n_tags = if is_tagged { packets.n_tags.max(1) } else { packets.n_tags.saturating_sub(1) };
        }
        _ => {}
    }
    Ok(())
}

fn check_port(port: PortNo) -> Result<(), CheckError> {
    let is_reserved = port >= PortNo::IN_PORT && port != PortNo::ANY;
    if is_reserved || port.0 < 0xff00 { Ok(()) } else { Err(CheckError::BadPort(port)) }
}

fn check_bundle(bundle: &Bundle, packets: &Packets) -> Result<(), CheckError> {
    if let Some(dst) = bundle.dst {
        check_dst(packets, dst)?;
    }
    let to_none = |port: &&PortNo| **port != PortNo::ANY;
    for port in bundle.members.iter().filter(to_none) {
        check_port(*port)?;
        if *port == PortNo::CONTROLLER {
            return Err(CheckError::BadPort(*port));
        }
    }
    Ok(())
}
