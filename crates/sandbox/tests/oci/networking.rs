//! Networks with a way out. What is reached by it and what is not is tested with the router, in `tests/network`.

use std::net::{Ipv4Addr, TcpListener};

use firesteel_sandbox::Exit;
use firesteel_sandbox::namespace::Network;
use firesteel_sandbox::network::Egress;
use rustix::process::{Pid, Signal};

use crate::fixture::{Host, eventually, field, processes};
use crate::{Test, skipped};

pub(crate) const TESTS: &[Test] = &[
    ("a_way_out_leads_past_this_machine", |host| Box::pin(a_way_out_leads_past_this_machine(host))),
    ("the_end_of_the_spawner_is_not_noticed", |host| Box::pin(the_end_of_the_spawner_is_not_noticed(host))),
];

const INTERFACES: &str = "tail -n +3 /proc/net/dev | cut -d: -f1 | sort -b | xargs";

async fn a_way_out_leads_past_this_machine(host: Host) {
    let Some(egress) = egress(&host) else { return };
    let gateway = egress.plan().pool.gateway();
    let own = egress.plan().host.iter().map(|block| block.address()).find(|address| !address.is_loopback());
    let resolv_conf = egress.resolv_conf();
    let connected = Host::with_network(host.runtime, Network::Egress(egress)).unwrap();
    let mut one = connected.guest("one").await;
    let mut other = connected.guest("other").await;

    assert_eq!(one.run(INTERFACES).await.0, "eth0 lo\n");
    let (routes, _) = one.run("tail -n +2 /proc/net/route | cut -f 1-3").await;
    let next_hop = u32::from_le_bytes(gateway.octets());
    assert!(routes.contains(&format!("eth0\t00000000\t{next_hop:08X}\n")), "{routes}");
    assert_eq!(one.run("cat /etc/resolv.conf").await.0, resolv_conf);

    // Its loopback is its own, with the Runtime API.
    let listener = one.sandbox.listen().unwrap();
    let (text, status) = one.run("exec 3<>/dev/tcp/127.0.0.1/9001").await;
    assert_eq!(status, Exit::Code(0), "{text}");
    let (text, status) = other.run("exec 3<>/dev/tcp/127.0.0.1/9001").await;
    assert_eq!(status, Exit::Code(1), "{text}");
    drop(listener);

    let of_this_machine = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = of_this_machine.local_addr().unwrap().port();
    for address in [Some(gateway), own].into_iter().flatten() {
        let (text, status) = one.run(&format!("exec 3<>/dev/tcp/{address}/{port}")).await;
        assert_eq!(status, Exit::Code(1), "{text}");
        assert!(text.contains("Connection refused"), "{address}: {text}");
    }
    one.close().await;
    other.close().await;
    connected.close().await;
    assert_eq!(children(), [], "neither a spawner nor a way out");
    host.close().await;
}

async fn the_end_of_the_spawner_is_not_noticed(host: Host) {
    let Some(egress) = egress(&host) else { return };
    let connected = Host::with_network(host.runtime, Network::Egress(egress)).unwrap();
    let first = connected.guest("first").await;
    let of_this_mode = |pid: &Pid| {
        let path = format!("/proc/{}/cmdline", pid.as_raw_pid());
        std::fs::read_to_string(path).is_ok_and(|line| line.contains(firesteel_sandbox_init::SPAWNER_MODE))
    };
    let spawner = children().into_iter().find(of_this_mode).expect("it is this process's child");
    rustix::process::kill_process(spawner, Signal::KILL).unwrap();
    eventually("it has ended", || !of_this_mode(&spawner)).await;
    let mut second = connected.guest("second").await;
    assert_eq!(second.run(INTERFACES).await.0, "eth0 lo\n");
    first.close().await;
    second.close().await;
    connected.close().await;
    host.close().await;
}

fn egress(host: &Host) -> Option<Egress> {
    Egress::find(Vec::new()).inspect_err(|error| skipped(host.runtime, &error.to_string())).ok()
}

/// Of this process, and alive: what containers leave behind becomes its child too, for it to reap.
fn children() -> Vec<Pid> {
    let me = std::process::id().to_string();
    let is_living_child = |pid: &Pid| {
        field(*pid, "PPid:").is_some_and(|parent| parent == me)
            && field(*pid, "State:").is_some_and(|state| !state.starts_with('Z'))
    };
    processes().into_iter().filter(is_living_child).collect()
}
