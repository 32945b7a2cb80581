//! What is reached, by way of `pasta`.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use firesteel_sandbox::network::HostAddresses;
use firesteel_sandbox_init::network::Link;

use crate::actor::{Actor, Answer, Order};
use crate::lab::{HOST, HOST_ELSEWHERE, INTERNET, METADATA, connect, sandbox, serve, set_resolv_conf, world};
use crate::scenario::Scenario;

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario { name: "the_internet_is_reached_and_nothing_else", run: internet_and_nothing_else },
        Scenario { name: "a_network_made_before_who_is_in_it_is_as_any", run: vacant },
        Scenario { name: "what_is_allowed_is_reached", run: allowed },
        Scenario { name: "sandboxes_are_apart_whatever_is_allowed", run: everything_allowed },
        Scenario { name: "a_new_address_of_the_hosts_is_refused", run: new_address },
        Scenario { name: "a_sandbox_cannot_speak_for_another", run: spoofing },
        Scenario { name: "the_hosts_own_nameserver_answers", run: nameserver },
        Scenario { name: "there_is_no_ipv6", run: no_ipv6 },
        Scenario { name: "two_hundred_have_addresses_of_their_own", run: two_hundred },
    ]
}

fn internet_and_nothing_else() {
    // Some versions of `pasta` answer in a way that the kernel takes no notice of.
    internet_and_nothing_else_by(&Answer::Silent);
}

/// `nobody` is what comes of a port in the internet at which nobody listens; to be refused is as good.
pub(crate) fn internet_and_nothing_else_by(nobody: &Answer) {
    let mut world = world();
    let mut server = serve(&[]);
    let (mut one, link) = sandbox(&mut server.router);
    let (mut other, other_link) = sandbox(&mut server.router);
    server.router.listen("0.0.0.0:80");

    assert_eq!(one.tcp(&format!("{INTERNET}:80")), Answer::Reached);
    assert_eq!(one.udp(&format!("{INTERNET}:53")), Answer::Reached);
    assert_eq!(other.tcp(&format!("{INTERNET}:80")), Answer::Reached);
    let answer = one.tcp(&format!("{INTERNET}:81"));
    assert!([&Answer::Refused, nobody].contains(&&answer), "{answer:?}");

    let pool = server.egress.plan().pool;
    let refused = [
        HOST.to_owned(),
        HOST_ELSEWHERE.to_owned(),
        METADATA.to_owned(),
        "0.0.0.1".to_owned(),
        "100.100.100.200".to_owned(),
        "240.0.0.1".to_owned(),
        other_link.address.to_string(),
        pool.gateway().to_string(),
        pool.uplink().to_string(),
        pool.uplink_gateway().to_string(),
        pool.nameserver().to_string(),
        // An address that no sandbox has.
        pool.block().to_string().replace("0.0/16", "99.99"),
    ];
    for address in refused {
        let started = std::time::Instant::now();
        assert_eq!(one.tcp(&format!("{address}:80")), Answer::Refused, "{address}");
        assert!(started.elapsed().as_millis() < 500, "{address} was refused late");
    }
    for address in [HOST, METADATA] {
        assert_ne!(one.udp(&format!("{address}:53")), Answer::Reached, "{address}");
    }
    // Its own, not the host's.
    assert_eq!(one.tcp("127.0.0.1:80"), Answer::Reached);
    assert_eq!(one.tcp("127.0.0.1:81"), Answer::Refused);
    // What is outside does not get in, and neither does the host, whatever route it makes itself.
    assert_ne!(world.outside.tcp(&format!("{}:80", link.address)), Answer::Reached);
    assert_ne!(Actor::here().tcp(&format!("{}:80", link.address)), Answer::Reached);
}

fn vacant() {
    let _world = world();
    let mut server = serve(&[]);
    let (_other, other) = sandbox(&mut server.router);
    let namespace = server.router.vacant();
    // The router is where it was.
    let (mut last, _) = sandbox(&mut server.router);
    assert_eq!(last.tcp(&format!("{INTERNET}:80")), Answer::Reached);

    let mut one = Actor::here();
    one.go_into(&namespace);
    drop(namespace);
    one.listen("0.0.0.0:80");
    assert_eq!(one.tcp(&format!("{INTERNET}:80")), Answer::Reached);
    assert_eq!(one.tcp("127.0.0.1:80"), Answer::Reached);
    for address in [HOST, METADATA, &other.address.to_string()] {
        assert_eq!(one.tcp(&format!("{address}:80")), Answer::Refused, "{address}");
    }
    // It ends with who is in it, or with who holds it and was never in it.
    let waiting = server.router.vacant();
    let all = interfaces(&server.router);
    drop((one, waiting));
    eventually("two connections end", || interfaces(&server.router) == all - 2);
}

fn allowed() {
    let _world = world();
    let _loopback = std::net::TcpListener::bind("127.0.0.1:8081").unwrap();
    let mut server = serve(&["192.0.2.2:80", "127.0.0.1:8081", "169.254.0.0/16"]);
    let (mut sandbox, _) = sandbox(&mut server.router);
    assert_eq!(sandbox.tcp(&format!("{HOST}:80")), Answer::Reached);
    assert_eq!(sandbox.tcp(&format!("{METADATA}:80")), Answer::Reached);
    let loopback = server.egress.host_loopback().unwrap();
    assert_eq!(sandbox.tcp(&format!("{loopback}:8081")), Answer::Reached);
    // The host listens there, too.
    assert_eq!(sandbox.tcp(&format!("{loopback}:80")), Answer::Refused);
    assert_eq!(sandbox.tcp(&format!("{HOST}:8081")), Answer::Refused);
    assert_eq!(sandbox.tcp(&format!("{HOST_ELSEWHERE}:80")), Answer::Refused);
}

