//! `--mount PATH[:AT][:rw]`: what functions are shown of this machine beside their own, for development.
//!
//! In a root of its own a function sees the folders of the system and those of its own; local data, a tool, an
//! interpreter in an odd place are to be asked for. Where functions see this machine as it is there is nothing to show,
//! and nothing can be shown elsewhere.
//!
//! Refused: what does not exist; a place at which it would not be seen or would hide what every function needs. A place
//! in a folder of the host's must exist there, since nothing is made on the host.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use firesteel_environment::Placed;
use firesteel_runtimes::{Layout, SYSTEM_FOLDERS};

use crate::exit::Failure;

/// One of them, as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    path: PathBuf,
    at: Option<PathBuf>,
    writable: bool,
}

impl FromStr for Mount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (places, writable) = match text.strip_suffix(":rw") {
            Some(places) => (places, true),
            None => (text, false),
        };
        let (path, at) = match places.split_once(':') {
            Some((path, at)) => (path, Some(at)),
            None => (places, None),
        };
        if path.is_empty() {
            return Err("there is no path in it".into());
        }
        if let Some(at) = at {
            let is_plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
            if !at.starts_with('/') || at.contains(':') || !Path::new(at).components().all(is_plain) {
                return Err(format!("`{at}` is no absolute path, such as /mnt/data"));
            }
        }
        // Of its parts, as `//mnt/data/` and `/mnt/data` are one place.
        let at = at.map(|at| Path::new(at).components().collect());
        Ok(Mount { path: path.into(), at, writable })
    }
}

/// What a sandbox makes of these itself.
const OWN: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Where all of them are, and where functions see them. Nothing, where functions see everything in its own place.
pub(crate) fn placed(mounts: &[Mount], layout: Layout) -> Result<Vec<Placed>, Failure> {
    let mut all: Vec<Placed> = Vec::new();
    for mount in mounts {
        let placed = mount.placed()?;
        if layout == Layout::Host {
            // By whatever links: it is the same file.
            if fs::canonicalize(&placed.inside).ok().as_ref() != Some(&placed.on_host) {
                let (path, at) = (mount.path.display(), placed.inside.display());
                return Err(Failure::usage(format!(
                    "{path} cannot be shown at {at}: without isolation functions see this machine as it is"
                ))
                .try_next(format!("--mount {path}, or --isolation namespace")));
            }
            continue;
        }
        if all.iter().any(|other| other.inside == placed.inside) {
            let at = placed.inside.display();
            return Err(
                Failure::usage(format!("two mounts are at {at}")).try_next("one of them elsewhere: PATH:AT")
            );
        }
        all.push(placed);
    }
    Ok(all)
}

impl Mount {
    fn placed(&self) -> Result<Placed, Failure> {
        let shown = self.path.display();
        let unusable = |error: std::io::Error| {
            Failure::usage(format!("{shown} cannot be mounted"))
                .because(&error)
                .try_next("--mount with a folder or file that is there")
        };
        let on_host = fs::canonicalize(&self.path).map_err(unusable)?;
        let inside = match &self.at {
            Some(at) => at.clone(),
            None => {
                // Under the name it was given, which may be a link: what works here works there.
                let absolute = std::path::absolute(&self.path).map_err(unusable)?;
                let leads_up = absolute.components().any(|part| part == Component::ParentDir);
                if leads_up { on_host.clone() } else { absolute.components().collect() }
            }
        };
        if inside == Path::new("/") || OWN.iter().any(|own| inside.starts_with(own)) {
            return Err(Failure::usage(format!(
                "nothing can be mounted at {}: it is each function's own",
                inside.display()
            ))
            .try_next(format!("another place for it: --mount {shown}:/mnt/data")));
        }
        Ok(Placed { on_host, inside, writable: self.writable })
    }
}

