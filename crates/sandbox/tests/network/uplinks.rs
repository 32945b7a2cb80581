//! How uplinks come and go.

use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::{Duration, Instant};

use firesteel_sandbox::network::{Egress, Unavailable};
use firesteel_sandbox_init::network::Uplink;
use firesteel_sandbox_init::tree;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::actor::{Actor, Answer, Order};
use crate::lab::{HOST, INTERNET, sandbox, serve, world};
use crate::reaching;
use crate::scenario::Scenario;

/// How the names of tests begin that run as if there were no `pasta`.
pub(crate) const WITHOUT_PASTA: &str = "masquerading";

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario { name: "pasta_that_ends_is_started_again", run: started_again },
        Scenario { name: "pasta_ends_with_its_owner", run: dropped },
        Scenario { name: "pasta_ends_with_a_killed_server", run: killed },
        Scenario { name: "pasta_works_without_root", run: without_root },
        Scenario { name: "pasta_that_cannot_start_says_why", run: says_why },
        Scenario { name: "masquerading_leads_to_the_internet_and_nowhere_else", run: masquerading },
        Scenario { name: "masquerading_needs_a_host_that_forwards", run: masquerading_needs_forwarding },
        Scenario { name: "masquerading_ends_with_a_killed_server", run: masquerading_killed },
    ]
}

fn started_again() {
    let _world = world();
    let mut server = serve(&[]);
    let (mut sandbox, _) = sandbox(&mut server.router);
    let (_, pinned) = pasta_of(rustix::process::getpid());
    kill(&pinned);
    let deadline = Instant::now() + Duration::from_secs(10);
    while sandbox.tcp(&format!("{INTERNET}:80")) != Answer::Reached {
        assert!(Instant::now() < deadline, "it was not started again");
    }
}

fn dropped() {
    let _world = world();
    let server = serve(&[]);
    let (_, pinned) = pasta_of(rustix::process::getpid());
    drop(server.uplink);
    assert!(has_ended(&pinned));
}

fn killed() {
    let _world = world();
    let (mut server, mut router) = other_server();
    let (pid, pinned) = pasta_of(pid(&server));
    server.kill();
    router.kill();
    assert!(has_ended(&pinned), "pasta {pid:?} outlives its server");
}

fn without_root() {
    let _world = world();
    crate::lab::open_tun_to_everybody();
    let mut server = Actor::as_user();
    let mut router = Actor::as_user();
    router.must(&Order::EnterAsUser(None));
    router.must(&Order::Open(Egress::find(Vec::new()).unwrap().plan().clone()));
    server.must(&Order::Serve(router.pid(), Vec::new()));
    let mut sandbox = Actor::as_user();
    sandbox.must(&Order::EnterAsUser(Some(router.pid())));
    crate::lab::connect(&mut router, &mut sandbox);
    assert_eq!(sandbox.tcp(&format!("{INTERNET}:80")), Answer::Reached);
    assert_eq!(sandbox.tcp(&format!("{HOST}:80")), Answer::Refused);
    let (_, pinned) = pasta_of(pid(&server));
    server.kill();
    router.kill();
    assert!(has_ended(&pinned), "it outlives its server");
}

fn says_why() {
    let _world = world();
    let egress = Egress::find(Vec::new()).unwrap();
    let mut router = Actor::in_its_own_namespace();
    router.must(&Order::Open(egress.plan().clone()));
    // Its name is taken.
    router.ip("link add uplink type veth peer name other");
    let error = egress.start(router.pid(), &firesteel_sandbox::InitProgram::CurrentExe).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("tun"), "{cause}");
}

fn masquerading() {
    forward();
    assert!(matches!(Egress::find(Vec::new()).unwrap().plan().uplink, Uplink::Veth { .. }));
    reaching::internet_and_nothing_else_by(&Answer::Refused);
    // The server was dropped.
    assert_eq!(tables(), "");
}

fn masquerading_needs_forwarding() {
    let Unavailable::Uplink { masquerading, .. } = Egress::find(Vec::new()).unwrap_err() else { panic!() };
    assert!(masquerading.contains("sysctl -w net.ipv4.ip_forward=1"), "{masquerading}");
    forward();
    let refused = Egress::find(vec!["127.0.0.1:80".parse().unwrap()]).unwrap_err();
    assert!(matches!(refused, Unavailable::Loopback { .. }), "{refused}");
}

fn masquerading_killed() {
    forward();
    let _world = world();
    let mut server = Actor::here();
    let mut router = Actor::in_its_own_namespace();
    let mut plan = Egress::find(Vec::new()).unwrap().plan().clone();
    plan.uplink = Uplink::Veth { pid: server.pid(), name: format!("fs{}", server.pid()) };
    router.must(&Order::Open(plan));
    server.must(&Order::Serve(router.pid(), Vec::new()));
    assert!(tables().contains("masquerade"));
    server.kill();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !tables().is_empty() {
        assert!(Instant::now() < deadline, "the table is left: {}", tables());
    }
}

/// Another process that is a server, with its router.
fn other_server() -> (Actor, Actor) {
    let mut server = Actor::here();
    let mut router = Actor::in_its_own_namespace();
    router.must(&Order::Open(Egress::find(Vec::new()).unwrap().plan().clone()));
    server.must(&Order::Serve(router.pid(), Vec::new()));
    (server, router)
}

/// This namespace, not the real host.
fn forward() {
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
}

fn tables() -> String {
    let output = Command::new("nft").args(["list", "ruleset"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn pid(actor: &Actor) -> Pid {
    Pid::from_raw(i32::try_from(actor.pid()).unwrap()).unwrap()
}

/// The one that a server has started.
fn pasta_of(server: Pid) -> (Pid, OwnedFd) {
    let is_pasta = |pid: &Pid| {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_pid()));
        // Its file is called `passt`, or `passt.avx2`.
        name.is_ok_and(|name| name.starts_with("pas"))
    };
    let pid = tree::children(server).into_iter().find(is_pasta).expect("pasta runs");
    (pid, rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap())
}

fn kill(pinned: &OwnedFd) {
    rustix::process::pidfd_send_signal(pinned, Signal::KILL).unwrap();
    assert!(has_ended(pinned));
}

fn has_ended(pinned: &OwnedFd) -> bool {
    let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
    rustix::event::poll(&mut [PollFd::new(pinned, PollFlags::IN)], Some(&limit)).unwrap() > 0
}
