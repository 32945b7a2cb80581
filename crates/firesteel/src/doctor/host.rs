//! What the kernel of this host allows, and how much there is. None of it decides: that it works is tried elsewhere; here is
//! why it may not.

use std::fs;

use firesteel_sandbox::HostGroups;

use super::Check;
use crate::capacity::Memory;
use crate::isolation::is_root;

pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![user(is_root())];
    if cfg!(target_os = "linux") {
        let sysctl = |name: &str| fs::read_to_string(format!("/proc/sys/{name}")).ok();
        checks.push(kernel(sysctl("kernel/osrelease").unwrap_or_default().trim()));
        checks.push(user_namespaces(is_root(), sysctl));
        checks.push(control_groups());
    }
    checks.extend(Memory::of_host().map(memory));
    checks.push(processors());
    checks
}

fn user(is_root: bool) -> Check {
    if is_root {
        Check::ok("user", "root")
    } else {
        Check::degraded("user", "not root: what only root can have is missing").try_next("sudo firesteel …")
    }
}

/// What is used, and since when the kernel has it.
const FEATURES: [((u32, u32), &str); 3] = [
    ((5, 7), "processes that are born in their control group"),
    ((5, 12), "mounts whose owners are shown as others"),
    ((5, 14), "control groups that are killed at once"),
];

fn kernel(release: &str) -> Check {
    let mut numbers = release.split(|char: char| !char.is_ascii_digit()).map(str::parse);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Check::degraded("kernel", format!("its version cannot be read: `{release}`"));
    };
    let lacking: Vec<_> = FEATURES
        .iter()
        .filter(|(since, _)| (major, minor) < *since)
        .map(|((major, minor), what)| format!("{what} ({major}.{minor})"))
        .collect();
    if lacking.is_empty() {
        Check::ok("kernel", release)
    } else {
        Check::degraded("kernel", format!("{release} has no {}", lacking.join(", no ")))
            .try_next("a kernel of 5.14 or later")
    }
}

/// Needed by who is not root.
fn user_namespaces(is_root: bool, sysctl: impl Fn(&str) -> Option<String>) -> Check {
    const NAME: &str = "user namespaces";
    let is = |name: &str, value: &str| sysctl(name).is_some_and(|found| found.trim() == value);
    let refused = if sysctl("user/max_user_namespaces").is_none() {
        Some((For::Nobody, "this kernel has none", "a kernel with CONFIG_USER_NS"))
    } else if is("user/max_user_namespaces", "0") {
        Some((For::Nobody, "user.max_user_namespaces is 0", "sysctl -w user.max_user_namespaces=15000"))
    } else if is("kernel/unprivileged_userns_clone", "0") {
        let next = "sysctl -w kernel.unprivileged_userns_clone=1";
        Some((For::Root, "kernel.unprivileged_userns_clone is 0: for root only", next))
    } else if is("kernel/apparmor_restrict_unprivileged_userns", "1") {
        let next = "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
        Some((For::Root, "kernel.apparmor_restrict_unprivileged_userns is 1: of no use but to root", next))
    } else {
        None
    };
    match refused {
        None => Check::ok(NAME, "for everybody"),
        Some((_, why, _)) if is_root => Check::ok(NAME, format!("{why}; root needs none")),
        Some((For::Nobody, why, next)) => Check::missing(NAME, why).try_next(next),
        Some((For::Root, why, next)) => Check::degraded(NAME, why).try_next(next),
    }
}

/// Who may make them.
enum For {
    Nobody,
    Root,
}

fn control_groups() -> Check {
    const NAME: &str = "control groups";
    match HostGroups::read() {
        Ok(groups) if groups == HostGroups::default() => {
            Check::missing(NAME, groups.to_string()).try_next("mount -t cgroup2 none /sys/fs/cgroup")
        }
        Ok(groups) => Check::ok(NAME, groups.to_string()),
        Err(error) => Check::missing(NAME, error.to_string()),
    }
}

fn memory(memory: Memory) -> Check {
    let Memory { total_mib, reserve_mib } = memory;
    let given = memory.for_environments_mib();
    Check::ok("memory", format!("{total_mib} MB: {given} for environments, {reserve_mib} in reserve"))
}

fn processors() -> Check {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    Check::ok("processors", format!("{count}, as many as {} MB of memory are worth", count * 1769))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::State;

    #[test]
    fn an_old_kernel_lacks_what_came_later() {
        assert_eq!(kernel("6.18.5-generic").state, State::Ok);
        assert_eq!(kernel("5.14").state, State::Ok);
        let old = kernel("5.10.0-28-amd64");
        assert_eq!(old.state, State::Degraded);
        assert!(
            old.found.contains("(5.12), no control groups") && !old.found.contains("(5.7)"),
            "{}",
            old.found
        );
        assert_eq!(kernel("").state, State::Degraded);
    }

    #[test]
    fn each_setting_of_the_kernel_has_its_remedy() {
        let with = |settings: &'static [(&str, &str)]| {
            move |name: &str| {
                settings.iter().find(|(other, _)| *other == name).map(|(_, value)| format!("{value}\n"))
            }
        };
        const ON: (&str, &str) = ("user/max_user_namespaces", "15000");
        for (settings, state, next) in [
            (&[ON][..], State::Ok, None),
            (&[], State::Missing, Some("CONFIG_USER_NS")),
            (&[("user/max_user_namespaces", "0")], State::Missing, Some("user.max_user_namespaces=")),
            (
                &[ON, ("kernel/unprivileged_userns_clone", "0")],
                State::Degraded,
                Some("kernel.unprivileged_userns_clone=1"),
            ),
            (
                &[ON, ("kernel/apparmor_restrict_unprivileged_userns", "1")],
                State::Degraded,
                Some("kernel.apparmor_restrict_unprivileged_userns=0"),
            ),
        ] {
            let check = user_namespaces(false, with(settings));
            assert_eq!(check.state, state, "{check:?}");
            assert_eq!(check.next.is_some(), next.is_some());
            assert!(next.is_none_or(|next| check.next.as_ref().unwrap().contains(next)), "{check:?}");
            assert_eq!(user_namespaces(true, with(settings)).state, State::Ok, "root needs none");
        }
    }
}
