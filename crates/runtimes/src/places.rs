//! Where the folders of a function are on this host, and where the function sees them.
//!
//! | | [`Layout::Host`] | [`Layout::OwnRoot`] |
//! |---|---|---|
//! | code, layers, runtime folder | where they are | `/var/task`, `/opt`, `/var/runtime`, as on AWS |
//! | [`SYSTEM_FOLDERS`] | the host's | the host's |
//! | an interpreter elsewhere | where it is | where it is, or at `/var/lang` if something of the function's own hides it |
//! | what is mounted | the host's | where it was asked for |
//! | anything else | the host's | not there |
//!
//! Files are looked at on the host, before there is a function's process; what that process is told names what it sees.
//! Between the two lie symbolic links, which lead elsewhere in a root of one's own: [`Places::on_host`] follows them as
//! the function's kernel will.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// What every root file system shows of the host, at the same path. No interpreter below them has to be brought along.
pub const SYSTEM_FOLDERS: [&str; 5] = ["/usr", "/bin", "/sbin", "/lib", "/lib64"];

/// What a root of its own has that is not the host's: an interpreter that lies there on the host would be hidden, or
/// would stand among what is the function's.
const OWN_FOLDERS: [&str; 8] = ["/dev", "/etc", "/opt", "/proc", "/run", "/sys", "/tmp", "/var"];

/// Where AWS keeps interpreters.
const LANG: &str = "/var/lang";

/// What an interpreter needs of its prefix, if it is there: itself, its library, and where pyenv and conda keep an OpenSSL
/// and its certificates. Not the prefix as a whole, which may be a home folder.
const INTERPRETER_FOLDERS: [&str; 5] = ["bin", "lib", "lib64", "openssl", "ssl"];

/// Where functions expect their layers.
pub(crate) const OPT: &str = "/opt";
/// Where they expect their code.
pub(crate) const TASK_ROOT: &str = "/var/task";
/// Where they expect a managed runtime.
pub(crate) const RUNTIME_DIR: &str = "/var/runtime";

/// As many links as the kernel follows before it answers `ELOOP`.
const MAX_LINKS: usize = 40;

/// Which file system a function sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The host's: everything is found where it is.
    Host,
    /// A root of its own, laid out as on AWS.
    OwnRoot,
}

/// A folder or file of the host that the function sees. Both paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it is.
    pub on_host: PathBuf,
    /// Where the function sees it.
    pub inside: PathBuf,
}

/// The folders of one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Which file system the function sees.
    pub layout: Layout,
    /// The code, AWS's `/var/task`.
    pub task_root: Place,
    /// The layers, AWS's `/opt`, if there are any.
    pub opt: Option<Place>,
    /// Where [`install_bootstraps`](crate::install_bootstraps) wrote to, AWS's `/var/runtime`.
    pub runtime_dir: Place,
    /// What else of the host the function is shown in a root of its own.
    mounts: Vec<Place>,
}

impl Places {
    /// Those of a function whose folders are, on the host, at these absolute paths.
    pub fn new(layout: Layout, task_root: &Path, opt: Option<&Path>, runtime_dir: &Path) -> Self {
        let place = |on_host: &Path, own: &str| Place {
            on_host: on_host.to_owned(),
            inside: match layout {
                Layout::Host => on_host.to_owned(),
                Layout::OwnRoot => own.into(),
            },
        };
        Places {
            layout,
            task_root: place(task_root, TASK_ROOT),
            opt: opt.map(|opt| place(opt, OPT)),
            runtime_dir: place(runtime_dir, RUNTIME_DIR),
            mounts: Vec::new(),
        }
    }

    /// The same with more of the host, as it is shown in a root of its own.
    #[must_use]
    pub fn with_mounts(self, mounts: Vec<Place>) -> Self {
        Places { mounts, ..self }
    }

    /// Code, layers, runtime folder: the order in which a `bootstrap` is looked for.
    pub fn all(&self) -> impl Iterator<Item = &Place> {
        [Some(&self.task_root), self.opt.as_ref(), Some(&self.runtime_dir)].into_iter().flatten()
    }

    /// Where the function sees its layers, or would.
    pub(crate) fn opt_inside(&self) -> &Path {
        self.opt.as_ref().map_or(Path::new(OPT), |opt| &opt.inside)
    }

    /// Whether the function finds a file at `path`.
    pub(crate) fn is_file(&self, path: &Path) -> bool {
        self.on_host(path).is_some_and(|path| path.is_file())
    }

