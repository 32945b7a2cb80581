//! The network of sandboxes, from inside: what the process does that stands in the namespace concerned.
//!
//! ```text
//!   sandbox                          router (the spawner's own namespace)                   outside
//!   eth0 ───────────── veth pair ─── sb65536 ─┐
//!   10.254.1.0, via 10.254.0.1                ├─ nftables: filter, masquerade ─ uplink ─── pasta, or a veth pair
//!   sandbox                                   │
//!   eth0 ───────────── veth pair ─── sb65537 ─┘
//! ```
//!
//! - [`Router`] is opened once, by the process that makes sandboxes, in a network namespace of its own; then each
//!   sandbox is connected to it. What the router is to be comes as a [`RouterPlan`], made by the server.
//! - [`loopback_up`], [`configure`] and [`unbound_socket`] are called by the first process of a sandbox, in the sandbox's own
//!   namespace. None of them takes longer than some tens of microseconds.
//! - [`vacant`] does both for a sandbox that somebody else makes: its namespace is there, connected and configured, before
//!   anyone is in it.
//! - [`routes`] and [`Interface`] are for the server, in the host's namespace.
//! - [`tether`] keeps a helper program alive as long as the server, and no longer.
//!
//! IPv4 only, as the network of a function on AWS is by default: there is no IPv6 address but the loopback's, no route, and the
//! router passes nothing of it on.
//!
//! It refuses to decide: what may be reached, which addresses are free, and which programs do the work stand in the plan.

pub mod routes;
pub mod tether;

mod link;
mod netlink;
mod plan;
mod prefix;
mod router;
mod ruleset;
mod vacant;

pub use link::{Interface, Link, configure, loopback_up, unbound_socket};
pub use plan::{Allowed, Pool, RouterPlan, Uplink};
pub use prefix::{Prefix, PrefixError};
pub use router::Router;
pub use vacant::vacant;
