//! Checksum offload of an interface: the ioctl behind `ethtool -K IF tx on|off`.
//!
//! The only unsafe code of the workspace. No crate we may use sets these (only reads them), rtnetlink does not carry
//! them, and without them OVS's userspace datapath hands out packets whose checksum nobody ever computed.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

/// Whether the interface leaves transmit checksums to its "hardware".
///
/// # Errors
/// The system's refusal; `InvalidInput` if the name is longer than 15 bytes.
pub(super) fn tx_checksum(control: &OwnedFd, name: &str) -> io::Result<bool> {
    ethtool(control, name, EthtoolValue { cmd: ETHTOOL_GTXCSUM, data: 0 }).map(|data| data != 0)
}

/// Switches transmit checksum offload; segmentation offload, which needs it, goes off with it.
///
/// # Errors
/// As [`tx_checksum`].
pub(super) fn set_tx_checksum(control: &OwnedFd, name: &str, on: bool) -> io::Result<()> {
    ethtool(control, name, EthtoolValue { cmd: ETHTOOL_STXCSUM, data: u32::from(on) }).map(drop)
}

/// `struct ethtool_value` of linux/ethtool.h.
#[repr(C)]
struct EthtoolValue {
    cmd: u32,
    data: u32,
}

/// The ioctl itself; gives back `data` as the kernel left it.
// The kernel reads and writes through a pointer inside the request: there is no safe wrapper for that.
#[allow(unsafe_code)]
fn ethtool(control: &OwnedFd, name: &str, mut value: EthtoolValue) -> io::Result<u32> {
    let mut ifr_name: [libc::c_char; libc::IFNAMSIZ] = [0; libc::IFNAMSIZ];
    if name.is_empty() || name.len() >= libc::IFNAMSIZ {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    for (to, from) in ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    let pointer: *mut EthtoolValue = &mut value;
    let mut request =
        libc::ifreq { ifr_name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_data: pointer.cast() } };
    // SAFETY: `request` is a complete `struct ifreq` whose name ends in a zero byte; `ifru_data` points to an
    // `ethtool_value` that lives until after the call and is all that these two commands read or write.
    let result = unsafe { libc::ioctl(control.as_raw_fd(), SIOCETHTOOL, &mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(value.data) }
}

/// linux/sockios.h
const SIOCETHTOOL: libc::Ioctl = 0x8946;
/// linux/ethtool.h
const ETHTOOL_GTXCSUM: u32 = 0x16;
/// linux/ethtool.h
const ETHTOOL_STXCSUM: u32 = 0x17;
