//! The hashes by which Open vSwitch chooses buckets, links and ports.
//!
//! Their values decide where a packet goes, so they are the same here, bit for bit, as in a build of Open vSwitch
//! for any x86-64. Words are read in the order of a little-endian machine.
//!
//! Source: `lib/hash.h`, `lib/jhash.c` and `lib/flow.c` of Open vSwitch 3.1.

use crate::openflow::action::HashFields;
use crate::packet::{Key, ethertype, protocol};

/// MurmurHash3 of a word, added to a hash.
fn add(hash: u32, word: u32) -> u32 {
    let word = word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    (hash ^ word).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
}

fn finish(hash: u32, last: u32) -> u32 {
    let hash = hash ^ last;
    let hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// The hash of two words.
pub(super) fn two_words(first: u32, second: u32) -> u32 {
    finish(add(add(first, 0), second), 8)
}

/// Little-endian words; the last is filled up with zeros.
fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.chunks(4).map(|chunk| chunk.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)))
}

/// Bob Jenkins' lookup3. Source: <http://burtleburtle.net/bob/c/lookup3.c>.
fn jenkins(data: &[u8], basis: u32) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(data.len() as u32).wrapping_add(basis);
    let (mut a, mut b, mut c) = (start, start, start);
    let (blocks, rest) = data.as_chunks::<12>();
    let take = |a: &mut u32, b: &mut u32, c: &mut u32, block: &[u8]| {
        for (sum, word) in [a, b, c].into_iter().zip(words(block)) {
            *sum = sum.wrapping_add(word);
        }
    };
    for block in blocks {
        take(&mut a, &mut b, &mut c, block);
        (a, b, c) = jenkins_mix(a, b, c);
    }
    if rest.is_empty() {
        return c;
    }
    take(&mut a, &mut b, &mut c, rest);
    for (n, m, k) in [(14, 11, 25), (16, 4, 14)] {
        c = (c ^ b).wrapping_sub(b.rotate_left(n));
        a = (a ^ c).wrapping_sub(c.rotate_left(m));
        b = (b ^ a).wrapping_sub(a.rotate_left(k));
    }
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

fn jenkins_mix(mut a: u32, mut b: u32, mut c: u32) -> (u32, u32, u32) {
    for (n, m, k) in [(4, 6, 8), (16, 19, 4)] {
        a = a.wrapping_sub(c) ^ c.rotate_left(n);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(m);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(k);
        b = b.wrapping_add(a);
    }
    (a, b, c)
}

/// The hash of what `fields` names of a packet.
pub(super) fn fields(key: &Key, fields: HashFields, basis: u16) -> u32 {
    let basis = u32::from(basis);
    match fields {
        HashFields::ETH_SRC => jenkins(&key.eth_src.0, basis),
        HashFields::SYMMETRIC_L3L4 => symmetric_l3l4(key, basis, false),
        HashFields::SYMMETRIC_L3L4_UDP => symmetric_l3l4(key, basis, true),
        HashFields::NW_SRC => address(key, key.nw_src, key.ipv6_src, basis),
        HashFields::NW_DST => address(key, key.nw_dst, key.ipv6_dst, basis),
        HashFields::SYMMETRIC_L3 => {
            let mut data = [0; 20];
            data[..16].copy_from_slice(&both_addresses(key));
            data[16..18].copy_from_slice(&key.eth_type.to_be_bytes());
            jenkins(&data, basis)
        }
        _ => symmetric_l4(key, basis),
    }
}

fn address(key: &Key, ipv4: u32, ipv6: u128, basis: u32) -> u32 {
    match key.eth_type {
        ethertype::IPV4 => jenkins(&ipv4.to_be_bytes(), basis),
        ethertype::IPV6 => jenkins(&ipv6.to_be_bytes(), basis),
        _ => basis,
    }
}

/// Source and destination address, exclusive or.
fn both_addresses(key: &Key) -> [u8; 16] {
    match key.eth_type {
        ethertype::IPV4 => (u128::from(key.nw_src ^ key.nw_dst) << 96).to_be_bytes(),
        ethertype::IPV6 => (key.ipv6_src ^ key.ipv6_dst).to_be_bytes(),
        _ => [0; 16],
    }
}

fn both_macs(key: &Key) -> [u8; 6] {
    std::array::from_fn(|n| key.eth_src.0[n] ^ key.eth_dst.0[n])
}

fn all_vids(key: &Key) -> u16 {
    key.vlans.iter().fold(0, |all, tag| all ^ tag.vid())
}

/// A hash that is the same in both directions. The ports of UDP are left out: they often are not symmetric.
pub(super) fn symmetric_l4(key: &Key, basis: u32) -> u32 {
    let is_ip = ethertype::is_ip(key.eth_type);
    let mut data = [0; 32];
    data[..16].copy_from_slice(&both_addresses(key));
    data[16..18].copy_from_slice(&key.eth_type.to_be_bytes());
    data[18..20].copy_from_slice(&all_vids(key).to_be_bytes());
    if is_ip && matches!(key.nw_proto, protocol::TCP | protocol::SCTP) {
        data[20..22].copy_from_slice(&(key.tp_src ^ key.tp_dst).to_be_bytes());
    }
    data[22..28].copy_from_slice(&both_macs(key));
    data[28] = if is_ip { key.nw_proto } else { 0 };
    jenkins(&data, basis)
}

fn symmetric_l3l4(key: &Key, basis: u32, has_udp: bool) -> u32 {
    let mut hash = basis;
    match key.eth_type {
        ethertype::IPV4 => hash = add(hash, (key.nw_src ^ key.nw_dst).swap_bytes()),
        ethertype::IPV6 => {
            hash = words(&(key.ipv6_src ^ key.ipv6_dst).to_be_bytes()).fold(hash, add);
        }
        _ => return symmetric_l2(key, basis),
    }
    hash = add(hash, key.nw_proto.into());
    let has_ports =
        matches!(key.nw_proto, protocol::TCP | protocol::SCTP) || has_udp && key.nw_proto == protocol::UDP;
    if has_ports && key.nw_frag == 0 {
        hash = add(hash, (key.tp_src ^ key.tp_dst).swap_bytes().into());
    }
    finish(hash, basis)
}

fn symmetric_l2(key: &Key, basis: u32) -> u32 {
    if !key.is_ethernet() {
        return 0;
    }
    let mut data = [0; 12];
    data[..2].copy_from_slice(&key.eth_type.to_be_bytes());
    data[2..4].copy_from_slice(&all_vids(key).to_be_bytes());
    data[4..10].copy_from_slice(&both_macs(key));
    finish(words(&data).fold(basis, add), basis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_what_the_originals_hash() {
        // lookup3.c, driver5.
        assert_eq!(jenkins(b"Four score and seven years ago", 0), 0x1777_0551);
        assert_eq!(jenkins(b"Four score and seven years ago", 1), 0xcd62_8161);
    }

    #[test]
    fn a_symmetric_hash_is_the_same_both_ways() {
        let key = Key {
            eth_type: ethertype::IPV4,
            nw_src: 1,
            nw_dst: 2,
            nw_proto: 6,
            tp_src: 3,
            tp_dst: 4,
            ..Key::default()
        };
        let back = Key { nw_src: 2, nw_dst: 1, tp_src: 4, tp_dst: 3, ..key.clone() };
        assert_eq!(symmetric_l4(&key, 5), symmetric_l4(&back, 5));
        assert_ne!(symmetric_l4(&key, 5), symmetric_l4(&key, 6));
    }
}