    /// The path on the host of what the function finds at `path`, whether or not it exists. `None` where the host shows it
    /// nothing, by itself or because a link leads there.
    pub(crate) fn on_host(&self, path: &Path) -> Option<PathBuf> {
        if self.layout == Layout::Host {
            return Some(path.to_owned());
        }
        // Without a link in it, and what is still to be walked from there, the next part last.
        let mut at = PathBuf::from("/");
        let mut ahead = parts(path);
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            if part == ".." {
                at.pop();
                continue;
            }
            at.push(part);
            if is_system(&at) {
                // From here on the host's kernel answers as the function's will.
                at.extend(ahead.into_iter().rev());
                return Some(at);
            }
            let Some((place, below)) = self.place_of(&at) else { continue };
            // The place itself is a mount, whatever is there on the host.
            if below.as_os_str().is_empty() {
                continue;
            }
            let Ok(target) = fs::read_link(place.on_host.join(below)) else { continue };
            links += 1;
            if links > MAX_LINKS {
                break;
            }
            at.pop();
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            ahead.extend(parts(&target));
        }
        // A file may be a place, and nothing is below it.
        let on_host = |place: &Place, below: &Path| match below.as_os_str().is_empty() {
            true => place.on_host.clone(),
            false => place.on_host.join(below),
        };
        self.place_of(&at).map(|(place, below)| on_host(place, below))
    }

    fn place_of<'a>(&self, inside: &'a Path) -> Option<(&Place, &'a Path)> {
        // Of several the innermost, which lies over the others; of two at one place the function's own.
        let holding = self.mounts.iter().chain(self.all()).filter(|place| inside.starts_with(&place.inside));
        let place = holding.max_by_key(|place| place.inside.components().count())?;
        Some((place, inside.strip_prefix(&place.inside).ok()?))
    }

    /// Where the function sees an interpreter whose file is `program` on the host, and what it must see beside its own
    /// folders for that to work.
    pub(crate) fn of_interpreter(&self, program: PathBuf) -> (PathBuf, Vec<Place>) {
        if self.layout == Layout::Host || is_system(&program) {
            return (program, Vec::new());
        }
        let folder = program.parent().unwrap_or(Path::new("/"));
        let prefix = folder.parent().filter(|_| folder.ends_with("bin"));
        let (prefix, needed): (&Path, Vec<&Path>) = match prefix {
            Some(prefix) => {
                let needed = INTERPRETER_FOLDERS.iter().map(Path::new);
                (prefix, needed.filter(|name| prefix.join(name).is_dir()).collect())
            }
            // What is beside it may be anything.
            None => (folder, program.file_name().map(Path::new).into_iter().collect()),
        };
        let hidden = OWN_FOLDERS.iter().any(|own| prefix.starts_with(own));
        let seen_at = if hidden { Path::new(LANG) } else { prefix };
        let needed = needed
            .into_iter()
            .map(|name| Place { on_host: prefix.join(name), inside: seen_at.join(name) })
            .collect();
        let below = program.strip_prefix(prefix).unwrap_or(&program);
        (seen_at.join(below), needed)
    }
}

fn is_system(path: &Path) -> bool {
    SYSTEM_FOLDERS.iter().any(|system| path.starts_with(system))
}

