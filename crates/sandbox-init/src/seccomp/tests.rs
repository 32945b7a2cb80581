use super::*;

/// What the program says to a call, worked out as the kernel does.
fn run(filter: &Filter, arch: u32, nr: u32, args: [u64; 6]) -> u32 {
    let mut data = Vec::new();
    data.extend(nr.to_le_bytes());
    data.extend(arch.to_le_bytes());
    data.extend(0_u64.to_le_bytes());
    data.extend(args.iter().flat_map(|argument| argument.to_le_bytes()));
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let now = filter.0[at];
        at += 1;
        let jump = |holds: bool| usize::from(if holds { now.jt } else { now.jf });
        match u32::from(now.code) {
            0x20 => {
                let from = usize::try_from(now.k).unwrap();
                accumulator = u32::from_le_bytes(data[from..from + 4].try_into().unwrap());
            }
            0x15 => at += jump(accumulator == now.k),
            0x35 => at += jump(accumulator >= now.k),
            0x45 => at += jump(accumulator & now.k != 0),
            0x06 => return now.k,
            code => panic!("no such instruction here: {code:#x}"),
        }
    }
}

fn says(nr: u32, args: &[u64]) -> u32 {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    run(&Filter::build(), ARCHITECTURE, nr, all)
}

fn errno(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()
}

const ALLOWED: u32 = libc::SECCOMP_RET_ALLOW;

#[test]
fn every_number_is_answered_as_the_table_says() {
    let filter = Filter::build();
    for nr in (0..2000).chain([0x4000_0000, 0x4000_0001, 0x4000_0200, u32::MAX]) {
        let verdict = groups()
            .find(|group| group.calls.iter().any(|(_, number)| *number == nr))
            .map_or(UNKNOWN, |group| group.verdict);
        let said = run(&filter, ARCHITECTURE, nr, [0; 6]);
        match verdict {
            Verdict::Allow => assert_eq!(said, ALLOWED, "{nr}"),
            Verdict::Answer(answer) => assert_eq!(said, errno(answer), "{nr}"),
            Verdict::AllowIf(..) => {}
        }
    }
}

#[test]
fn no_call_is_in_two_groups() {
    let mut names: Vec<_> = groups().flat_map(|group| group.calls).collect();
    let all = names.len();
    names.sort_by_key(|(_, number)| *number);
    names.dedup_by_key(|(_, number)| *number);
    assert_eq!(names.len(), all);
}

#[test]
fn numbers_of_another_architecture_kill() {
    let other = linux_raw_sys::ptrace::AUDIT_ARCH_I386;
    assert_eq!(run(&Filter::build(), other, 0, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
}

#[test]
fn threads_and_processes_are_cloned_but_no_namespace() {
    use linux_raw_sys::general::__NR_clone;
    const THREAD: u64 = 0x003d_0f00;
    assert_eq!(says(__NR_clone, &[THREAD]), ALLOWED);
    assert_eq!(says(__NR_clone, &[17]), ALLOWED);
    for bit in [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000] {
        assert_eq!(says(__NR_clone, &[bit | 17]), errno(libc::EPERM), "{bit:#x}");
        assert_eq!(says(__NR_clone, &[bit | THREAD]), errno(libc::EPERM), "{bit:#x}");
    }
}

#[test]
fn sockets_are_of_four_families() {
    use linux_raw_sys::general::{__NR_socket, __NR_socketpair};
    for family in 0..64 {
        let expected = if [1, 2, 10, 16].contains(&family) { ALLOWED } else { errno(libc::EAFNOSUPPORT) };
        assert_eq!(says(__NR_socket, &[family, 1, 0]), expected, "{family}");
        let expected = if family == 1 { ALLOWED } else { errno(libc::EAFNOSUPPORT) };
        assert_eq!(says(__NR_socketpair, &[family, 1, 0]), expected, "{family}");
    }
    for protocol in 1..32 {
        assert_eq!(says(__NR_socket, &[16, 3, protocol]), errno(libc::EAFNOSUPPORT), "{protocol}");
    }
    // The kernel does not read the upper half, so it must not make a difference.
    assert_eq!(says(__NR_socket, &[1 << 32 | 17, 1, 0]), errno(libc::EAFNOSUPPORT));
}

#[test]
fn nobody_types_into_the_terminal() {
    use linux_raw_sys::general::__NR_ioctl;
    assert_eq!(says(__NR_ioctl, &[0, 0x5401]), ALLOWED);
    for request in [0x5412, 0x541c, 1 << 32 | 0x5412] {
        assert_eq!(says(__NR_ioctl, &[0, request]), errno(libc::EPERM), "{request:#x}");
    }
}

#[test]
fn personalities_are_harmless_ones() {
    use linux_raw_sys::general::__NR_personality;
    for harmless in [0, 8, 0x2_0000, 0x2_0008, 0x4_0000, 0xffff_ffff] {
        assert_eq!(says(__NR_personality, &[harmless]), ALLOWED, "{harmless:#x}");
    }
    // Another system's; memory that can be executed when it can be read; memory at address 0.
    for other in [3, 0x40_0000, 0x10_0000] {
        assert_eq!(says(__NR_personality, &[other]), errno(libc::EPERM), "{other:#x}");
    }
}
