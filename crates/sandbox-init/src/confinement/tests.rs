//! Real processes: calls made in forks of this one, programs executed under `apply`. All of it needs root, as
//! the first process of a sandbox has it.

use std::ffi::c_long;
use std::io::{PipeReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

use linux_raw_sys::general as nr;

use super::*;

/// As on AWS.
const GUEST: Confinement = Confinement { uid: 993, gid: 990, descriptors: 1024 };

/// Says so, and returns true, when this host cannot run a test.
fn skipped(reason: &str, can: bool) -> bool {
    if !can {
        assert!(std::env::var_os("FIRESTEEL_REQUIRE_ALL").is_none(), "{reason}");
        // Past the harness, which shows nothing of tests that pass.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
    }
    !can
}

fn not_root() -> bool {
    skipped("confining a process takes root", rustix::process::geteuid().is_root())
}

/// Runs `body` in a fork of this process and returns what it wrote.
fn in_a_fork(body: impl FnOnce(&mut dyn Write)) -> (PipeReader, libc::pid_t) {
    let (reading, mut writing) = std::io::pipe().unwrap();
    // SAFETY: the child allocates a little and locks nothing else; the C library keeps its heap whole in forks of
    // processes with threads. It ends without returning.
    match unsafe { libc::fork() } {
        -1 => panic!("{}", io::Error::last_os_error()),
        0 => {
            // The harness above must not go on twice.
            let body = std::panic::AssertUnwindSafe(|| body(&mut writing));
            let panicked = std::panic::catch_unwind(body).is_err();
            // SAFETY: ends the process at once, running nothing of the parent's.
            unsafe { libc::_exit(i32::from(panicked)) }
        }
        child => (reading, child),
    }
}

fn written_in_a_fork(body: impl FnOnce(&mut dyn Write)) -> String {
    let (mut reading, child) = in_a_fork(body);
    let mut written = String::new();
    reading.read_to_string(&mut written).unwrap();
    // SAFETY: our own child, of which no status is asked.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    written
}

/// Makes a call and returns its errno, or 0.
fn call(number: u32, args: [u64; 6]) -> i32 {
    let [a, b, c, d, e, f] = args;
    // SAFETY: every pointer given is either null or the last address there is, which nobody owns: the kernel
    // answers EFAULT. In a process that forked here by mistake the caller ends.
    match unsafe { libc::syscall(c_long::from(number), a, b, c, d, e, f) } {
        -1 => io::Error::last_os_error().raw_os_error().unwrap(),
        _ => 0,
    }
}

/// Both halves, in one process.
fn confine(whom: &Confinement) {
    whom.apply(&Groundwork::lay().unwrap()).unwrap();
}

/// Nothing, to whom it is an address, a descriptor or a flag.
const BAD: [u64; 6] = [u64::MAX; 6];

/// By what a test calls it, its number, its arguments.
type Call = (&'static str, u32, [u64; 6]);

/// What the filter answers to each. Unfiltered, root would get another errno: EFAULT, EINVAL or EBADF mostly.
#[rustfmt::skip]
const REFUSED: &[(i32, &[Call])] = &[
    (libc::EPERM, &[
        ("mount", nr::__NR_mount, BAD), ("umount2", nr::__NR_umount2, BAD), ("move_mount", nr::__NR_move_mount, BAD),
        ("open_tree", nr::__NR_open_tree, BAD), ("fsopen", nr::__NR_fsopen, BAD), ("fsconfig", nr::__NR_fsconfig, BAD),
        ("fsmount", nr::__NR_fsmount, BAD), ("fspick", nr::__NR_fspick, BAD), ("mount_setattr", nr::__NR_mount_setattr, BAD),
        ("open_tree_attr", nr::__NR_open_tree_attr, BAD), ("pivot_root", nr::__NR_pivot_root, BAD),
        ("chroot", nr::__NR_chroot, BAD), ("setns", nr::__NR_setns, BAD), ("unshare", nr::__NR_unshare, BAD),
        ("name_to_handle_at", nr::__NR_name_to_handle_at, BAD), ("open_by_handle_at", nr::__NR_open_by_handle_at, BAD),
        ("fanotify_init", nr::__NR_fanotify_init, BAD), ("fanotify_mark", nr::__NR_fanotify_mark, BAD),
        ("init_module", nr::__NR_init_module, BAD), ("finit_module", nr::__NR_finit_module, BAD),
        ("delete_module", nr::__NR_delete_module, BAD), ("kexec_load", nr::__NR_kexec_load, BAD),
        ("kexec_file_load", nr::__NR_kexec_file_load, BAD), ("bpf", nr::__NR_bpf, BAD),
        ("perf_event_open", nr::__NR_perf_event_open, BAD), ("userfaultfd", nr::__NR_userfaultfd, BAD),
        ("kcmp", nr::__NR_kcmp, BAD), ("lookup_dcookie", nr::__NR_lookup_dcookie, BAD), ("syslog", nr::__NR_syslog, BAD),
        ("keyctl", nr::__NR_keyctl, BAD), ("add_key", nr::__NR_add_key, BAD), ("request_key", nr::__NR_request_key, BAD),
        ("move_pages", nr::__NR_move_pages, BAD), ("migrate_pages", nr::__NR_migrate_pages, BAD),
        ("settimeofday", nr::__NR_settimeofday, BAD), ("clock_settime", nr::__NR_clock_settime, BAD),
        ("adjtimex", nr::__NR_adjtimex, BAD), ("clock_adjtime", nr::__NR_clock_adjtime, BAD),
        ("sethostname", nr::__NR_sethostname, BAD), ("setdomainname", nr::__NR_setdomainname, BAD),
        ("reboot", nr::__NR_reboot, BAD), ("swapon", nr::__NR_swapon, BAD), ("swapoff", nr::__NR_swapoff, BAD),
        ("acct", nr::__NR_acct, BAD), ("quotactl", nr::__NR_quotactl, BAD), ("quotactl_fd", nr::__NR_quotactl_fd, BAD),
        ("nfsservctl", nr::__NR_nfsservctl, BAD), ("vhangup", nr::__NR_vhangup, BAD),
        ("clone of a user namespace", nr::__NR_clone, [0x1000_0011, 0, 0, 0, 0, 0]),
        ("clone of a mount namespace", nr::__NR_clone, [0x0002_0011, 0, 0, 0, 0, 0]),
        ("clone of a network namespace", nr::__NR_clone, [0x4000_0011, 0, 0, 0, 0, 0]),
        ("TIOCSTI", nr::__NR_ioctl, [0, 0x5412, u64::MAX, 0, 0, 0]),
        ("TIOCLINUX", nr::__NR_ioctl, [0, 0x541c, u64::MAX, 0, 0, 0]),
        ("personality READ_IMPLIES_EXEC", nr::__NR_personality, [0x40_0000, 0, 0, 0, 0, 0]),
    ]),
    (libc::ENOSYS, &[
        ("clone3", nr::__NR_clone3, BAD), ("io_uring_setup", nr::__NR_io_uring_setup, BAD),
        ("io_uring_enter", nr::__NR_io_uring_enter, BAD), ("io_uring_register", nr::__NR_io_uring_register, BAD),
        ("io_setup", nr::__NR_io_setup, BAD), ("cachestat", nr::__NR_cachestat, BAD),
        ("a call of the future", 1000, BAD),
    ]),
    (libc::EAFNOSUPPORT, &[
        ("packet socket", nr::__NR_socket, [17, 3, 0, 0, 0, 0]), ("vsock", nr::__NR_socket, [40, 1, 0, 0, 0, 0]),
        ("crypto socket", nr::__NR_socket, [38, 5, 0, 0, 0, 0]),
        ("netfilter's netlink", nr::__NR_socket, [16, 3, 12, 0, 0, 0]),
    ]),
    (0, &[
        ("sync", nr::__NR_sync, BAD),
        ("unix socket", nr::__NR_socket, [1, 1, 0, 0, 0, 0]), ("tcp socket", nr::__NR_socket, [2, 1, 0, 0, 0, 0]),
        ("udp6 socket", nr::__NR_socket, [10, 2, 0, 0, 0, 0]), ("netlink for routes", nr::__NR_socket, [16, 3, 0, 0, 0, 0]),
        ("personality query", nr::__NR_personality, [0xffff_ffff, 0, 0, 0, 0, 0]),
        ("inotify", nr::__NR_inotify_init1, [0; 6]),
    ]),
];

#[cfg(target_arch = "x86_64")]
const PORTS: &[Call] = &[("iopl", nr::__NR_iopl, BAD), ("ioperm", nr::__NR_ioperm, BAD)];
#[cfg(not(target_arch = "x86_64"))]
const PORTS: &[Call] = &[];

/// Makes all those calls after `confine`, and returns what was answered otherwise than it should.
fn surprises(confine: impl FnOnce()) -> String {
    written_in_a_fork(|out| {
        // No terminal that `vhangup` could take from whoever runs this test.
        let _ = rustix::process::setsid();
        let me = rustix::process::getpid();
        confine();
        let _ = out.write_all(b"confined\n");
        for (expected, calls) in REFUSED.iter().chain(&[(libc::EPERM, PORTS)]) {
            for (name, number, args) in *calls {
                let errno = call(*number, *args);
                if rustix::process::getpid() != me {
                    // SAFETY: a copy that should not be: ends at once.
                    unsafe { libc::_exit(0) }
                }
                if errno != *expected {
                    let _ = writeln!(out, "{name}: {errno} instead of {expected}");
                }
            }
        }
    })
}

#[test]
fn the_filter_refuses_even_root() {
    if not_root() {
        return;
    }
    let filter = Filter::build();
    assert_eq!(surprises(|| filter.install().unwrap()), "confined\n");
}

#[test]
fn a_confined_process_is_refused_the_same() {
    if not_root() {
        return;
    }
    assert_eq!(surprises(|| confine(&GUEST)), "confined\n");
    let root_by_name = Confinement { uid: 0, gid: 0, ..GUEST };
    assert_eq!(surprises(|| confine(&root_by_name)), "confined\n");
}

/// Confined, with nothing of this process's environment.
fn confined(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/tmp").current_dir("/tmp");
    command.stdin(Stdio::null());
    // SAFETY: as in `in_a_fork`.
    unsafe {
        command.pre_exec(|| {
            Groundwork::lay()
                .and_then(|groundwork| GUEST.apply(&groundwork))
                .map_err(|refused| io::Error::from_raw_os_error(refused.errno))
        });
    }
    command
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn without(program: &str) -> bool {
    skipped(&format!("{program} is not on this host"), Path::new(program).exists())
}

#[test]
fn nothing_is_left_of_root() {
    if not_root() {
        return;
    }
    let output = run(confined("/bin/sh").args([
        "-c",
        "cat /proc/self/status /proc/self/limits; umask; echo oom $(cat /proc/self/oom_score_adj)",
    ]));
    let seen = String::from_utf8(output.stdout).unwrap();
    let seen: Vec<String> =
        seen.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for expected in [
        "Uid: 993 993 993 993",
        "Gid: 990 990 990 990",
        "Groups:",
        "CapInh: 0000000000000000",
        "CapPrm: 0000000000000000",
        "CapEff: 0000000000000000",
        "CapBnd: 0000000000000000",
        "CapAmb: 0000000000000000",
        "NoNewPrivs: 1",
        "Seccomp: 2",
        "Seccomp_filters: 1",
        "Max core file size 0 0 bytes",
        "Max open files 1024 1024 files",
        "Max locked memory 65536 65536 bytes",
        "0022",
        "oom 0",
    ] {
        assert!(seen.iter().any(|line| line == expected), "no {expected:?} in {seen:#?}");
    }
}

/// In a file of ours: lowering one's true score takes a right that even root may lack.
#[test]
fn a_score_below_0_is_raised_and_one_above_is_kept() {
    let file = std::env::temp_dir().join(format!("oom-score-of-{}", std::process::id()));
    for (inherited, expected) in [("-300\n", "0"), ("0\n", "0\n"), ("300\n", "300\n")] {
        std::fs::write(&file, inherited).unwrap();
        raise_oom_score(&file).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn between_apply_and_exec_nobody_may_trace_it() {
    if not_root() {
        return;
    }
    let state = written_in_a_fork(|out| {
        confine(&GUEST);
        let _ = write!(out, "{:?}", rustix::process::dumpable_behavior().unwrap());
    });
    assert_eq!(state, "NotDumpable");
    let owner = run(confined("/usr/bin/stat").args(["-c", "%u", "/proc/self/mem"]));
    assert_eq!(owner.stdout, b"993\n", "dumpable again after the exec");
}

#[test]
fn keys_of_the_server_are_out_of_reach() {
    if not_root() {
        return;
    }
    // SAFETY: no pointers. Asks for the number of the session keyring.
    let session = || unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_GET_KEYRING_ID, -3, 0) };
    let seen = written_in_a_fork(|out| {
        let before = session();
        join_new_keyring().unwrap();
        let _ = write!(out, "{}", before == session());
    });
    assert_eq!(seen, "false");
}

/// As a server without root makes it: one number, set from inside, after which nobody may change groups.
#[test]
fn a_user_namespace_of_one_number_is_confined_as_well() {
    if not_root() {
        return;
    }
    let seen = written_in_a_fork(|out| {
        rustix::thread::set_thread_res_gid(Gid::from_raw(4321), Gid::from_raw(4321), Gid::from_raw(4321))
            .unwrap();
        rustix::thread::set_thread_res_uid(Uid::from_raw(4321), Uid::from_raw(4321), Uid::from_raw(4321))
            .unwrap();
        rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable).unwrap();
        // SAFETY: one thread, no descriptors are involved.
        if let Err(error) = unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWUSER) } {
            let _ = write!(out, "none: {error}");
            return;
        }
        std::fs::write("/proc/self/setgroups", "deny").unwrap();
        std::fs::write("/proc/self/uid_map", "993 4321 1").unwrap();
        std::fs::write("/proc/self/gid_map", "990 4321 1").unwrap();
        let result = Groundwork::lay().and_then(|groundwork| GUEST.apply(&groundwork));
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let told = ["CapPrm", "CapBnd", "NoNewPrivs", "Seccomp:", "Uid"];
        let _ = writeln!(out, "{result:?}");
        for line in status.lines().filter(|line| told.iter().any(|name| line.starts_with(name))) {
            let _ = writeln!(out, "{}", line.split_whitespace().take(2).collect::<Vec<_>>().join(" "));
        }
    });
    if skipped("users may not make user namespaces here", !seen.starts_with("none")) {
        return;
    }
    assert_eq!(
        seen,
        "Ok(())\nUid: 993\nCapPrm: 0000000000000000\nCapBnd: 0000000000000000\nNoNewPrivs: 1\nSeccomp: 2\n"
    );
}

