//! Nicira's actions, which Open vSwitch adds to every version of OpenFlow.

use crate::openflow::oxm::OxmId;
use crate::openflow::port_no;
use crate::types::{GroupId, PortNo, TableId};
use crate::wire::{DecodeError, EncodeError, Fixed, Problem, Reader, Writer};

use super::{
    Action, Bundle, Controller, Ct, EXPERIMENTER, Encap, Learn, Legacy, Multipath, Nat, Sample, keep,
    subfield,
};

const RESUBMIT: u16 = 1;
const SET_TUNNEL: u16 = 2;
const SET_QUEUE: u16 = 4;
const POP_QUEUE: u16 = 5;
const REG_MOVE: u16 = 6;
const REG_LOAD: u16 = 7;
const NOTE: u16 = 8;
const SET_TUNNEL64: u16 = 9;
const MULTIPATH: u16 = 10;
const BUNDLE: u16 = 12;
const BUNDLE_LOAD: u16 = 13;
const RESUBMIT_TABLE: u16 = 14;
const OUTPUT_REG: u16 = 15;
const LEARN: u16 = 16;
const EXIT: u16 = 17;
const DEC_TTL: u16 = 18;
const FIN_TIMEOUT: u16 = 19;
const CONTROLLER: u16 = 20;
const DEC_TTL_CNT_IDS: u16 = 21;
const WRITE_METADATA: u16 = 22;
const PUSH_MPLS: u16 = 23;
const POP_MPLS: u16 = 24;
const SET_MPLS_TTL: u16 = 25;
const DEC_MPLS_TTL: u16 = 26;
const STACK_PUSH: u16 = 27;
const STACK_POP: u16 = 28;
pub(super) const SAMPLE: u16 = 29;
const SET_MPLS_LABEL: u16 = 30;
const SET_MPLS_TC: u16 = 31;
const OUTPUT_REG2: u16 = 32;
const REG_LOAD2: u16 = 33;
const CONJUNCTION: u16 = 34;
const CT: u16 = 35;
const NAT: u16 = 36;
const CONTROLLER2: u16 = 37;
pub(super) const SAMPLE2: u16 = 38;
const OUTPUT_TRUNC: u16 = 39;
const GROUP: u16 = 40;
pub(super) const SAMPLE3: u16 = 41;
const CLONE: u16 = 42;
const CT_CLEAR: u16 = 43;
const RESUBMIT_TABLE_CT: u16 = 44;
const LEARN2: u16 = 45;
const ENCAP: u16 = 46;
const DECAP: u16 = 47;
const DEC_NSH_TTL: u16 = 48;
const CHECK_PKT_LARGER: u16 = 49;
const DELETE_FIELD: u16 = 50;
const DEBUG_SLOW: u16 = 254;
const DEBUG_RECIRC: u16 = 255;

/// OFPP_IN_PORT in 16 bits.
const IN_PORT: u16 = 0xfff8;

/// An Ethernet header: no packet is cut shorter.
const ETHERNET_HEADER_LEN: u32 = 14;

