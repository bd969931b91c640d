//! Every action and every field has all its verbs: decode, encode, check, parse and format.

use std::collections::BTreeSet;

use super::read::ActionReader;
use super::{format_action, parse_actions};
use crate::openflow::Action;
use crate::openflow::action::Within;
use crate::openflow::oxm::{Field, FieldValue, Format, Packets, Prerequisite, field};
use crate::text::error::Piece;
use crate::text::field_value;
use crate::text::printer::Printer;
use crate::wire::{Part, Reader, Wire, Writer};

/// Text of every action that text can say in OpenFlow 1.3.
const ACTIONS: &str = "output:5,output(port=5,max_len=100),output:NXM_NX_REG0[0..15],controller(id=5),group:7,\
    bundle(eth_src,0,hrw,ofport,members:1,2),multipath(eth_src,50,modulo_n,2,0,NXM_NX_REG0[]),set_queue:4,\
    pop_queue,push_vlan:0x8100,pop_vlan,push_mpls:0x8847,pop_mpls:0x0800,push_pbb:0x88e7,pop_pbb,\
    encap(nsh(md_type=1)),decap(),copy_ttl_out,copy_ttl_in,set_mpls_ttl(3),dec_mpls_ttl,mod_nw_ttl:3,dec_ttl,\
    dec_ttl(1,2),dec_nsh_ttl,set_field:5->mpls_label,set_field:0x5->tun_metadata0,set_field:0x5/0x7->nsh_c1,\
    set_field:0x5/0x7->tun_metadata0,load:0x5->NXM_NX_REG0[0..3],move:NXM_NX_REG0[]->NXM_NX_REG1[],\
    push:NXM_NX_REG0[],pop:NXM_NX_REG0[],delete_field:tun_metadata0,check_pkt_larger(5)->NXM_NX_REG0[0],\
    resubmit(,5),clone(output:1),ct(commit,nat(src=1.2.3.4)),ct_clear,learn(table=1,output:NXM_NX_REG0[]),\
    fin_timeout(idle_timeout=5),sample(probability=5,collector_set_id=1,obs_domain_id=2,obs_point_id=3),exit,\
    note:01.02.03.04.05.06,debug_slow,debug_recirc,unknown(0x63,00.00.00.00)";

/// Actions that text has no word for, or only among others, or that it reads as another.
const OTHERS: &[&str] = &["nat", "conjunction", "copy_field", "write_metadata", "legacy"];

/// The name of a variant. Whoever adds one is asked for its text here.
fn name(action: &Action) -> &'static str {
    match action {
        Action::Output { .. } => "output",
        Action::OutputTrunc { .. } => "output_trunc",
        Action::OutputReg { .. } => "output_reg",
        Action::Controller(_) => "controller",
        Action::Group(_) => "group",
        Action::Bundle(_) => "bundle",
        Action::Multipath(_) => "multipath",
        Action::SetQueue(_) => "set_queue",
        Action::PopQueue => "pop_queue",
        Action::PushVlan(_) => "push_vlan",
        Action::PopVlan => "pop_vlan",
        Action::PushMpls(_) => "push_mpls",
        Action::PopMpls(_) => "pop_mpls",
        Action::PushPbb(_) => "push_pbb",
        Action::PopPbb => "pop_pbb",
        Action::Encap(_) => "encap",
        Action::Decap { .. } => "decap",
        Action::CopyTtlOut => "copy_ttl_out",
        Action::CopyTtlIn => "copy_ttl_in",
        Action::SetMplsTtl(_) => "set_mpls_ttl",
        Action::DecMplsTtl => "dec_mpls_ttl",
        Action::SetNwTtl(_) => "set_nw_ttl",
        Action::DecNwTtl => "dec_ttl",
        Action::DecTtlCntIds(_) => "dec_ttl_cnt_ids",
        Action::DecNshTtl => "dec_nsh_ttl",
        Action::SetField { .. } => "set_field",
        Action::SetWideField(_) => "set_wide_field",
        Action::RegLoad2(_) => "reg_load2",
        Action::WideRegLoad2(_) => "wide_reg_load2",
        Action::RegLoad { .. } => "reg_load",
        Action::RegMove { .. } => "reg_move",
        Action::CopyField { .. } => "copy_field",
        Action::StackPush(_) => "push",
        Action::StackPop(_) => "pop",
        Action::DeleteField(_) => "delete_field",
        Action::CheckPktLarger { .. } => "check_pkt_larger",
        Action::WriteMetadata { .. } => "write_metadata",
        Action::Legacy(_) => "legacy",
        Action::Resubmit { .. } => "resubmit",
        Action::Clone(_) => "clone",
        Action::Ct(_) => "ct",
        Action::Nat(_) => "nat",
        Action::CtClear => "ct_clear",
        Action::Learn(_) => "learn",
        Action::Conjunction { .. } => "conjunction",
        Action::FinTimeout { .. } => "fin_timeout",
        Action::Sample(_) => "sample",
        Action::Exit => "exit",
        Action::Note(_) => "note",
        Action::DebugSlow => "debug_slow",
        Action::DebugRecirc => "debug_recirc",
        Action::Unknown { .. } => "unknown",
    }
}

/// How many arms [`name`] has.
const N_VARIANTS: usize = 52;

