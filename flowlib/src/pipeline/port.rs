//! The port numbers of br-int, the same on every node.

use std::ops::RangeInclusive;

use crate::types::PortNo;

/// The patch port to br-phy.
pub const UPLINK: PortNo = PortNo(1);
/// The flow-based VXLAN port.
pub const TUNNEL: PortNo = PortNo(2);
/// What endpoints ask for: clear of the first numbers, which Open vSwitch gives to ports that ask for none.
pub const ENDPOINTS: RangeInclusive<u32> = 1024..=PortNo::MAX_OVS.0;
