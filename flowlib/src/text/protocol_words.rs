//! The words for kinds of packets: `tcp` is ethertype 0x0800 and protocol 6.

/// Declares the words, each with its other names: what they stand for, and the word for that.
macro_rules! words {
    ($($word:literal $(| $alias:literal)* = $ethertype:literal $(, $protocol:literal)?;)*) => {
        /// The ethertype that a word names, and the protocol if it names one.
        pub(super) fn find(word: &str) -> Option<(u16, Option<u8>)> {
            Some(match word {
                $($word $(| $alias)* => ($ethertype, words!(@option $($protocol)?)),)*
                _ => return None,
            })
        }

        /// The word for packets, and whether it names their protocol.
        pub(super) fn word(ethertype: u16, protocol: Option<u16>) -> Option<(&'static str, bool)> {
            Some(match (ethertype, protocol) {
                $(($ethertype, words!(@pattern $($protocol)?)) => ($word, words!(@is $($protocol)?)),)*
                _ => return None,
            })
        }
    };
    (@option $protocol:literal) => { Some($protocol) };
    (@option) => { None };
    (@pattern $protocol:literal) => { Some($protocol) };
    (@pattern) => { _ };
    (@is $protocol:literal) => { true };
    (@is) => { false };
}

// A word for an ethertype stands behind those for its protocols. Source: ovs-fields(7).
words! {
    "icmp" = 0x0800, 1;
    "tcp" = 0x0800, 6;
    "udp" = 0x0800, 17;
    "sctp" = 0x0800, 132;
    "ip" | "ipv4" | "ip4" = 0x0800;
    "tcp6" = 0x86dd, 6;
    "udp6" = 0x86dd, 17;
    "icmp6" = 0x86dd, 58;
    "sctp6" = 0x86dd, 132;
    "ipv6" | "ip6" = 0x86dd;
    "arp" = 0x0806;
    "rarp" = 0x8035;
    "mpls" = 0x8847;
    "mplsm" = 0x8848;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stands_for_the_most_that_is_known() {
        assert_eq!(word(0x0800, Some(6)), Some(("tcp", true)));
        assert_eq!(word(0x0800, Some(7)), Some(("ip", false)));
        assert_eq!(word(0x86dd, None), Some(("ipv6", false)));
        assert_eq!(word(0x0806, Some(6)), Some(("arp", false)));
        assert_eq!(word(0x88cc, None), None);
        assert_eq!((find("ip4"), find("udp6")), (Some((0x0800, None)), Some((0x86dd, Some(17)))));
        assert_eq!(find("eth"), None);
    }
}
