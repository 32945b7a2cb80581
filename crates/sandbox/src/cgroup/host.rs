//! What control groups this host has, and how much memory they leave to the server itself.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use super::Controller;
use super::layout::Layout;

/// The host's control groups, as the server sees them. For people, but for the numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostGroups {
    /// The hierarchies of v1 with controllers that are of use here: the controllers of each.
    pub v1: Vec<Vec<&'static str>>,
    /// The controllers that the server's group has in cgroup2; `None` where that is not mounted.
    pub unified: Option<Vec<String>>,
    /// The least of the limits of the server's group and of those above, as far as they are seen.
    pub memory_limit_bytes: Option<u64>,
}

impl HostGroups {
    /// Looks now.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn read() -> io::Result<Self> {
        let Layout { v1, unified } = Layout::read()?;
        let in_v1 = v1.iter().filter(|(controllers, _)| controllers.contains(&Controller::Memory));
        let in_v1 = in_v1.filter_map(|(_, hierarchy)| limit_in_v1(&hierarchy.own));
        let in_unified = unified.iter().filter_map(|own| limit_in_unified(&own.own, &own.mountpoint));
        Ok(HostGroups {
            memory_limit_bytes: in_v1.chain(in_unified).min(),
            v1: v1.iter().map(|(all, _)| all.iter().map(|it| it.name()).collect()).collect(),
            unified: unified.map(|own| {
                let names = fs::read_to_string(own.own.join("cgroup.controllers")).unwrap_or_default();
                names.split_ascii_whitespace().map(str::to_owned).collect()
            }),
        })
    }
}

/// The kernel looks upward itself. Without a limit it says a number that no machine has.
fn limit_in_v1(own: &Path) -> Option<u64> {
    let stat = fs::read_to_string(own.join("memory.stat")).ok()?;
    let limit = stat.lines().find_map(|line| line.strip_prefix("hierarchical_memory_limit "))?;
    limit.parse().ok().filter(|bytes| *bytes < 1 << 60)
}

fn limit_in_unified(own: &Path, mountpoint: &Path) -> Option<u64> {
    let groups = own.ancestors().take_while(|group| group.starts_with(mountpoint));
    groups.filter_map(|group| fs::read_to_string(group.join("memory.max")).ok()?.trim().parse().ok()).min()
}

impl fmt::Display for HostGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v1 = self.v1.iter().map(|all| all.join("+")).collect::<Vec<_>>().join(", ");
        let unified = self.unified.as_ref().map(|all| match all.as_slice() {
            [] => "cgroup2 without controllers".to_owned(),
            all => format!("cgroup2 with {}", all.join(", ")),
        });
        match (v1.as_str(), unified) {
            ("", None) => f.write_str("none are mounted"),
            ("", Some(unified)) => f.write_str(&unified),
            (v1, None) => write!(f, "v1 with {v1}"),
            (v1, Some(unified)) => write!(f, "v1 with {v1}; {unified}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_on_the_way_up_counts() {
        let folder = tempfile::tempdir().unwrap();
        let (top, own) = (folder.path().join("top"), folder.path().join("top/a/b"));
        fs::create_dir_all(&own).unwrap();
        fs::write(folder.path().join("memory.max"), "1\n").unwrap();
        assert_eq!(limit_in_unified(&own, &top), None, "what is above the mountpoint is not seen");
        fs::write(own.join("memory.max"), "max\n").unwrap();
        assert_eq!(limit_in_unified(&own, &top), None);
        fs::write(top.join("a/memory.max"), "1048576\n").unwrap();
        fs::write(top.join("memory.max"), "2097152\n").unwrap();
        assert_eq!(limit_in_unified(&own, &top), Some(1 << 20));
    }

    #[test]
    fn in_v1_the_kernel_has_looked_upward() {
        let folder = tempfile::tempdir().unwrap();
        let stat = |text: &str| fs::write(folder.path().join("memory.stat"), text).unwrap();
        stat("cache 0\nhierarchical_memory_limit 268435456\nrss 7\n");
        assert_eq!(limit_in_v1(folder.path()), Some(256 << 20));
        stat("hierarchical_memory_limit 9223372036854771712\n");
        assert_eq!(limit_in_v1(folder.path()), None);
        assert_eq!(limit_in_v1(Path::new("/nowhere")), None);
    }

    #[test]
    fn each_layout_has_words() {
        let groups = |v1: &[&[&'static str]], unified: Option<&[&str]>| HostGroups {
            v1: v1.iter().map(|all| all.to_vec()).collect(),
            unified: unified.map(|all| all.iter().map(|name| (*name).to_owned()).collect()),
            memory_limit_bytes: None,
        };
        assert_eq!(groups(&[], None).to_string(), "none are mounted");
        assert_eq!(groups(&[], Some(&["cpu", "memory"])).to_string(), "cgroup2 with cpu, memory");
        assert_eq!(
            groups(&[&["pids"], &["memory", "cpu"]], Some(&[])).to_string(),
            "v1 with pids, memory+cpu; cgroup2 without controllers"
        );
        assert_eq!(groups(&[&["pids"]], None).to_string(), "v1 with pids");
    }
}