fn new_address() {
    const NEW: &str = "203.0.113.5";
    let _world = world();
    let mut server = serve(&[]);
    let (mut sandbox, _) = sandbox(&mut server.router);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut addresses = HostAddresses::watch(server.egress.plan().host.clone()).unwrap();
        crate::actor::ip(&format!("address add {NEW}/32 dev lo")).unwrap();
        // Before anybody says so, it is an address as any other.
        assert_eq!(sandbox.tcp(&format!("{NEW}:80")), Answer::Reached);
        let now = addresses.changed().await.unwrap();
        assert!(now.contains(&NEW.parse().unwrap()), "{now:?}");
        server.router.must(&Order::SetHost(now));
        assert_eq!(sandbox.tcp(&format!("{NEW}:80")), Answer::Refused);
        assert_eq!(sandbox.tcp(&format!("{HOST}:80")), Answer::Refused);
        assert_eq!(sandbox.tcp(&format!("{INTERNET}:80")), Answer::Reached);

        // Heard of while waiting, too.
        let changed = async { addresses.changed().await.unwrap() };
        let remove = async {
            tokio::task::yield_now().await;
            crate::actor::ip(&format!("address delete {NEW}/32 dev lo")).unwrap();
        };
        let (now, ()) = tokio::join!(changed, remove);
        assert!(!now.contains(&NEW.parse().unwrap()), "{now:?}");
    });
}

fn spoofing() {
    let _world = world();
    let mut server = serve(&[]);
    let (mut one, _) = sandbox(&mut server.router);
    let (mut other, Link { address, gateway }) = sandbox(&mut server.router);
    let (from, to) = (SocketAddr::new(address.into(), 5353), format!("{INTERNET}:53").parse().unwrap());
    other.must(&Order::Bind(from));
    // So that it knows its way before it lies.
    assert_eq!(one.tcp(&format!("{INTERNET}:80")), Answer::Reached);
    // The other would hear the answer to what was asked in its name.
    one.ip(&format!("address add {address}/32 dev eth0"));
    one.ip(&format!("route replace default via {gateway} dev eth0 src {address}"));
    one.must(&Order::Say(from, to));
    assert_eq!(other.ask(&Order::Hear), Answer::Silent);
    assert_eq!(one.tcp(&format!("{INTERNET}:80")), Answer::Silent);
}

fn everything_allowed() {
    let _world = world();
    let mut server = serve(&["0.0.0.0/0"]);
    let (mut one, _) = sandbox(&mut server.router);
    let (_other, link) = sandbox(&mut server.router);
    server.router.listen("0.0.0.0:80");
    let pool = server.egress.plan().pool;
    assert_eq!(one.tcp(&format!("{HOST}:80")), Answer::Reached);
    for address in [link.address, pool.gateway(), pool.uplink()] {
        assert_eq!(one.tcp(&format!("{address}:80")), Answer::Refused, "{address}");
    }
}

fn nameserver() {
    set_resolv_conf("nameserver 127.0.0.53\nsearch example.test\n");
    let _world = world();
    let mut host = Actor::here();
    host.must(&Order::Echo("127.0.0.53:53".parse().unwrap()));
    let mut server = serve(&[]);
    let nameserver = server.egress.plan().pool.nameserver();
    assert_eq!(server.egress.resolv_conf(), format!("nameserver {nameserver}\nsearch example.test\n"));
    let (mut sandbox, _) = sandbox(&mut server.router);
    // A program that only sends back what it got is no nameserver, but `pasta` looks no closer.
    assert_eq!(sandbox.udp(&format!("{nameserver}:53")), Answer::Reached);
    assert_ne!(sandbox.udp(&format!("{nameserver}:54")), Answer::Reached);
}

fn no_ipv6() {
    let mut server = serve(&[]);
    let (mut sandbox, _) = sandbox(&mut server.router);
    let addresses =
        std::fs::read_to_string(format!("/proc/{}/net/if_inet6", sandbox.pid())).unwrap_or_default();
    assert!(!addresses.contains("eth0"), "{addresses}");
    let Answer::Failed(error) = sandbox.tcp("[2001:db8::1]:80") else { panic!("IPv6 leads somewhere") };
    assert!(error.contains("unreachable"), "{error}");
}

fn two_hundred() {
    let _world = world();
    let mut server = serve(&[]);
    let mut sandboxes: Vec<Actor> = (0..200).map(|_| Actor::in_its_own_namespace()).collect();
    let links: BTreeSet<_> =
        sandboxes.iter_mut().map(|sandbox| connect(&mut server.router, sandbox).address).collect();
    assert_eq!(links.len(), sandboxes.len());
    let question = Order::Tcp(format!("{INTERNET}:80").parse().unwrap());
    for sandbox in &mut sandboxes {
        sandbox.send(&question);
    }
    // Of two hundred questions at once a busy machine loses some, and the kernel asks again later than is waited for here.
    let silent = sandboxes.iter_mut().filter_map(|sandbox| match sandbox.answer() {
        Answer::Silent => Some(sandbox),
        answer => {
            assert_eq!(answer, Answer::Reached);
            None
        }
    });
    let silent: Vec<_> = silent.collect();
    for sandbox in silent {
        sandbox.send(&question);
        assert_eq!(sandbox.answer(), Answer::Reached);
    }
    // Connections end with their sandboxes, soon.
    drop(sandboxes);
    eventually("no interface is left", || interfaces(&server.router) == 0);
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

/// How many of a router's lead to sandboxes.
fn interfaces(router: &Actor) -> usize {
    let all = std::fs::read_to_string(format!("/proc/{}/net/dev", router.pid())).unwrap();
    all.lines().filter(|line| line.trim_start().starts_with("sb")).count()
}