/// Reads the action behind the experimenter number to the end of others; says whether its subtype is known.
///
/// Shape: subtype `u16`, the rest by subtype.
///
/// Source: `lib/ofp-actions.c` of Open vSwitch 3.1.
#[inline(always)]
pub(super) fn decode(actions: &mut Vec<Action>, r: &mut Reader<'_>, depth: u8) -> Result<bool, DecodeError> {
    let subtype = r.u16()?;
    let action = match subtype {
        REG_LOAD => subfield::reg_load(r)?,
        RESUBMIT | RESUBMIT_TABLE | RESUBMIT_TABLE_CT => resubmit(r, subtype)?,
        REG_MOVE => {
            let (src, dst) = subfield::reg_move(r)?;
            Action::RegMove { src, dst }
        }
        REG_LOAD2 => return Ok(keep(actions, subfield::reg_load2(r)?)),
        OUTPUT_REG => subfield::output_reg(r)?,
        OUTPUT_REG2 => subfield::output_reg2(r)?,
        NOTE => Action::Note(r.rest().into()),
        CONTROLLER => Action::Controller(Box::new(Controller::decode(r)?)),
        CONTROLLER2 => Action::Controller(Box::new(Controller::decode_properties(r)?)),
        CT => Action::Ct(Box::new(Ct::decode(r, depth)?)),
        NAT => Action::Nat(Box::new(Nat::decode(r)?)),
        CLONE => {
            r.skip(6)?;
            Action::Clone(Action::decode_nested(r.take(), depth + 1)?)
        }
        LEARN | LEARN2 => Action::Learn(Box::new(Learn::decode(r, subtype == LEARN2)?)),
        BUNDLE | BUNDLE_LOAD => Action::Bundle(Box::new(Bundle::decode(r, subtype == BUNDLE_LOAD)?)),
        MULTIPATH => Action::Multipath(Box::new(Multipath::decode(r)?)),
        SAMPLE | SAMPLE2 | SAMPLE3 => Action::Sample(Box::new(Sample::decode(r, subtype)?)),
        CONJUNCTION => conjunction(r)?,
        STACK_PUSH => Action::StackPush(subfield::stack(r)?),
        STACK_POP => Action::StackPop(subfield::stack(r)?),
        DELETE_FIELD => subfield::delete_field(r)?,
        CHECK_PKT_LARGER => subfield::check_pkt_larger(r)?,
        ENCAP => Action::Encap(Box::new(Encap::decode(r)?)),
        _ => return Ok(keep(actions, decode_simple(r, subtype)?)),
    };
    actions.push(action);
    Ok(true)
}

/// The actions of a few numbers, and those that Open vSwitch has for OpenFlow 1.0 only.
fn decode_simple(r: &mut Reader<'_>, subtype: u16) -> Result<Option<Action>, DecodeError> {
    let action = match subtype {
        EXIT => padded(r, Action::Exit)?,
        CT_CLEAR => padded(r, Action::CtClear)?,
        POP_QUEUE => padded(r, Action::PopQueue)?,
        DEC_NSH_TTL => padded(r, Action::DecNshTtl)?,
        DEBUG_SLOW => padded(r, Action::DebugSlow)?,
        DEBUG_RECIRC => padded(r, Action::DebugRecirc)?,
        DEC_TTL => padded(r, Action::DecNwTtl)?,
        DEC_MPLS_TTL => padded(r, Action::DecMplsTtl)?,
        SET_TUNNEL => Legacy::decode_tunnel(r)?,
        SET_TUNNEL64 => Legacy::decode_tunnel64(r)?,
        SET_QUEUE => Action::SetQueue(behind_zeros(r)?),
        GROUP => Action::Group(GroupId(behind_zeros(r)?)),
        SET_MPLS_LABEL => Action::Legacy(Legacy::SetMplsLabel(behind_zeros(r)?)),
        SET_MPLS_TC => Action::Legacy(Legacy::SetMplsTc(before_zeros(r)?.0)),
        SET_MPLS_TTL => Action::SetMplsTtl(before_zeros(r)?.0),
        PUSH_MPLS => Action::PushMpls(before_zeros(r)?.1),
        POP_MPLS => Action::PopMpls(before_zeros(r)?.1),
        DEC_TTL_CNT_IDS => dec_ttl_cnt_ids(r)?,
        FIN_TIMEOUT => {
            let (idle_timeout_s, hard_timeout_s) = (r.u16()?, r.u16()?);
            r.skip(2)?;
            Action::FinTimeout { idle_timeout_s, hard_timeout_s }
        }
        WRITE_METADATA => {
            r.skip(6)?;
            Action::WriteMetadata { metadata: r.u64()?, mask: r.u64()? }
        }
        OUTPUT_TRUNC => output_trunc(r)?,
        DECAP => {
            r.skip(2)?;
            Action::Decap { packet_type: r.u32()? }
        }
        _ => {
            r.rest();
            return Ok(None);
        }
    };
    Ok(Some(action))
}

fn padded(r: &mut Reader<'_>, action: Action) -> Result<Action, DecodeError> {
    r.skip(6)?;
    Ok(action)
}

/// Reads a `u32` that is aligned behind the subtype.
fn behind_zeros(r: &mut Reader<'_>) -> Result<u32, DecodeError> {
    r.skip(2)?;
    r.u32()
}

