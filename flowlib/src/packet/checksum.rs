//! Checksums.

/// The Internet checksum of bytes, beginning with a sum so far.
///
/// Source: RFC 1071.
pub(super) fn internet(sum: u32, bytes: &[u8]) -> u16 {
    let mut sum = u64::from(sum);
    let (words, last) = bytes.as_chunks::<2>();
    for word in words {
        sum += u64::from(u16::from_be_bytes(*word));
    }
    if let [last] = last {
        sum += u64::from(*last) << 8;
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The sum of the 16-bit words of a number.
pub(super) fn words(number: u128) -> u32 {
    (0..8).map(|n| u32::from((number >> (n * 16)) as u16)).sum()
}

/// CRC-32C, as in the header of SCTP. Source: RFC 9260 Appendix A.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_sums_of_the_standards() {
        // RFC 1071 §3.
        assert_eq!(internet(0, &[0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(internet(0, &[0x12]), !0x1200);
        // RFC 3720 §B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