/// Checks that an action comes back from its bytes and from its text.
fn returns(action: &Action) {
    let mut bytes = Vec::new();
    let mut w = Writer::new(&mut bytes);
    action.encode(&mut w);
    w.finish().unwrap();
    let mut r = Reader::new(&bytes, Part::Action);
    assert_eq!(Action::decode(&mut r).as_ref(), Ok(action));
    r.finish().unwrap();
    assert_eq!(parse_actions(&format_action(action), None).as_deref(), Ok(std::slice::from_ref(action)));
    action.check(&mut Packets::any(), Within::List).unwrap();
}

#[test]
fn every_action_has_every_verb() {
    let actions = parse_actions(ACTIONS, None).unwrap_or_else(|error| panic!("{error}"));
    let mut seen: BTreeSet<_> = OTHERS.iter().copied().collect();
    for action in &actions {
        returns(action);
        assert!(seen.insert(name(action)), "{} comes twice", name(action));
    }
    returns(&parse_actions("conjunction(5,1/2)", None).unwrap()[0]);
    assert_eq!(seen.len(), N_VARIANTS, "an action is missing: {seen:?}");
}

#[test]
fn every_field_has_every_verb() {
    // As ovs-ofctl prints a ct_state that is learned, neither it nor we read it.
    for known in Field::all().filter(|known| !known.is_wide() && *known != field::CT_STATE) {
        let value = match known.info().format {
            Format::Frag => FieldValue::from(3_u8),
            _ if known == field::NW_TOS => FieldValue::from(8_u8),
            _ => FieldValue::from(1_u8),
        };
        let mut text = String::new();
        let mask = (known.info().format == Format::Frag).then(|| FieldValue::from(3_u8));
        field_value::format(&mut Printer::plain(&mut text), known, value, mask, field_value::Use::Action);
        let (again, _) = field_value::parse(known, Piece::new(&text), None)
            .unwrap_or_else(|error| panic!("{known}={text}: {error}"));
        assert_eq!(again, value, "{known}={text}");
        assert_eq!(Field::from_id(known.id()), Some(known));
        assert_eq!(Field::from_id(known.info().action_id), Some(known));
        let has_it = Packets::any().has(known.info().prerequisite);
        assert!(has_it && !known.info().prerequisite.needs().is_empty(), "{known}");
    }
}

#[test]
fn a_field_is_set_only_in_packets_that_have_it() {
    let none = Packets::of(&crate::openflow::Match::new());
    for known in Field::all().filter(|known| known.info().writable && !known.is_wide()) {
        let mut reader = ActionReader::new(none, None);
        let text = format_action(&Action::set_field(known, 8_u8));
        let read = reader.list(Piece::new(&text), Within::List);
        let is_free = matches!(known.info().prerequisite, Prerequisite::None | Prerequisite::Ethernet);
        let special = [field::VLAN_VID, field::IN_PORT, field::CT_MARK, field::CT_LABEL, field::TUN_FLAGS];
        // Text has no name for it.
        if !special.contains(&known) && known != field::PBB_ISID && known.n_bits() > 3 {
            assert_eq!(read.is_ok(), is_free, "{text}: {read:?}");
        }
    }
}

#[test]
fn errors_say_where_and_what_would_be_right() {
    for (text, column, says) in [
        ("output:1,frobnicate(2)", 10, "not an action"),
        ("load:5->NXM_NX_REG0[0..32]", 21, "are not bits of the field"),
        ("load:16->NXM_NX_REG0[0..3]", 6, "does not fit in 4 bits"),
        ("set_field:1.2.3->ip_src", 11, "an IPv4 address"),
        ("set_field:5->eth_type", 14, "read-only"),
        ("ct(commit,foo)", 11, "commit, force, table"),
        ("output:1,conjunction(1,1/2)", 10, "only note does"),
        ("conjunction(1,3/2)", 15, "a clause from 1"),
        ("set_field:5->ct_mark", 1, "only within ct(commit,exec"),
        ("drop,output:1", 1, "only without other actions"),
        ("70000", 1, "a port"),
        ("learn(table=1,reg0=reg1[40])", 25, "are not bits of the field"),
        ("output:1,note:01,conjunction(1,1/2)", 18, "only note does"),
    ] {
        let error = parse_actions(text, None).unwrap_err();
        assert!(error.column == column && error.to_string().contains(says), "{text}: {error}");
        assert!(error.code().name().is_some());
    }
}

#[test]
fn conjunctions_stand_beside_notes_and_in_lists_of_their_own() {
    for text in ["note:01,conjunction(1,1/2),conjunction(2,1/2)", "clone(conjunction(1,1/2)),output:1"] {
        assert!(parse_actions(text, None).is_ok(), "{text}");
    }
    assert!(parse_actions("conjunction(1,1/2),clone(output:1)", None).is_err());
}

#[test]
fn deep_actions_are_refused_and_do_no_harm() {
    let deep = "clone(".repeat(5000) + &")".repeat(5000);
    assert_eq!(parse_actions(&deep, None).unwrap_err().code(), crate::openflow::ErrorCode::OFPBAC_TOO_MANY);
    let mut bytes = Vec::new();
    for at in 0..4000_u16 {
        let len = 16 * (4000 - at);
        bytes.extend([0xff, 0xff, (len >> 8) as u8, len as u8, 0, 0, 0x23, 0x20, 0, 42, 0, 0, 0, 0, 0, 0]);
    }
    assert!(Action::decode(&mut Reader::new(&bytes, Part::Action)).is_err());
}
