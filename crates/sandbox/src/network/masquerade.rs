//! The uplink of a server that is root on a host which forwards packets: a pair of interfaces between host and router, and a table of the
//! host's nftables that gives what comes from the router the host's own address.
//!
//! The table has an owner, `nft` in its interactive mode: the kernel removes it when that process ends, and that ends with the pipe it
//! reads from. The pair was made by the router and goes with it.

use std::ffi::CString;
use std::fs;
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use firesteel_sandbox_init::network::{Interface, Pool};

/// Why this host cannot, and what to type.
pub(super) fn why_not() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("masquerading is for root".to_owned());
    }
    let forwards = fs::read_to_string("/proc/sys/net/ipv4/ip_forward").is_ok_and(|value| value.trim() == "1");
    (!forwards).then(|| {
        "masquerading needs a host that forwards packets: `sysctl -w net.ipv4.ip_forward=1`".to_owned()
    })
}

/// What the host's end of the pair is called. One server has one; a name has 15 characters at most.
pub(super) fn interface() -> String {
    format!("fs{}", std::process::id())
}

/// Masquerading, until dropped.
#[derive(Debug)]
pub(super) struct Masquerade {
    /// Owns the table.
    nft: Child,
    /// What it writes to. Closed, it would end at its next word.
    _output: BufReader<PipeReader>,
}

impl Masquerade {
    /// Configures the host's end, and has the host masquerade.
    ///
    /// A firewall of the host's that drops what is forwarded does so still: no table can let through what another drops.
    pub(super) fn start(nft: &Path, pool: Pool) -> io::Result<Self> {
        let name = interface();
        let end = CString::new(name.as_str()).expect("made of letters and digits");
        Interface::named(&end)?.bring_up(pool.uplink_gateway(), Pool::UPLINK_BITS)?;
        let (output, theirs) = io::pipe()?;
        let mut child = Command::new(nft)
            .arg("-i")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(theirs.try_clone()?)
            .stderr(theirs)
            .spawn()?;
        let commands = commands(&name, pool);
        let written = child.stdin.as_mut().expect("asked for above").write_all(commands.as_bytes());
        let mut output = BufReader::new(output);
        // It goes on after an error; either the first line is that, or the table as it was asked for at the end.
        let mut first = String::new();
        let read = written.and_then(|()| output.read_line(&mut first));
        let masquerade = Self { nft: child, _output: output };
        read?;
        if first.starts_with("table") {
            Ok(masquerade)
        } else {
            Err(io::Error::other(format!("{} refuses to masquerade: {}", nft.display(), first.trim())))
        }
    }
}

impl Drop for Masquerade {
    fn drop(&mut self) {
        // Fails when it has ended, which comes to the same.
        let _ = self.nft.kill();
        let _ = self.nft.wait();
    }
}

fn commands(interface: &str, pool: Pool) -> String {
    let table = format!("ip firesteel_{interface}");
    let router = pool.uplink();
    format!(
        "add table {table} {{ flags owner; }}; \
         add chain {table} postrouting {{ type nat hook postrouting priority srcnat; }}; \
         add rule {table} postrouting ip saddr {router} oifname != \"{interface}\" masquerade\n\
         list table {table}\n"
    )
}