#[test]
fn a_refused_step_is_named() {
    if not_root() {
        return;
    }
    let nobody = Uid::from_raw(65534);
    let refused = written_in_a_fork(|out| {
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        let _ = writeln!(out, "{}", Groundwork::lay().unwrap_err());
    });
    assert_eq!(refused, "empty bounding set refused: Operation not permitted (os error 1)\n");
    let refused = written_in_a_fork(|out| {
        let groundwork = Groundwork::lay().unwrap();
        rustix::thread::set_thread_groups(&[]).unwrap();
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        let _ = writeln!(out, "{:?}", GUEST.apply(&groundwork).unwrap_err());
    });
    assert_eq!(refused, "Refused { step: Groups, errno: 1 }\n");
}

/// It mounts, signals and sets users after its groundwork.
#[test]
fn the_first_process_keeps_its_rights() {
    if not_root() {
        return;
    }
    let seen = written_in_a_fork(|out| {
        let before = rustix::thread::capabilities(None).unwrap();
        Groundwork::lay().unwrap();
        let _ = write!(out, "{}", before == rustix::thread::capabilities(None).unwrap());
    });
    assert_eq!(seen, "true");
}

#[test]
fn python_works() {
    if not_root() || without("/usr/bin/python3") {
        return;
    }
    run(confined("/usr/bin/python3").args(["-I", "-c", include_str!("works.py")]));
}

