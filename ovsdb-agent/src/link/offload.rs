//! Offloads of an interface: the ioctl behind `ethtool -K IF tx|gro on|off`.
//!
//! The only unsafe code of the workspace. No crate we may use sets these (only reads them), rtnetlink does not carry
//! them, and without them OVS's userspace datapath hands out packets whose checksum nobody ever computed, and drops those
//! that the kernel has put together on receipt.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

/// An offload that is on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Feature {
    get: u32,
    set: u32,
}

/// Transmit checksums are left to the "hardware"; segmentation offload, which needs it, goes off with it.
pub(super) const TX_CHECKSUM: Feature = Feature { get: ETHTOOL_GTXCSUM, set: ETHTOOL_STXCSUM };
/// What is received is put together to larger packets.
pub(super) const GRO: Feature = Feature { get: ETHTOOL_GGRO, set: ETHTOOL_SGRO };

/// Whether an offload is on.
///
/// # Errors
/// The system's refusal; `InvalidInput` if the name is longer than 15 bytes.
pub(super) fn is_on(control: &OwnedFd, name: &str, feature: Feature) -> io::Result<bool> {
    ethtool(control, name, EthtoolValue { cmd: feature.get, data: 0 }).map(|data| data != 0)
}

/// Switches an offload.
///
/// # Errors
/// As [`is_on`].
pub(super) fn switch(control: &OwnedFd, name: &str, feature: Feature, on: bool) -> io::Result<()> {
    ethtool(control, name, EthtoolValue { cmd: feature.set, data: u32::from(on) }).map(drop)
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
    // `ethtool_value` that lives until after the call and is all that the commands of `Feature` read or write.
    let result = unsafe { libc::ioctl(control.as_raw_fd(), SIOCETHTOOL, &mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(value.data) }
}

/// linux/sockios.h
const SIOCETHTOOL: libc::Ioctl = 0x8946;
/// linux/ethtool.h
const ETHTOOL_GTXCSUM: u32 = 0x16;
/// linux/ethtool.h
const ETHTOOL_STXCSUM: u32 = 0x17;
/// linux/ethtool.h
const ETHTOOL_GGRO: u32 = 0x2b;
/// linux/ethtool.h
const ETHTOOL_SGRO: u32 = 0x2c;
