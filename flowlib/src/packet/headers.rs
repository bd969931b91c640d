//! Headers that come and go.

use super::key::{Key, VlanTag, ethertype};

impl Key {
    /// A new outermost tag in VLAN 0; one more than there is room for falls off at the other end.
    pub fn push_vlan(&mut self, tpid: u16) {
        self.vlans.rotate_right(1);
        self.vlans[0] = VlanTag { tpid, tci: VlanTag::PRESENT };
    }

    /// The outermost tag off, if there is one.
    pub fn pop_vlan(&mut self) {
        if let Some(tag) = self.vlans.first_mut().filter(|tag| tag.is_present()) {
            *tag = VlanTag::default();
            self.vlans.rotate_left(1);
        }
    }

    /// A new outermost label, a copy of the one below it; the first is made from the packet, and hides all above the
    /// link layer. Says whether there was room.
    pub fn push_label(&mut self, eth_type: u16) -> bool {
        let n = self.n_labels();
        if n >= Self::MAX_LABELS {
            return false;
        }
        if n > 0 {
            self.mpls.rotate_right(1);
            self.mpls[0] = self.mpls[1] & !Self::MPLS_BOTTOM;
        } else {
            // Explicit null of the packet's own protocol. Source: RFC 3032 §2.1.
            let label = if self.eth_type == ethertype::IPV6 { 2 } else { 0 };
            let is_ip = ethertype::is_ip(self.eth_type);
            let class = if is_ip { u32::from(self.nw_tos >> 2) & 7 } else { 0 };
            let ttl = if is_ip && self.nw_ttl != 0 { self.nw_ttl } else { 64 };
            self.clear_network();
            self.mpls[0] = label << 12 | class << 9 | Self::MPLS_BOTTOM | u32::from(ttl);
            self.dp_hash = 0;
        }
        self.eth_type = eth_type;
        true
    }

    /// The outermost label off; what is left has that ethertype. Says whether there was one, and room to know what
    /// is below it.
    pub fn pop_label(&mut self, eth_type: u16) -> bool {
        let n = self.n_labels();
        if n == 0 || n == Self::MAX_LABELS && self.mpls[n - 1] & Self::MPLS_BOTTOM == 0 {
            return false;
        }
        self.mpls[0] = 0;
        self.mpls[..n].rotate_left(1);
        self.eth_type = eth_type;
        true
    }

    /// Forgets all headers above the link layer.
    pub fn clear_network(&mut self) {
        let empty = Self::default();
        self.take_network(&empty);
        self.mpls = empty.mpls;
    }

    /// Takes all headers from another packet, and leaves what is known besides.
    pub fn take_headers(&mut self, from: &Self) {
        (self.eth_src, self.eth_dst, self.eth_type) = (from.eth_src, from.eth_dst, from.eth_type);
        self.vlans = from.vlans;
        self.mpls = from.mpls;
        self.take_network(from);
    }

    /// Takes all headers above the link layer and the labels from another packet.
    pub fn take_network(&mut self, from: &Self) {
        (self.nw_src, self.nw_dst) = (from.nw_src, from.nw_dst);
        (self.ipv6_src, self.ipv6_dst, self.ipv6_label) = (from.ipv6_src, from.ipv6_dst, from.ipv6_label);
        (self.nw_frag, self.nw_tos, self.nw_ttl, self.nw_proto) =
            (from.nw_frag, from.nw_tos, from.nw_ttl, from.nw_proto);
        (self.nd_target, self.arp_sha, self.arp_tha) = (from.nd_target, from.arp_sha, from.arp_tha);
        (self.tcp_flags, self.tp_src, self.tp_dst) = (from.tcp_flags, from.tp_src, from.tp_dst);
        (self.igmp_group, self.nsh) = (from.igmp_group, from.nsh);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_popped() {
        let mut key =
            Key { eth_type: ethertype::IPV4, nw_tos: 0x2c, nw_ttl: 9, nw_proto: 6, ..Key::default() };
        key.push_vlan(ethertype::VLAN);
        key.push_vlan(ethertype::VLAN_SERVICE);
        assert_eq!(key.n_vlans(), 2);
        key.pop_vlan();
        assert_eq!((key.n_vlans(), key.vlans[0].tpid), (1, ethertype::VLAN));

        assert!(key.push_label(ethertype::MPLS));
        assert_eq!((key.mpls[0], key.nw_proto, key.n_labels()), (3 << 9 | 1 << 8 | 9, 0, 1));
        assert!(key.push_label(ethertype::MPLS) && key.push_label(ethertype::MPLS));
        assert!(!key.push_label(ethertype::MPLS));
        assert_eq!((key.mpls[0] & Key::MPLS_BOTTOM, key.n_labels()), (0, 3));
        for left in [2, 1, 0] {
            let eth_type = if left > 0 { ethertype::MPLS } else { ethertype::IPV4 };
            assert!(key.pop_label(eth_type));
            assert_eq!(key.n_labels(), left);
        }
        assert!(!key.pop_label(ethertype::IPV4));
    }
}
