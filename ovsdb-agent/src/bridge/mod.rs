//! The node's two bridges in Open vSwitch: what they should be, and how they become so.
//!
//! ```text
//!   NIC ── br-phy (standalone) ── weir-int ══ patch ══ uplink ── br-int (secure, the controller's) ── we1024 …
//!            │ the host's tunnel address                             └ vxlan (port 2)
//! ```
//!
//! `desired` says what there should be, `reconcile` compares (pure), `switch` carries out and waits for ovs-vswitchd,
//! `endpoint` is the short way for one port, `dismantle` the way back. `offload` tells whether ovs-vswitchd runs with userspace TSO.

pub mod desired;
pub mod dismantle;
pub mod endpoint;
pub mod offload;
pub mod reconcile;
pub mod switch;

pub use desired::{BR_INT, BR_PHY, Desired, EndpointPort, MONITORED, SslFiles};
pub use dismantle::{Rest, dismantle};
pub use endpoint::{EndpointState, PlugError};
pub use reconcile::reconcile;
pub use switch::{Switch, SwitchError};