/// Whether a function whose places are `places`, outer ones first, can have these mounts among them.
pub(crate) fn check(mounts: &[Placed], places: &[Placed]) -> Result<(), Failure> {
    for (index, place) in places.iter().enumerate() {
        let others = places.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, other)| other);
        if let Some(other) = others.clone().find(|other| other.inside == place.inside) {
            // Two mounts are not at one place: one of these is the function's.
            let (mount, own) = if mounts.contains(place) { (place, other) } else { (other, place) };
            return Err(Failure::usage(format!(
                "{} cannot be mounted at {}, where the function has {}",
                mount.on_host.display(),
                mount.inside.display(),
                own.on_host.display()
            ))
            .try_next("another place for it: PATH:AT"));
        }
        // The innermost it lies in.
        let outer = others
            .filter(|other| place.inside.starts_with(&other.inside))
            .max_by_key(|other| other.inside.components().count());
        let taken = outer.is_some_and(|outer| mounts.contains(outer));
        if !taken && !mounts.contains(place) {
            continue;
        }
        let host_folder = match outer {
            Some(outer) => {
                let below = place.inside.strip_prefix(&outer.inside).unwrap_or(&place.inside);
                outer.on_host.join(below)
            }
            None if SYSTEM_FOLDERS.iter().any(|system| place.inside.starts_with(system)) => {
                place.inside.clone()
            }
            None => continue,
        };
        let can_hold = match (fs::symlink_metadata(&host_folder), fs::metadata(&place.on_host)) {
            (Ok(there), Ok(mounted)) => !there.is_symlink() && there.is_dir() == mounted.is_dir(),
            _ => false,
        };
        if !can_hold {
            return Err(Failure::usage(format!(
                "{} cannot be mounted at {}: for that, {} must be of its kind, and nothing is made there",
                place.on_host.display(),
                place.inside.display(),
                host_folder.display()
            ))
            .try_next("another place for it, or an empty folder or file there"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(path: &str, at: Option<&str>, writable: bool) -> Mount {
        Mount { path: path.into(), at: at.map(Into::into), writable }
    }

    #[test]
    fn a_mount_has_a_path_and_may_have_a_place_and_be_writable() {
        for (text, expected) in [
            ("/data", mount("/data", None, false)),
            ("./data:rw", mount("./data", None, true)),
            ("/data:/mnt", mount("/data", Some("/mnt"), false)),
            ("/data:/mnt//x/:rw", mount("/data", Some("/mnt/x"), true)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for wrong in ["", ":rw", ":/mnt", "/data:mnt", "/data:", "/data:ro", "/data:/mnt/../etc", "/a:/b:/c"]
        {
            assert!(wrong.parse::<Mount>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_path_is_shown_by_the_name_it_was_given() {
        let folder = tempfile::tempdir().unwrap();
        let folder = fs::canonicalize(folder.path()).map(|path| (path, folder)).unwrap();
        let (at, _guard) = (|name: &str| folder.0.join(name), &folder.1);
        fs::create_dir_all(at("true/sub")).unwrap();
        std::os::unix::fs::symlink("true", at("link")).unwrap();
        let placed = |text: &Path| mount(text.to_str().unwrap(), None, false).placed().unwrap();
        let expected = |on_host: &str, inside: &str| Placed {
            on_host: at(on_host),
            inside: at(inside),
            writable: false,
        };
        assert_eq!(placed(&at("link")), expected("true", "link"));
        assert_eq!(placed(&at("./true/")), expected("true", "true"));
        assert_eq!(placed(&at("link/sub/..")), expected("true", "true"));
    }

    #[test]
    fn what_lies_in_another_needs_a_place_there() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["code/data", "all/task", "tool"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("code/file"), "").unwrap();
        let place = |name: &str, inside: &str| Placed {
            on_host: folder.path().join(name),
            inside: inside.into(),
            writable: false,
        };
        let code = place("code", "/var/task");
        let fits = |name: &str, inside: &str| {
            let mount = place(name, inside);
            let mut places = vec![code.clone(), mount.clone()];
            places.sort_by_key(|place| place.inside.components().count());
            check(&[mount], &places).is_ok()
        };
        assert!(fits("tool", "/anywhere") && fits("code/file", "/etc/file") && fits("tool", "/opt/tool"));
        assert!(fits("tool", "/var/task/data") && !fits("tool", "/var/task/more"));
        assert!(!fits("tool", "/var/task/file") && !fits("tool", "/var/task"));
        assert!(fits("all", "/var") && !fits("tool", "/var"));
        assert!(fits("tool", "/usr/bin") && !fits("tool", "/usr/no-such-folder"));
        // Read-only or not, nothing is made on the host.
        assert!(!folder.path().join("tool/task").exists());
    }
}