/// Reads a `u8` or a `u16`, whichever it is, and the zeros behind it.
fn before_zeros(r: &mut Reader<'_>) -> Result<(u8, u16), DecodeError> {
    let value = r.u16()?;
    r.skip(4)?;
    Ok(((value >> 8) as u8, value))
}

#[inline]
fn resubmit(r: &mut Reader<'_>, subtype: u16) -> Result<Action, DecodeError> {
    let mut fixed = r.fixed::<6>()?;
    let port = Some(fixed.u16()?).filter(|port| *port != IN_PORT).map(port_no::from_u16);
    let table = TableId(fixed.u8()?);
    Ok(Action::Resubmit {
        port,
        table: (subtype != RESUBMIT).then_some(table),
        with_ct_orig: subtype == RESUBMIT_TABLE_CT,
    })
}

/// Shape: clause `u8`, clauses `u8`, id `u32`.
///
/// # Errors
/// `BadConjunction` if there are not 2 to 64 clauses or this is none of them.
fn conjunction(r: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let at = r.clone();
    let (clause, n_clauses, id) = (r.u8()?, r.u8()?, r.u32()?);
    if !(2..=64).contains(&n_clauses) || clause >= n_clauses {
        return Err(at.error(Problem::BadConjunction { clause, n_clauses }));
    }
    Ok(Action::Conjunction { clause, n_clauses, id })
}

/// Shape: number of controllers `u16`, 4 zeros, their ids `u16`, zeros to a multiple of 8.
fn dec_ttl_cnt_ids(r: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let n_controllers = usize::from(r.u16()?);
    r.skip(4)?;
    let mut ids = r.sub(2 * n_controllers, r.part())?;
    let mut found = Vec::with_capacity(n_controllers);
    while !ids.is_empty() {
        found.push(ids.u16()?);
    }
    r.skip(r.len().min(7))?;
    Ok(Action::DecTtlCntIds(found.into()))
}

/// Shape: port `u16`, length `u32`.
///
/// # Errors
/// `BadValue` on a length that cuts the Ethernet header.
fn output_trunc(r: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let at = r.clone();
    let (port, max_len) = (port_no::from_u16(r.u16()?), r.u32()?);
    if max_len < ETHERNET_HEADER_LEN {
        return Err(at.error(Problem::BadValue { found: max_len.into() }));
    }
    Ok(Action::OutputTrunc { port, max_len })
}

/// Writes a Nicira action with its header.
#[inline]
pub(super) fn encode(action: &Action, w: &mut Writer<'_>) {
    let mark = w.mark();
    let mut header = Fixed::<10>::default();
    header.u16(EXPERIMENTER);
    header.u16(0);
    header.u32(OxmId::NICIRA);
    header.u16(subtype(action));
    header.append_to(w);
    encode_body(action, w);
    w.pad8(mark);
    w.patch_len(mark, 2);
}

/// The subtype that says what the action says.
fn subtype(action: &Action) -> u16 {
    match action {
        Action::Resubmit { table: None, with_ct_orig: false, .. } => RESUBMIT,
        Action::Resubmit { with_ct_orig: false, .. } => RESUBMIT_TABLE,
        Action::Resubmit { .. } => RESUBMIT_TABLE_CT,
        Action::RegMove { .. } => REG_MOVE,
        Action::RegLoad { .. } => REG_LOAD,
        Action::RegLoad2(_) | Action::WideRegLoad2(_) => REG_LOAD2,
        Action::OutputReg { src, .. } if src.field.is_experimenter() => OUTPUT_REG2,
        Action::OutputReg { .. } => OUTPUT_REG,
        Action::OutputTrunc { .. } => OUTPUT_TRUNC,
        Action::Controller(controller) if controller.needs_properties() => CONTROLLER2,
        Action::Controller(_) => CONTROLLER,
        Action::Ct(_) => CT,
        Action::Nat(_) => NAT,
        Action::CtClear => CT_CLEAR,
        Action::Clone(_) => CLONE,
        Action::Learn(learn) if learn.needs_second_form() => LEARN2,
        Action::Learn(_) => LEARN,
        Action::Bundle(bundle) if bundle.dst.is_some() => BUNDLE_LOAD,
        Action::Bundle(_) => BUNDLE,
        Action::Multipath(_) => MULTIPATH,
        Action::Sample(sample) => sample.form(),
        Action::Conjunction { .. } => CONJUNCTION,
        Action::StackPush(_) => STACK_PUSH,
        Action::StackPop(_) => STACK_POP,
        Action::DeleteField(_) => DELETE_FIELD,
        Action::CheckPktLarger { .. } => CHECK_PKT_LARGER,
        Action::Encap(_) => ENCAP,
        Action::Decap { .. } => DECAP,
        Action::DecNshTtl => DEC_NSH_TTL,
        Action::DecTtlCntIds(_) => DEC_TTL_CNT_IDS,
        Action::FinTimeout { .. } => FIN_TIMEOUT,
        Action::WriteMetadata { .. } => WRITE_METADATA,
        Action::PopQueue => POP_QUEUE,
        Action::Note(_) => NOTE,
        Action::Exit => EXIT,
        Action::DebugSlow => DEBUG_SLOW,
        Action::DebugRecirc => DEBUG_RECIRC,
        _ => unreachable!("Action::encode sends the others elsewhere"),
    }
}