#[test]
fn node_works() {
    if not_root() || without("/usr/bin/node") {
        return;
    }
    run(confined("/usr/bin/node").args(["-e", include_str!("works.js")]));
}

#[test]
fn perl_works() {
    if not_root() || without("/usr/bin/perl") {
        return;
    }
    let script = "use threads; my $t = threads->create(sub { return 7 }); die unless $t->join() == 7; \
                  die unless `echo hello` eq qq(hello\\n); die unless fork() // die;";
    run(confined("/usr/bin/perl").args(["-e", script]));
}

#[test]
fn java_works() {
    if not_root() || without("/usr/bin/java") {
        return;
    }
    run(confined("/usr/bin/java").args(["-Xmx64m", "-version"]));
}

#[test]
fn ruby_works() {
    if not_root() || without("/usr/bin/ruby") {
        return;
    }
    let script = "raise unless Thread.new { 42 }.value == 42; raise unless `echo hello` == %(hello\n)";
    run(confined("/usr/bin/ruby").args(["-e", script]));
}

#[test]
fn go_works() {
    if not_root() || without("/usr/bin/go") {
        return;
    }
    // Itself a program in Go, with threads, and starts another.
    run(confined("/usr/bin/go").args(["tool", "compile", "-V"]));
}

#[test]
fn a_debugger_works_on_its_own_child() {
    if not_root() || without("/usr/bin/strace") {
        return;
    }
    let output = run(confined("/usr/bin/strace").args(["-f", "-e", "trace=execve", "/bin/true"]));
    assert!(String::from_utf8_lossy(&output.stderr).contains("execve(\"/bin/true\""));
}

#[test]
fn rust_works() {
    if not_root() {
        return;
    }
    let me = std::env::current_exe().unwrap();
    let name = "confinement::tests::guest_in_rust";
    let output = run(confined(me.to_str().unwrap()).args(["--exact", name]));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

/// What a program in Rust does. It works as it is; [`rust_works`] runs it confined.
#[test]
fn guest_in_rust() {
    let threads: Vec<_> = (0..8).map(|n| std::thread::spawn(move || n * n)).collect();
    assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).sum::<i32>(), 140);
    assert_eq!(Command::new("/bin/echo").arg("hello").output().unwrap().stdout, b"hello\n");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let there = listener.local_addr().unwrap();
    let echo = std::thread::spawn(move || listener.accept().unwrap().0.write_all(b"hi").unwrap());
    let mut heard = String::new();
    std::net::TcpStream::connect(there).unwrap().read_to_string(&mut heard).unwrap();
    echo.join().unwrap();
    assert_eq!(heard, "hi");
}
