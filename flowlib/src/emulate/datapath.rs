//! What a datapath would be told: the packet's changes, only when they matter, between its outputs.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::packet::{Key, Nsh, VlanTag, ethertype, protocol};
use crate::text::{Names, format_port};
use crate::types::{MacAddr, MeterId, PortNo};

/// An action of a datapath.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatapathAction {
    /// Out of a port.
    Output(PortNo),
    /// New values of a header's fields, or of a field of its own.
    Set {
        /// The header.
        header: &'static str,
        /// The fields, or one without a name.
        fields: Vec<(&'static str, String)>,
    },
    /// A new tag.
    PushVlan(VlanTag),
    /// A tag off.
    PopVlan,
    /// A new label under that ethertype.
    PushMpls(u32, u16),
    /// A label off, leaving that ethertype.
    PopMpls(u16),
    /// A new Ethernet header.
    PushEthernet {
        /// Its source.
        src: MacAddr,
        /// Its destination.
        dst: MacAddr,
    },
    /// The Ethernet header off.
    PopEthernet,
    /// A new network service header.
    PushNsh(Nsh),
    /// The network service header off.
    PopNsh,
    /// Through the connection tracker.
    Ct(String),
    /// Nothing is known of the connection any more.
    CtClear,
    /// A hash is computed.
    Hash(&'static str, u32),
    /// The packet comes again.
    Recirculate(u32),
    /// To the controller.
    Controller {
        /// The reason's number.
        reason: u8,
        /// The most bytes.
        max_len: u16,
        /// Through that meter, which is for what the controller is told and not for the packet.
        meter: Option<MeterId>,
    },
    /// The next output is cut.
    Truncate(u32),
    /// Through a meter.
    Meter(MeterId),
    /// On a copy.
    Clone(Vec<DatapathAction>),
    /// One list or the other, by the packet's length.
    CheckLength {
        /// The length.
        len: u16,
        /// If it is longer.
        greater: Vec<DatapathAction>,
        /// If it is not.
        less_or_equal: Vec<DatapathAction>,
    },
}

impl DatapathAction {
    /// Appends actions as `ovs-dpctl` prints them; none is `drop`.
    pub(super) fn format_list(actions: &[Self], out: &mut String, names: Option<&Names>) {
        if actions.is_empty() {
            out.push_str("drop");
        }
        for (n, action) in actions.iter().enumerate() {
            if n > 0 {
                out.push(',');
            }
            action.format(out, names).expect("writing to a string does not fail");
        }
    }

    fn format(&self, out: &mut String, names: Option<&Names>) -> std::fmt::Result {
        match self {
            Self::Output(port) => match names.and_then(|names| names.port_name(*port)) {
                Some(name) => write!(out, "{name}"),
                None => write!(out, "{}", format_port(*port)),
            },
            Self::Set { header, fields } => {
                write!(out, "set({header}(")?;
                for (n, (name, value)) in fields.iter().enumerate() {
                    let comma = if n > 0 { "," } else { "" };
                    let equals = if name.is_empty() { "" } else { "=" };
                    write!(out, "{comma}{name}{equals}{value}")?;
                }
                write!(out, "))")
            }
            Self::PushVlan(tag) => {
                write!(out, "push_vlan(")?;
                if tag.tpid != ethertype::VLAN {
                    write!(out, "tpid={:#06x},", tag.tpid)?;
                }
                write!(out, "vid={},pcp={})", tag.vid(), tag.pcp())
            }
            Self::PopVlan => write!(out, "pop_vlan"),
            Self::PushMpls(label, eth_type) => {
                write!(out, "push_mpls({},eth_type={eth_type:#06x})", label_text(*label))
            }
            Self::PopMpls(eth_type) => write!(out, "pop_mpls(eth_type={eth_type:#x})"),
            Self::PushEthernet { src, dst } => write!(out, "push_eth(src={src},dst={dst})"),
            Self::PopEthernet => write!(out, "pop_eth"),
            Self::PushNsh(nsh) => write!(out, "push_nsh({})", nsh_text(nsh)),
            Self::PopNsh => write!(out, "pop_nsh()"),
            Self::Ct(arguments) if arguments.is_empty() => write!(out, "ct"),
            Self::Ct(arguments) => write!(out, "ct({arguments})"),
            Self::CtClear => write!(out, "ct_clear"),
            Self::Hash(algorithm, basis) => write!(out, "hash({algorithm}({basis}))"),
            Self::Recirculate(id) => write!(out, "recirc({id:#x})"),
            Self::Controller { reason, max_len, meter: Some(meter) } => {
                write!(out, "sample(sample=100.0%,actions(meter({meter}),")?;
                Self::Controller { reason: *reason, max_len: *max_len, meter: None }.format(out, names)?;
                write!(out, "))")
            }
            Self::Controller { reason, max_len, meter: None } => {
                write!(out, "userspace(controller(reason={reason},max_len={max_len}))")
            }
            Self::Truncate(len) => write!(out, "trunc({len})"),
            Self::Meter(meter) => write!(out, "meter({meter})"),
            Self::Clone(actions) => {
                out.push_str("clone(");
                Self::format_list(actions, out, names);
                out.push(')');
                Ok(())
            }
            Self::CheckLength { len, greater, less_or_equal } => {
                write!(out, "check_pkt_len(size={len},gt(")?;
                Self::format_list(greater, out, names);
                out.push_str("),le(");
                Self::format_list(less_or_equal, out, names);
                out.push_str("))");
                Ok(())
            }
        }
    }
}

fn label_text(label: u32) -> String {
    format!("label={},tc={},ttl={},bos={}", label >> 12, label >> 9 & 7, label & 0xff, label >> 8 & 1)
}

fn nsh_text(nsh: &Nsh) -> String {
    let (spi, si) = (nsh.path >> 8, nsh.path & 0xff);
    let mut text = format!(
        "flags={},ttl={},mdtype={},np={},spi={spi:#x},si={si}",
        nsh.flags, nsh.ttl, nsh.mdtype, nsh.next_proto
    );
    if nsh.mdtype == 1 {
        let [a, b, c, d] = nsh.context;
        text.push_str(&format!(",c1={a:#x},c2={b:#x},c3={c:#x},c4={d:#x}"));
    }
    text
}

/// A change that is not yet told because no field shows it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pending {
    /// A new header.
    pub(super) encap: bool,
    /// A header off.
    pub(super) decap: bool,
}