fn encode_body(action: &Action, w: &mut Writer<'_>) {
    match action {
        Action::RegLoad { dst, value } => subfield::encode_reg_load(w, *dst, *value),
        Action::RegMove { src, dst } => subfield::encode_reg_move(w, *src, *dst),
        Action::Resubmit { port, table, .. } => {
            let port = port.map_or(IN_PORT, |port| port_no::to_u16(port, w));
            let mut fixed = Fixed::<6>::default();
            fixed.u16(port);
            fixed.u8(table.map_or(0, |table| table.0));
            fixed.append_to(w);
        }
        Action::RegLoad2(entry) => entry.encode(w),
        Action::WideRegLoad2(entry) => entry.encode(w),
        Action::OutputReg { src, max_len } => subfield::encode_output_reg(w, *src, *max_len),
        Action::OutputTrunc { port, max_len } => encode_output_trunc(w, *port, *max_len),
        Action::Controller(controller) if controller.needs_properties() => controller.encode_properties(w),
        Action::Controller(controller) => controller.encode(w),
        Action::Ct(ct) => ct.encode(w),
        Action::Nat(nat) => nat.encode(w),
        Action::Clone(actions) => {
            w.zeros(6);
            Action::encode_list(actions, w);
        }
        Action::Learn(learn) => learn.encode(w),
        Action::Bundle(bundle) => bundle.encode(w),
        Action::Multipath(multipath) => multipath.encode(w),
        Action::Sample(sample) => sample.encode(w),
        Action::Conjunction { clause, n_clauses, id } => {
            w.bytes(&[*clause, *n_clauses]);
            w.u32(*id);
        }
        Action::StackPush(sub) | Action::StackPop(sub) => subfield::encode_stack(w, *sub),
        Action::DeleteField(field) => {
            field.encode_header(w, false);
            w.zeros(if field.is_experimenter() { 6 } else { 10 });
        }
        Action::CheckPktLarger { dst, pkt_len } => subfield::encode_check_pkt_larger(w, *dst, *pkt_len),
        Action::Encap(encap) => encap.encode(w),
        Action::Decap { packet_type } => {
            w.zeros(2);
            w.u32(*packet_type);
        }
        Action::DecTtlCntIds(ids) => {
            w.u16_len(ids.len());
            w.zeros(4);
            ids.iter().for_each(|id| w.u16(*id));
        }
        Action::FinTimeout { idle_timeout_s, hard_timeout_s } => {
            w.u16(*idle_timeout_s);
            w.u16(*hard_timeout_s);
            w.zeros(2);
        }
        Action::WriteMetadata { metadata, mask } => {
            w.zeros(6);
            w.u64(*metadata);
            w.u64(*mask);
        }
        Action::Note(bytes) => w.bytes(bytes),
        // The others are a subtype and zeros.
        _ => w.zeros(6),
    }
}

fn encode_output_trunc(w: &mut Writer<'_>, port: PortNo, max_len: u32) {
    if max_len < ETHERNET_HEADER_LEN {
        w.fail(EncodeError::BadSubField { start: 0, len: max_len as u16 });
    }
    let port = port_no::to_u16(port, w);
    w.u16(port);
    w.u32(max_len);
}
