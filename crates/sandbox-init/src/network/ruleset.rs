//! The router's rules, as `nft` reads them.
//!
//! What comes from a sandbox, in order: what belongs to a connection that was let through passes; what the user has allowed, and
//! nameservers' port 53, pass; what is never to be reached, and what is the host's, is refused; the rest passes, to the uplink only. Refused
//! at once rather than dropped, so that a function sees a failure instead of waiting for one.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use super::plan::{Allowed, LOOPBACK, RouterPlan, Uplink};
use super::prefix::Prefix;

/// How the names of all interfaces to sandboxes begin.
pub(super) const SANDBOX_INTERFACES: &str = "sb";

/// Destinations that are nobody's on the internet, and those at which cloud providers keep what is for the machine only.
const NEVER: [&str; 8] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    // Link-local: the metadata services of most providers.
    "169.254.0.0/16",
    // Multicast, and all that is reserved beyond it, the broadcast address at its end.
    "224.0.0.0/4",
    "240.0.0.0/4",
    // Metadata services elsewhere: Alibaba's, Oracle's, Azure's.
    "100.100.100.200/32",
    "192.0.0.192/32",
    "168.63.129.16/32",
];

/// All rules, for a namespace that has none.
pub(super) fn whole(plan: &RouterPlan) -> String {
    let never = NEVER.map(|block| block.to_owned()).join(", ");
    let pool = plan.pool.block();
    let nameserver = plan.pool.nameserver();
    let sandboxes = SANDBOX_INTERFACES;
    let forwarded = match plan.uplink {
        Uplink::Pasta => format!("ip daddr {nameserver} udp dport 53 accept"),
        Uplink::Veth { .. } => String::new(),
    };
    let nameservers = if plan.nameservers.is_empty() {
        String::new()
    } else {
        let addresses: Vec<String> = plan.nameservers.iter().map(ToString::to_string).collect();
        format!("ip daddr {{ {} }} meta l4proto {{ tcp, udp }} th dport 53 accept", addresses.join(", "))
    };
    let allowed = allowed(plan);
    let host = elements(&plan.host);
    format!(
        "table inet router {{
    set host {{ type ipv4_addr; flags interval; {host} }}
    chain forward {{
        type filter hook forward priority filter; policy drop;
        iifname \"{UPLINK}\" oifname \"{sandboxes}*\" ct state established,related accept
        iifname \"{sandboxes}*\" goto outgoing
    }}
    chain outgoing {{
        oifname != \"{UPLINK}\" goto refused
        meta nfproto != ipv4 drop
        ip saddr != {pool} drop
        ct state established,related accept
        ct state invalid drop
        {allowed}
        {forwarded}
        {nameservers}
        ip daddr {{ {never}, {pool} }} goto refused
        ip daddr @host goto refused
        accept
    }}
    chain refused {{
        meta l4proto tcp reject with tcp reset
        reject with icmpx admin-prohibited
    }}
    chain input {{
        type filter hook input priority filter; policy drop;
        iifname \"{sandboxes}*\" goto refused
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat;
        oifname \"{UPLINK}\" masquerade
    }}
}}
",
        UPLINK = super::Router::UPLINK,
    )
}

/// Replaces the host's addresses, in one step.
pub(super) fn host(host: &[Prefix]) -> String {
    let mut commands = "flush set inet router host\n".to_owned();
    if !host.is_empty() {
        let _ = writeln!(commands, "add element inet router host {{ {} }}", list(host));
    }
    commands
}

fn elements(blocks: &[Prefix]) -> String {
    if blocks.is_empty() { String::new() } else { format!("elements = {{ {} }};", list(blocks)) }
}

/// `nft` takes no block that lies in another.
fn list(blocks: &[Prefix]) -> String {
    let blocks: Vec<String> =
        Prefix::without_contained(blocks.to_vec()).iter().map(ToString::to_string).collect();
    blocks.join(", ")
}

/// The rules of what the user has allowed, one line each.
fn allowed(plan: &RouterPlan) -> String {
    let mut rules = String::new();
    for Allowed { block, port } in &plan.allowed {
        // The loopback's own addresses are never to be seen on a wire; it is met under another.
        let block =
            if LOOPBACK.contains(block.address()) { plan.pool.uplink_gateway().into() } else { *block };
        let _ = match port {
            Some(port) => {
                writeln!(rules, "ip daddr {block} meta l4proto {{ tcp, udp }} th dport {port} accept")
            }
            None => writeln!(rules, "ip daddr {block} accept"),
        };
    }
    rules
}

/// Has `nft` carry commands out, all or none.
pub(super) fn apply(nft: &Path, commands: &str) -> io::Result<()> {
    let about = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", nft.display()));
    let mut child = Command::new(nft)
        .args(["-f", "-"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(about)?;
    // Dropped at once: its end is what `nft` waits for. One that has given up says why below.
    let _ = child.stdin.take().expect("asked for above").write_all(commands.as_bytes());
    let output = child.wait_with_output().map_err(about)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or("it said nothing");
    Err(io::Error::other(format!("{} refuses the router's rules: {said}", nft.display())))
}
