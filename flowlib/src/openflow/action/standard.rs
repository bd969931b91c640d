//! The actions of OpenFlow 1.3 itself.

use crate::types::{GroupId, PortNo};
use crate::wire::{DecodeError, EncodeError, Part, Problem, Reader, Writer};

use super::{Action, Legacy, keep};
use crate::openflow::oxm::{MatchField, WideField, read_header};

const OUTPUT: u16 = 0;
const COPY_TTL_OUT: u16 = 11;
const COPY_TTL_IN: u16 = 12;
const SET_MPLS_TTL: u16 = 15;
const DEC_MPLS_TTL: u16 = 16;
const PUSH_VLAN: u16 = 17;
const POP_VLAN: u16 = 18;
const PUSH_MPLS: u16 = 19;
const POP_MPLS: u16 = 20;
const SET_QUEUE: u16 = 21;
const GROUP: u16 = 22;
const SET_NW_TTL: u16 = 23;
const DEC_NW_TTL: u16 = 24;
pub(in crate::openflow) const SET_FIELD: u16 = 25;
const PUSH_PBB: u16 = 26;
const POP_PBB: u16 = 27;

/// Reads the body of an action of that type to the end of others; says whether the type is known.
#[inline(always)]
pub(super) fn decode(
    actions: &mut Vec<Action>,
    action_type: u16,
    r: &mut Reader<'_>,
) -> Result<bool, DecodeError> {
    let action = match action_type {
        OUTPUT => {
            let mut fixed = r.fixed::<12>()?;
            let (port, max_len) = (PortNo(fixed.u32()?), fixed.u16()?);
            Action::Output { port, max_len }
        }
        COPY_TTL_OUT => empty(r, Action::CopyTtlOut)?,
        COPY_TTL_IN => empty(r, Action::CopyTtlIn)?,
        SET_MPLS_TTL => Action::SetMplsTtl(padded_u8(r)?),
        DEC_MPLS_TTL => empty(r, Action::DecMplsTtl)?,
        PUSH_VLAN => Action::PushVlan(padded_u16(r)?),
        POP_VLAN => empty(r, Action::PopVlan)?,
        PUSH_MPLS => Action::PushMpls(padded_u16(r)?),
        POP_MPLS => Action::PopMpls(padded_u16(r)?),
        SET_QUEUE => Action::SetQueue(r.u32()?),
        GROUP => Action::Group(GroupId(r.u32()?)),
        SET_NW_TTL => Action::SetNwTtl(padded_u8(r)?),
        DEC_NW_TTL => empty(r, Action::DecNwTtl)?,
        SET_FIELD => return set_field(actions, r),
        PUSH_PBB => Action::PushPbb(padded_u16(r)?),
        POP_PBB => empty(r, Action::PopPbb)?,
        _ => return Ok(keep(actions, Legacy::decode(action_type, r)?)),
    };
    actions.push(action);
    Ok(true)
}

fn empty(r: &mut Reader<'_>, action: Action) -> Result<Action, DecodeError> {
    r.skip(4)?;
    Ok(action)
}

fn padded_u8(r: &mut Reader<'_>) -> Result<u8, DecodeError> {
    let value = r.u8()?;
    r.skip(3)?;
    Ok(value)
}

fn padded_u16(r: &mut Reader<'_>) -> Result<u16, DecodeError> {
    let value = r.u16()?;
    r.skip(2)?;
    Ok(value)
}