/// The names in a path and its `..`, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let mut parts: Vec<OsString> = path
        .components()
        .filter(|component| matches!(component, Component::Normal(_) | Component::ParentDir))
        .map(|component| component.as_os_str().to_owned())
        .collect();
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn own_root(folder: &TempDir) -> Places {
        let at = |name: &str| folder.path().join(name);
        for name in ["code/sub", "layers/bin", "runtime"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        Places::new(Layout::OwnRoot, &at("code"), Some(&at("layers")), &at("runtime"))
    }

    #[test]
    fn places_are_those_of_aws_in_a_root_of_its_own_and_their_own_otherwise() {
        let inside = |layout| -> Vec<PathBuf> {
            let (code, layers, runtime) = (Path::new("/a"), Path::new("/b"), Path::new("/c"));
            Places::new(layout, code, Some(layers), runtime).all().map(|place| place.inside.clone()).collect()
        };
        assert_eq!(inside(Layout::Host), ["/a", "/b", "/c"].map(PathBuf::from));
        assert_eq!(inside(Layout::OwnRoot), ["/var/task", "/opt", "/var/runtime"].map(PathBuf::from));
        let without = Places::new(Layout::OwnRoot, Path::new("/a"), None, Path::new("/c"));
        assert_eq!((without.all().count(), without.opt_inside()), (2, Path::new("/opt")));
    }

    #[test]
    fn links_are_followed_as_the_function_will() {
        let folder = TempDir::new().unwrap();
        let places = own_root(&folder);
        let link = |target: &str| {
            let link = folder.path().join("code/sub/link");
            let _ = fs::remove_file(&link);
            symlink(target, &link).unwrap();
            places.on_host(Path::new("/var/task/sub/link"))
        };
        let on_host = |name: &str| Some(folder.path().join(name));
        for (target, expected) in [
            ("file", on_host("code/sub/file")),
            ("./../file", on_host("code/file")),
            ("/var/task/file", on_host("code/file")),
            ("/opt/bin/file", on_host("layers/bin/file")),
            ("../../runtime/file", on_host("runtime/file")),
            ("/bin/../sh", Some("/bin/../sh".into())),
            ("../../../usr/bin/env", Some("/usr/bin/env".into())),
            ("../../../code/file", None),
            ("/srv/me/file", None),
            ("/", None),
            (folder.path().join("code/file").to_str().unwrap(), None),
        ] {
            assert_eq!(link(target), expected, "{target}");
        }
        symlink("sub/link", folder.path().join("code/again")).unwrap();
        link("/srv/me/file");
        assert_eq!(places.on_host(Path::new("/var/task/again")), None);
        // As ELOOP for whoever opens it.
        let looped = link("link").unwrap();
        assert!(fs::metadata(looped).is_err());
    }

    #[test]
    fn links_may_lead_to_what_is_mounted() {
        let folder = TempDir::new().unwrap();
        let mounts = [("data", "/srv/data"), ("inner", "/var/task/sub"), ("program", "/srv/program")];
        let mounts =
            mounts.map(|(name, inside)| Place { on_host: folder.path().join(name), inside: inside.into() });
        let places = own_root(&folder).with_mounts(mounts.into());
        let link = folder.path().join("code/link");
        for (target, expected) in [
            ("/srv/data/file", Some("data/file")),
            ("/srv/other", None),
            ("sub/file", Some("inner/file")),
            ("/srv/program", Some("program")),
        ] {
            let _ = fs::remove_file(&link);
            symlink(target, &link).unwrap();
            let found = places.on_host(Path::new("/var/task/link"));
            // As text: paths with and without a slash at the end are equal, and files have none.
            let expected = expected.map(|name| folder.path().join(name).into_os_string());
            assert_eq!(found.map(PathBuf::into_os_string), expected, "{target}");
        }
    }

    #[test]
    fn a_place_may_itself_be_a_link_of_the_host() {
        let folder = TempDir::new().unwrap();
        let Places { opt, runtime_dir, .. } = own_root(&folder);
        let linked = folder.path().join("linked");
        symlink(folder.path().join("code"), &linked).unwrap();
        let places = Places::new(
            Layout::OwnRoot,
            &linked,
            opt.as_ref().map(|opt| opt.on_host.as_path()),
            &runtime_dir.on_host,
        );
        assert_eq!(places.on_host(Path::new("/var/task/sub")), Some(linked.join("sub")));
    }

    #[test]
    fn the_file_system_of_the_host_is_taken_as_it_is() {
        let places = Places::new(Layout::Host, Path::new("/a"), None, Path::new("/c"));
        assert_eq!(places.on_host(Path::new("/anywhere/../x")), Some("/anywhere/../x".into()));
        assert_eq!(places.of_interpreter("/srv/me/bin/node".into()), ("/srv/me/bin/node".into(), vec![]));
    }

    #[test]
    fn an_interpreter_brings_what_it_needs_of_its_prefix_and_nothing_else() {
        let folder = TempDir::new_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let home = folder.path();
        for name in ["bin", "lib/python3.13", "openssl/lib", "secrets"] {
            fs::create_dir_all(home.join(name)).unwrap();
        }
        let places = Places::new(Layout::OwnRoot, Path::new("/a"), None, Path::new("/c"));
        // Where these sources lie may be a place that something of the function's own hides.
        let hidden = OWN_FOLDERS.iter().any(|own| home.starts_with(own));
        let inside = if hidden { PathBuf::from(LANG) } else { home.to_owned() };
        let place = |name: &str| Place { on_host: home.join(name), inside: inside.join(name) };
        let expected = ["bin", "lib", "openssl"].map(place);
        let program = inside.join("bin/python3.13");
        assert_eq!(places.of_interpreter(home.join("bin/python3.13")), (program, expected.to_vec()));
        let alone = place("node");
        assert_eq!(places.of_interpreter(home.join("node")), (alone.inside.clone(), vec![alone]));
    }

    #[test]
    fn an_interpreter_of_the_system_brings_nothing() {
        let places = Places::new(Layout::OwnRoot, Path::new("/a"), None, Path::new("/c"));
        for program in ["/usr/bin/python3.11", "/usr/local/bin/node", "/bin/node"] {
            assert_eq!(places.of_interpreter(program.into()), (program.into(), vec![]));
        }
    }

    #[test]
    fn an_interpreter_that_would_be_hidden_is_seen_where_aws_has_it() {
        let folder = TempDir::new_in("/tmp").unwrap();
        fs::create_dir_all(folder.path().join("bin")).unwrap();
        let places = Places::new(Layout::OwnRoot, Path::new("/a"), None, Path::new("/c"));
        let bin = Place { on_host: folder.path().join("bin"), inside: "/var/lang/bin".into() };
        let (program, needed) = places.of_interpreter(folder.path().join("bin/node"));
        assert_eq!((program, needed), ("/var/lang/bin/node".into(), vec![bin]));
        let (program, needed) = places.of_interpreter("/opt/node".into());
        let file = Place { on_host: "/opt/node".into(), inside: "/var/lang/node".into() };
        assert_eq!((program, needed), ("/var/lang/node".into(), vec![file]));
    }
}