/// Tells the changes from `base` to `key`; then `base` is what the datapath has.
///
/// What a datapath cannot change is left: the headers of a packet without a protocol above IP.
///
/// Source: `commit_odp_actions` in `lib/odp-util.c` of Open vSwitch 3.1.
pub(super) fn commit(key: &Key, base: &mut Key, pending: Pending, out: &mut Vec<DatapathAction>) {
    commit_type(key, base, pending, out);
    let mut fields = Changes::new("eth");
    fields.put("src", &mut base.eth_src, key.eth_src, |mac| mac.to_string());
    fields.put("dst", &mut base.eth_dst, key.eth_dst, |mac| mac.to_string());
    fields.finish(out);
    let is_popped = ethertype::is_mpls(base.eth_type) && !ethertype::is_mpls(key.eth_type);
    if is_popped {
        commit_labels(key, base, out);
    }
    if key.nw_proto != 0 {
        commit_network(key, base, out);
        commit_transport(key, base, out);
    }
    if key.eth_type == ethertype::NSH {
        commit_nsh(key, base, out);
    }
    if !is_popped {
        commit_labels(key, base, out);
    }
    commit_vlans(key, base, out);
    for (header, place, value) in
        [("skb_priority", &mut base.queue, key.queue), ("skb_mark", &mut base.pkt_mark, key.pkt_mark)]
    {
        let mut fields = Changes::new(header);
        fields.put("", place, value, |number| format!("{number:#x}"));
        fields.finish(out);
    }
}

/// The fields of a header that change.
struct Changes {
    header: &'static str,
    fields: Vec<(&'static str, String)>,
}

impl Changes {
    fn new(header: &'static str) -> Self {
        Self { header, fields: Vec::new() }
    }