/// Reads the OXM of a set-field and its padding; says whether its field is known.
///
/// # Errors
/// `BadMask` if there is a mask, which OpenFlow 1.3 does not allow here; `BadWildcards` if the value is too big or
/// the padding is not zero, which Open vSwitch takes for one error.
#[inline]
fn set_field(actions: &mut Vec<Action>, r: &mut Reader<'_>) -> Result<bool, DecodeError> {
    r.set_part(Part::ActionField);
    let at = r.clone();
    let header = read_header(r)?;
    let Some(field) = header.field else {
        return Ok(false);
    };
    if header.has_mask() {
        return Err(at.error(Problem::BadMask { header: header.raw }));
    }
    actions.push(if field.is_wide() {
        *r = at.clone();
        Action::SetWideField(Box::new(WideField::decode(r)?))
    } else {
        let MatchField { value, .. } = MatchField::decode_body(r, &at, field, header)?;
        Action::SetField { field, value }
    });
    // The action is as long as header and OXM, rounded up to a multiple of 8.
    let len = r.offset() - at.offset() + 4;
    if r.bytes(len.next_multiple_of(8) - len)?.iter().any(|byte| *byte != 0) {
        return Err(at.error(Problem::BadWildcards { header: header.raw }));
    }
    Ok(true)
}

/// Whether [`encode`] is for this action.
#[inline]
pub(super) fn is_standard(action: &Action) -> bool {
    matches!(
        action,
        Action::Output { .. }
            | Action::CopyTtlOut
            | Action::CopyTtlIn
            | Action::SetMplsTtl(_)
            | Action::DecMplsTtl
            | Action::PushVlan(_)
            | Action::PopVlan
            | Action::PushMpls(_)
            | Action::PopMpls(_)
            | Action::SetQueue(_)
            | Action::Group(_)
            | Action::SetNwTtl(_)
            | Action::DecNwTtl
            | Action::PushPbb(_)
            | Action::PopPbb
            | Action::SetField { .. }
            | Action::SetWideField(_)
    )
}

/// Writes an action of OpenFlow 1.3.
#[inline]
pub(super) fn encode(action: &Action, w: &mut Writer<'_>) {
    match action {
        Action::Output { port, max_len } => {
            header(w, OUTPUT, 16);
            w.u32(port.0);
            w.u16(*max_len);
            w.zeros(6);
        }
        Action::CopyTtlOut => plain(w, COPY_TTL_OUT, 0),
        Action::CopyTtlIn => plain(w, COPY_TTL_IN, 0),
        Action::SetMplsTtl(ttl) => plain(w, SET_MPLS_TTL, u32::from(*ttl) << 24),
        Action::DecMplsTtl => plain(w, DEC_MPLS_TTL, 0),
        Action::PushVlan(ethertype) => plain(w, PUSH_VLAN, u32::from(*ethertype) << 16),
        Action::PopVlan => plain(w, POP_VLAN, 0),
        Action::PushMpls(ethertype) => plain(w, PUSH_MPLS, u32::from(*ethertype) << 16),
        Action::PopMpls(ethertype) => plain(w, POP_MPLS, u32::from(*ethertype) << 16),
        Action::SetQueue(queue) => plain(w, SET_QUEUE, *queue),
        Action::Group(group) => plain(w, GROUP, group.0),
        Action::SetNwTtl(ttl) => plain(w, SET_NW_TTL, u32::from(*ttl) << 24),
        Action::DecNwTtl => plain(w, DEC_NW_TTL, 0),
        Action::PushPbb(ethertype) => plain(w, PUSH_PBB, u32::from(*ethertype) << 16),
        Action::PopPbb => plain(w, POP_PBB, 0),
        Action::SetField { field, value } => {
            let mark = w.mark();
            header(w, SET_FIELD, 0);
            MatchField { field: *field, value: *value, mask: None }.encode_as(w, field.id());
            w.pad8(mark);
            w.patch_len(mark, 2);
        }
        Action::SetWideField(entry) => {
            let mark = w.mark();
            header(w, SET_FIELD, 0);
            if entry.mask.is_some() {
                w.fail(EncodeError::BadField(entry.field.name()));
            }
            entry.encode(w);
            w.pad8(mark);
            w.patch_len(mark, 2);
        }
        _ => unreachable!("Action::encode sends the others elsewhere"),
    }
}

fn header(w: &mut Writer<'_>, action_type: u16, len: u16) {
    w.u16(action_type);
    w.u16(len);
}

fn plain(w: &mut Writer<'_>, action_type: u16, argument: u32) {
    header(w, action_type, 8);
    w.u32(argument);
}
