//! Which nameservers sandboxes are told of.

use std::fs;
use std::net::Ipv4Addr;

use firesteel_sandbox_init::network::Prefix;

/// The host's file, and the one in which systemd keeps the nameservers that it asks itself.
const HOST: &str = "/etc/resolv.conf";
const SYSTEMD: &str = "/run/systemd/resolve/resolv.conf";

/// What such a file says, as far as sandboxes can use it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Resolver {
    pub(super) nameservers: Vec<Ipv4Addr>,
    /// Search lists and options, as they stand there.
    rest: Vec<String>,
}

impl Resolver {
    /// The host's, with the nameservers that can be reached from a sandbox. Where they are the host itself, which cannot, `forwarder` answers
    /// in their place, if there is one; else those that systemd asks are named.
    pub(super) fn of_host(own: &[Prefix], forwarder: Option<Ipv4Addr>) -> Self {
        let read = |path| fs::read_to_string(path).map(|text| Self::parse(&text)).unwrap_or_default();
        read(HOST).reachable(own, forwarder, || read(SYSTEMD))
    }

    fn reachable(
        mut self,
        own: &[Prefix],
        forwarder: Option<Ipv4Addr>,
        others: impl FnOnce() -> Self,
    ) -> Self {
        let is_own = |address: &Ipv4Addr| own.iter().any(|block| block.contains(*address));
        let all = std::mem::take(&mut self.nameservers);
        // Without any, a program asks the machine that it runs on.
        let asks_the_host = all.is_empty() || all.iter().any(is_own);
        self.nameservers = match forwarder {
            // It goes before others: the host may know names that they do not.
            Some(forwarder) if asks_the_host => vec![forwarder],
            _ => all.into_iter().filter(|address| !is_own(address)).collect(),
        };
        if self.nameservers.is_empty() {
            self.nameservers = others().nameservers.into_iter().filter(|address| !is_own(address)).collect();
        }
        self
    }

    fn parse(text: &str) -> Self {
        let mut resolver = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // Those of IPv6 cannot be reached.
                    resolver
                        .nameservers
                        .extend(words.next().and_then(|address| address.parse::<Ipv4Addr>().ok()));
                }
                Some("search" | "domain" | "options") => resolver.rest.push(line.trim().to_owned()),
                _ => {}
            }
        }
        resolver
    }

    /// As a file of the same kind.
    pub(super) fn text(&self) -> String {
        let nameservers = self.nameservers.iter().map(|address| format!("nameserver {address}\n"));
        nameservers.chain(self.rest.iter().map(|line| format!("{line}\n"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORWARDER: Ipv4Addr = Ipv4Addr::new(10, 254, 0, 11);

    fn text(host: &str, systemd: &str, forwarder: Option<Ipv4Addr>) -> String {
        let own = ["127.0.0.0/8", "192.0.2.2/32"].map(|block| block.parse().unwrap());
        Resolver::parse(host).reachable(&own, forwarder, || Resolver::parse(systemd)).text()
    }

    #[test]
    fn nameservers_elsewhere_are_taken_over() {
        let host =
            "# a comment\nnameserver 192.0.2.53\nnameserver fd00::1\nsearch example.test\noptions edns0\n";
        let seen = "nameserver 192.0.2.53\nsearch example.test\noptions edns0\n";
        assert_eq!(text(host, "", Some(FORWARDER)), seen);
        assert_eq!(text(host, "", None), seen);
    }

    #[test]
    fn a_nameserver_on_the_host_is_asked_by_the_forwarder() {
        for host in ["nameserver 127.0.0.53\n", "nameserver 192.0.2.2\nnameserver 198.51.100.1\n", ""] {
            assert_eq!(text(host, "nameserver 198.51.100.1\n", Some(FORWARDER)), "nameserver 10.254.0.11\n");
        }
    }

    #[test]
    fn without_a_forwarder_those_are_asked_that_the_host_asks() {
        let systemd = "nameserver 198.51.100.1\nsearch not.taken\n";
        assert_eq!(text("nameserver 127.0.0.53\n", systemd, None), "nameserver 198.51.100.1\n");
        assert_eq!(
            text("nameserver 192.0.2.2\nnameserver 198.51.100.7\n", systemd, None),
            "nameserver 198.51.100.7\n"
        );
        assert_eq!(text("nameserver 127.0.0.53\n", "", None), "");
    }
}
