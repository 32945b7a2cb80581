//! Which hierarchies of control groups this process sees, and where in each it stands.
//!
//! Three layouts are about: cgroup2 alone; v1, a hierarchy for each controller or a few together; and both,
//! where cgroup2 has the controllers that no v1 hierarchy has, often none.
//!
//! Two files tell. `/proc/self/mountinfo` has where a hierarchy is mounted and which group of it is seen there (the root
//! field), `/proc/self/cgroup` has this process's group, counted from the top of the hierarchy or of its
//! cgroup namespace. In a container whose mounts are those of the host but for a part, the group may not be
//! below what is mounted; then what is mounted is all there is.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use super::Controller;

/// The two interfaces of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// A hierarchy that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) mountpoint: PathBuf,
    /// The folder of the group that this process is in; the mountpoint where that is not seen.
    pub(super) own: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Layout {
    /// Those of v1 that have controllers wanted here, with these; in their order.
    pub(super) v1: Vec<(Vec<Controller>, Hierarchy)>,
    pub(super) unified: Option<Hierarchy>,
}

impl Layout {
    pub(super) fn read() -> io::Result<Self> {
        let is_group = |folder: &Path| folder.join("cgroup.procs").exists();
        Ok(Self::parse(&fs::read("/proc/self/mountinfo")?, &fs::read("/proc/self/cgroup")?, is_group))
    }

    /// `is_group` says whether there is a group at a path: other file systems may be mounted above it, and
    /// the group of a process may have been removed.
    fn parse(mountinfo: &[u8], membership: &[u8], is_group: impl Fn(&Path) -> bool) -> Self {
        let memberships: Vec<Membership> = lines(membership).filter_map(Membership::parse).collect();
        // By controllers; a hierarchy may be mounted more than once, the one in which the own group is seen is best.
        let mut v1: BTreeMap<Vec<Controller>, (bool, Hierarchy)> = BTreeMap::new();
        let mut unified: Option<(bool, Hierarchy)> = None;
        for mount in lines(mountinfo).filter_map(Mount::parse) {
            let controllers = match mount.version {
                Version::V1 => Controller::ALL.into_iter().filter(|it| mount.has(it.name())).collect(),
                Version::V2 => Vec::new(),
            };
            let membership = memberships.iter().find(|it| match mount.version {
                Version::V2 => it.controllers.is_empty(),
                Version::V1 => controllers.first().is_some_and(|it_has| it.has(it_has.name())),
            });
            let Some(membership) = membership else { continue };
            let own = below(&mount.root, &membership.path)
                .map(|path| (true, mount.mountpoint.join(path)))
                .filter(|(_, path)| is_group(path))
                .or_else(|| Some((false, mount.mountpoint.clone())).filter(|(_, path)| is_group(path)));
            let Some((seen, own)) = own else { continue };
            let found = (seen, Hierarchy { mountpoint: mount.mountpoint, own });
            let better = |old: &(bool, Hierarchy)| seen && !old.0;
            match mount.version {
                Version::V1 => match v1.get(&controllers) {
                    Some(old) if !better(old) => {}
                    _ => drop(v1.insert(controllers, found)),
                },
                Version::V2 => match &unified {
                    Some(old) if !better(old) => {}
                    _ => unified = Some(found),
                },
            }
        }
        Self {
            v1: v1.into_iter().map(|(controllers, (_, hierarchy))| (controllers, hierarchy)).collect(),
            unified: unified.map(|(_, hierarchy)| hierarchy),
        }
    }

    /// Every hierarchy, in the order in which groups are best ended: see [`Controller`].
    pub(super) fn all(&self) -> impl Iterator<Item = &Hierarchy> {
        self.unified.iter().chain(self.v1.iter().map(|(_, hierarchy)| hierarchy))
    }
}

/// A line of `/proc/self/mountinfo` about control groups.
struct Mount {
    version: Version,
    root: PathBuf,
    mountpoint: PathBuf,
    super_options: Vec<u8>,
}

impl Mount {
    /// `36 35 98:0 <root> <mountpoint> <options> <any number of tags> - <type> <source> <super options>`
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let root = path(fields.nth(3)?);
        let mountpoint = path(fields.next()?);
        fields.find(|field| *field == b"-")?;
        let version = match fields.next()? {
            b"cgroup" => Version::V1,
            b"cgroup2" => Version::V2,
            _ => return None,
        };
        Some(Self { version, root, mountpoint, super_options: fields.nth(1)?.to_vec() })
    }

    fn has(&self, controller: &str) -> bool {
        names(&self.super_options, controller)
    }
}

/// A line of `/proc/self/cgroup`.
struct Membership {
    /// Empty for cgroup2.
    controllers: Vec<u8>,
    path: PathBuf,
}

impl Membership {
    /// `4:cpu,cpuacct:<path>`
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.splitn(3, |byte| *byte == b':').skip(1);
        let controllers = fields.next()?.to_vec();
        // Nothing is escaped here: names of groups cannot have line ends.
        Some(Self { controllers, path: OsString::from_vec(fields.next()?.to_vec()).into() })
    }

    fn has(&self, controller: &str) -> bool {
        names(&self.controllers, controller)
    }
}

