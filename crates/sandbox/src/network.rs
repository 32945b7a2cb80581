//! The network of sandboxes, from the server's side: what this host has for it, and what leads outside.
//!
//! ```text
//!   Egress::find ─► its plan, to the spawner ─► Egress::start ─► Uplink, as long as the spawner lives
//!                                                 Egress::resolv_conf, for each sandbox
//!   HostAddresses ─► what changed, to the spawner
//! ```
//!
//! Sandboxes reach the outside by way of the spawner's router (see [`firesteel_sandbox_init::network`]), which is connected to it
//! once, by one of two:
//!
//! | uplink | needs | gives |
//! |---|---|---|
//! | `pasta` | the program, and `/dev/net/tun` | works without root and changes nothing on the host; the host's own nameserver and, if allowed, its loopback can be reached |
//! | masquerading | root, and a host that forwards packets already | an interface and a table of nftables on the host, both gone with the server |
//!
//! The first that this host has is taken. Settings of the host are never changed.
//!
//! However the server ends, nothing of an uplink stays: `pasta` is killed by the kernel (see
//! [`tether`](firesteel_sandbox_init::network::tether)), the table belongs to a process that reads from a pipe of the
//! server's, and interfaces go with the spawner's namespace.
//!
//! Not here: which sandbox is connected at all, and who may open what.

mod egress;
mod host_addresses;
mod masquerade;
mod pasta;
mod programs;
mod resolver;

pub use firesteel_sandbox_init::network::Allowed;

pub use egress::{Egress, StartError, Unavailable, Uplink};
pub use host_addresses::HostAddresses;