    fn put<T: PartialEq>(&mut self, name: &'static str, place: &mut T, value: T, text: fn(&T) -> String) {
        if *place != value {
            self.fields.push((name, text(&value)));
            *place = value;
        }
    }

    fn finish(self, out: &mut Vec<DatapathAction>) {
        if !self.fields.is_empty() {
            out.push(DatapathAction::Set { header: self.header, fields: self.fields });
        }
    }
}

fn commit_type(key: &Key, base: &mut Key, pending: Pending, out: &mut Vec<DatapathAction>) {
    if pending.encap {
        if key.is_ethernet() {
            out.push(DatapathAction::PushEthernet { src: key.eth_src, dst: key.eth_dst });
            base.packet_type = 0;
            (base.eth_src, base.eth_dst) = (key.eth_src, key.eth_dst);
        } else {
            out.push(DatapathAction::PushNsh(key.nsh));
            base.packet_type = key.packet_type;
            base.take_headers(key);
        }
    } else if pending.decap || key.packet_type != base.packet_type {
        if base.is_ethernet() && !key.is_ethernet() {
            out.push(DatapathAction::PopEthernet);
            base.packet_type = key.packet_type;
            (base.eth_src, base.eth_dst) = (key.eth_src, key.eth_dst);
        } else if base.packet_type & 0xffff == ethertype::NSH.into() {
            out.push(DatapathAction::PopNsh);
        }
    }
}

fn ipv4_text(address: &u32) -> String {
    Ipv4Addr::from_bits(*address).to_string()
}

fn ipv6_text(address: &u128) -> String {
    Ipv6Addr::from_bits(*address).to_string()
}

fn commit_network(key: &Key, base: &mut Key, out: &mut Vec<DatapathAction>) {
    match base.eth_type {
        ethertype::IPV4 => {
            let mut fields = Changes::new("ipv4");
            fields.put("src", &mut base.nw_src, key.nw_src, ipv4_text);
            fields.put("dst", &mut base.nw_dst, key.nw_dst, ipv4_text);
            fields.put("tos", &mut base.nw_tos, key.nw_tos, |tos| format!("{tos:#x}"));
            fields.put("ttl", &mut base.nw_ttl, key.nw_ttl, u8::to_string);
            fields.finish(out);
        }
        ethertype::IPV6 => {
            let mut fields = Changes::new("ipv6");
            fields.put("src", &mut base.ipv6_src, key.ipv6_src, ipv6_text);
            fields.put("dst", &mut base.ipv6_dst, key.ipv6_dst, ipv6_text);
            fields.put("label", &mut base.ipv6_label, key.ipv6_label, |label| format!("{label:#x}"));
            fields.put("tclass", &mut base.nw_tos, key.nw_tos, |tos| format!("{tos:#x}"));
            fields.put("hlimit", &mut base.nw_ttl, key.nw_ttl, u8::to_string);
            fields.finish(out);
            if base.nw_proto == protocol::ICMPV6 {
                commit_neighbour(key, base, out);
            }
        }
        ethertype::ARP => {
            let mut fields = Changes::new("arp");
            fields.put("sip", &mut base.nw_src, key.nw_src, ipv4_text);
            fields.put("tip", &mut base.nw_dst, key.nw_dst, ipv4_text);
            fields.put("op", &mut base.nw_proto, key.nw_proto, u8::to_string);
            fields.put("sha", &mut base.arp_sha, key.arp_sha, |mac| mac.to_string());
            fields.put("tha", &mut base.arp_tha, key.arp_tha, |mac| mac.to_string());
            fields.finish(out);
        }
        _ => {}
    }
}

fn commit_neighbour(key: &Key, base: &mut Key, out: &mut Vec<DatapathAction>) {
    let mut fields = Changes::new("nd");
    fields.put("target", &mut base.nd_target, key.nd_target, ipv6_text);
    fields.put("sll", &mut base.arp_sha, key.arp_sha, |mac| mac.to_string());
    fields.put("tll", &mut base.arp_tha, key.arp_tha, |mac| mac.to_string());
    fields.finish(out);
    let mut fields = Changes::new("nd_ext");
    fields.put("nd_reserved", &mut base.igmp_group, key.igmp_group, |word| format!("{word:#x}"));
    fields.put("nd_options_type", &mut base.tcp_flags, key.tcp_flags, u16::to_string);
    fields.finish(out);
}

fn commit_transport(key: &Key, base: &mut Key, out: &mut Vec<DatapathAction>) {
    if !ethertype::is_ip(base.eth_type) {
        return;
    }
    let (header, names) = match key.nw_proto {
        protocol::TCP => ("tcp", ("src", "dst")),
        protocol::UDP => ("udp", ("src", "dst")),
        protocol::SCTP => ("sctp", ("src", "dst")),
        protocol::ICMP if base.eth_type == ethertype::IPV4 => ("icmp", ("type", "code")),
        protocol::ICMPV6 if base.eth_type == ethertype::IPV6 => ("icmpv6", ("type", "code")),
        _ => return,
    };
    let mut fields = Changes::new(header);
    fields.put(names.0, &mut base.tp_src, key.tp_src, u16::to_string);
    fields.put(names.1, &mut base.tp_dst, key.tp_dst, u16::to_string);
    fields.finish(out);
}

fn commit_nsh(key: &Key, base: &mut Key, out: &mut Vec<DatapathAction>) {
    let mut fields = Changes::new("nsh");
    let hex = |number: &u32| format!("{number:#x}");
    fields.put("flags", &mut base.nsh.flags, key.nsh.flags, u8::to_string);
    fields.put("ttl", &mut base.nsh.ttl, key.nsh.ttl, u8::to_string);
    if base.nsh.path >> 8 != key.nsh.path >> 8 {
        fields.fields.push(("spi", format!("{:#x}", key.nsh.path >> 8)));
    }
    if base.nsh.path & 0xff != key.nsh.path & 0xff {
        fields.fields.push(("si", (key.nsh.path & 0xff).to_string()));
    }
    base.nsh.path = key.nsh.path;
    for (n, name) in ["c1", "c2", "c3", "c4"].into_iter().enumerate() {
        fields.put(name, &mut base.nsh.context[n], key.nsh.context[n], hex);
    }
    fields.finish(out);
}

/// Pops labels that are gone, changes one that may be changed, and pushes new ones.
fn commit_labels(key: &Key, base: &mut Key, out: &mut Vec<DatapathAction>) {
    let (mut base_n, key_n) = (base.n_labels(), key.n_labels());
    let mut common =
        (1..=base_n.min(key_n)).take_while(|n| base.mpls[base_n - n] == key.mpls[key_n - n]).count();
    while base_n > common {
        if base_n - 1 == common && key_n > common {
            let label = key.mpls[key_n - base_n];
            out.push(DatapathAction::Set { header: "mpls", fields: vec![("", label_text(label))] });
            base.mpls[0] = label;
            common += 1;
        } else {
            let eth_type = if base_n > 1 && key_n < 1 { ethertype::MPLS } else { key.eth_type };
            out.push(DatapathAction::PopMpls(eth_type));
            base.pop_label(eth_type);
            base_n -= 1;
        }
    }
    while base_n < key_n {
        let label = key.mpls[key_n - base_n - 1];
        out.push(DatapathAction::PushMpls(label, key.eth_type));
        base.mpls.rotate_right(1);
        base.mpls[0] = label;
        base.eth_type = key.eth_type;
        base_n += 1;
    }
}

/// Pops the tags above those that both have, and pushes the new ones.
fn commit_vlans(key: &Key, base: &mut Key, out: &mut Vec<DatapathAction>) {
    let (base_n, key_n) = (base.n_vlans(), key.n_vlans());
    let common =
        (1..=base_n.min(key_n)).take_while(|n| base.vlans[base_n - n] == key.vlans[key_n - n]).count();
    out.extend((common..base_n).map(|_| DatapathAction::PopVlan));
    out.extend(key.vlans[..key_n - common].iter().rev().map(|tag| DatapathAction::PushVlan(*tag)));
    base.vlans = key.vlans;
    base.vlans[key_n..].fill(VlanTag::default());
}