fn names(list: &[u8], name: &str) -> bool {
    list.split(|byte| *byte == b',').any(|it| it == name.as_bytes())
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// What remains of `path` below `root`. A path of `..` names a group outside of this cgroup namespace.
fn below(root: &Path, path: &Path) -> Option<PathBuf> {
    let outside = |path: &Path| path.components().any(|part| part == Component::ParentDir);
    if outside(root) || outside(path) {
        return None;
    }
    path.strip_prefix(root).ok().map(Path::to_owned)
}

/// Undoes what the kernel does to spaces, tabs, line ends and backslashes: three octal digits after a backslash.
fn path(field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        rest = after;
        path.push(match (first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                rest = after;
                (a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')
            }
            _ => *first,
        });
    }
    OsString::from_vec(path).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Controller::{Cpu, Memory, Processes};

    fn hierarchy(mountpoint: &str, own: &str) -> Hierarchy {
        Hierarchy { mountpoint: mountpoint.into(), own: own.into() }
    }

    fn everywhere(_: &Path) -> bool {
        true
    }

    #[test]
    fn cgroup2_alone() {
        let mountinfo = b"24 30 0:22 / /proc rw,nosuid - proc proc rw\n\
            35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        let layout = Layout::parse(mountinfo, b"0::/user.slice/session-2.scope\n", everywhere);
        let unified = hierarchy("/sys/fs/cgroup", "/sys/fs/cgroup/user.slice/session-2.scope");
        assert_eq!(layout, Layout { v1: Vec::new(), unified: Some(unified) });
    }

    #[test]
    fn v1_with_controllers_together_and_others_that_are_of_no_interest() {
        let mountinfo = b"31 24 0:25 / /cg/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
            32 24 0:26 / /cg/cpu,cpuacct rw shared:1 master:2 - cgroup cgroup rw,cpu,cpuacct\n\
            33 24 0:27 / /cg/freezer rw - cgroup cgroup rw,freezer\n\
            34 24 0:28 / /cg/memory rw - cgroup cgroup rw,memory\n\
            35 24 0:29 / /cg/pids rw - cgroup cgroup rw,pids\n";
        let membership = b"5:memory:/a\n4:cpu,cpuacct:/a/b\n3:pids:/\n2:freezer:/\n1:name=systemd:/c\n";
        let layout = Layout::parse(mountinfo, membership, everywhere);
        let expected = vec![
            (vec![Processes], hierarchy("/cg/pids", "/cg/pids/")),
            (vec![Memory], hierarchy("/cg/memory", "/cg/memory/a")),
            (vec![Cpu], hierarchy("/cg/cpu,cpuacct", "/cg/cpu,cpuacct/a/b")),
        ];
        assert_eq!(layout, Layout { v1: expected, unified: None });
    }

    #[test]
    fn both_at_once() {
        let mountinfo = b"34 31 0:28 / /cg/memory rw - cgroup cgroup rw,memory\n\
            41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw\n";
        let layout = Layout::parse(mountinfo, b"4:memory:/a\n0::/\n", everywhere);
        assert_eq!(layout.v1, vec![(vec![Memory], hierarchy("/cg/memory", "/cg/memory/a"))]);
        assert_eq!(layout.unified, Some(hierarchy("/cg/unified", "/cg/unified/")));
        assert_eq!(layout.all().count(), 2);
    }

    #[test]
    fn a_container_sees_a_part_of_the_hierarchy() {
        let own = |root: &str, group: &str| {
            let mountinfo = format!("34 31 0:28 {root} /cg rw - cgroup2 cgroup rw\n");
            let membership = format!("0::{group}\n");
            Layout::parse(mountinfo.as_bytes(), membership.as_bytes(), everywhere).unified.unwrap().own
        };
        assert_eq!(own("/docker/x", "/docker/x/y"), Path::new("/cg/y"));
        assert_eq!(own("/docker/x", "/docker/x"), Path::new("/cg"));
        assert_eq!(own("/docker/x", "/docker/xy"), Path::new("/cg"));
        assert_eq!(own("/docker/x", "/"), Path::new("/cg"));
        // In a cgroup namespace: moved out of it, or mounted from outside of it.
        assert_eq!(own("/", "/../other"), Path::new("/cg"));
        assert_eq!(own("/..", "/y"), Path::new("/cg"));
    }

    #[test]
    fn of_several_mounts_the_one_that_shows_the_own_group() {
        let mountinfo = b"34 31 0:28 /elsewhere /part rw - cgroup cgroup rw,memory\n\
            35 31 0:28 / /whole rw - cgroup cgroup rw,memory\n\
            36 31 0:28 / /again rw - cgroup cgroup rw,memory\n";
        let layout = Layout::parse(mountinfo, b"4:memory:/a\n", everywhere);
        assert_eq!(layout.v1, vec![(vec![Memory], hierarchy("/whole", "/whole/a"))]);
    }

    #[test]
    fn a_group_that_is_gone_and_a_mount_that_is_hidden() {
        let mountinfo = b"34 31 0:28 / /hidden rw - cgroup cgroup rw,memory\n\
            35 31 0:29 / /cg rw - cgroup cgroup rw,pids\n";
        let membership = b"4:memory:/a\n5:pids:/a (deleted)\n";
        let layout = Layout::parse(mountinfo, membership, |path| path == Path::new("/cg"));
        assert_eq!(layout.v1, vec![(vec![Processes], hierarchy("/cg", "/cg"))]);
    }

    #[test]
    fn what_is_escaped_and_what_only_looks_like_it() {
        assert_eq!(path(br"/a\040b\011c\012d\134e"), Path::new("/a b\tc\nd\\e"));
        assert_eq!(path(br"/a\04"), Path::new(r"/a\04"));
        assert_eq!(path(br"/a\777\"), Path::new(r"/a\777\"));
        let mountinfo = b"35 31 0:29 / /with\\040space rw - cgroup2 cgroup2 rw\n";
        let unified = Layout::parse(mountinfo, b"0::/g:h i\n", everywhere).unified.unwrap();
        assert_eq!(unified.own, Path::new("/with space/g:h i"));
    }

    #[test]
    fn nonsense_is_passed_over() {
        assert_eq!(
            Layout::parse(b"\n1 2 3\n - \nx x x x x - cgroup2\n", b":\n0\n", everywhere),
            Layout::default()
        );
    }
}
