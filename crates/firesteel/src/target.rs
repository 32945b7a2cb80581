//! What a TARGET on the command line is: a path, or a container image.
//!
//! | form | what it is |
//! |---|---|
//! | the path of something that is there | that |
//! | `unpacked:PATH` | an image that was unpacked into a folder, see [`crate::images`] |
//! | `oci:PATH[:TAG]`, `docker-archive:PATH[:TAG]` | an image in a layout folder, or in an archive |
//! | `registry.example/team/app:1`, `localhost:5000/app@sha256:…` | an image in a registry |
//! | anything else | a path, of which others will say that there is nothing |
//!
//! A registry is told from a folder by its dot, its port, or its being `localhost`.

use std::path::Path;

use crate::exit::Failure;

/// A target, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// Of a folder, a zip or an executable.
    Path(&'a Path),
    /// By its reference, the path in which is absolute.
    Image(String),
}

/// Forms of images that are on this machine. With a slash behind, they cannot be taken for a registry, which has a port.
const LOCAL: [&str; 3] = ["unpacked", "oci", "docker-archive"];

impl<'a> Target<'a> {
    pub(crate) fn of(text: &'a str) -> Result<Self, Failure> {
        let path = Path::new(text);
        if path.exists() {
            return Ok(Target::Path(path));
        }
        if is_of_local_form(text) {
            return absolute(text).map(Target::Image);
        }
        if is_in_registry(text) { Ok(Target::Image(text.to_owned())) } else { Ok(Target::Path(path)) }
    }
}

fn is_of_local_form(text: &str) -> bool {
    text.split_once(':').is_some_and(|(form, _)| LOCAL.contains(&form))
}

/// The reference of an image, with the path in it, if there is one, from the root on: it is known by it anywhere.
fn absolute(reference: &str) -> Result<String, Failure> {
    let Some((form, place)) = reference.split_once(':').filter(|(form, _)| LOCAL.contains(form)) else {
        return Ok(reference.to_owned());
    };
    let absolute = std::path::absolute(place).ok().and_then(|path| path.to_str().map(str::to_owned));
    match absolute {
        Some(absolute) => Ok(format!("{form}:{absolute}")),
        None => Err(Failure::usage(format!("`{reference}` is no image"))
            .try_next(format!("{form}:PATH with the path of one"))),
    }
}

/// Whether it is the reference of an image on this machine.
pub(crate) fn is_local(uri: &str) -> bool {
    LOCAL.iter().any(|form| local(uri, form).is_some())
}

/// The path of an image of this form.
pub(crate) fn local<'a>(uri: &'a str, form: &str) -> Option<&'a Path> {
    uri.strip_prefix(form)?.strip_prefix(':').map(Path::new).filter(|path| path.is_absolute())
}

fn is_in_registry(text: &str) -> bool {
    let Some((host, repository)) = text.split_once('/') else { return false };
    let is_host = host == "localhost"
        || host.split_once(':').is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok())
        || (host.contains('.') && !host.starts_with('.'));
    let may_be = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    is_host && !repository.is_empty() && !repository.ends_with('/') && repository.bytes().all(may_be)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_told_from_paths() {
        let image = |text: &str| Target::of(text).unwrap() == Target::Image(text.to_owned());
        for yes in [
            "registry.example/team/app:1",
            "localhost/app",
            "localhost:5000/app",
            "registry:5000/app@sha256:00",
            "unpacked:/srv/image",
            "oci:/srv/layout:latest",
            "docker-archive:/srv/image.tar",
        ] {
            assert!(image(yes), "{yes}");
        }
        for no in
            ["./app", "../app.zip", "/srv/app", "team/app", "app", "app:1", "registry.example/", "a b.c/d e"]
        {
            assert_eq!(Target::of(no).unwrap(), Target::Path(Path::new(no)));
        }
        let here = std::env::current_dir().unwrap();
        let expected = format!("unpacked:{}", here.join("image").display());
        assert_eq!(Target::of("unpacked:image").unwrap(), Target::Image(expected));
        assert!(Target::of("oci:").is_err());
    }

    #[test]
    fn what_is_there_is_a_path_whatever_it_looks_like() {
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("registry.example");
        std::fs::create_dir_all(odd.join("app:1")).unwrap();
        let odd = odd.join("app:1");
        assert_eq!(Target::of(odd.to_str().unwrap()).unwrap(), Target::Path(&odd));
    }

    #[test]
    fn only_absolute_paths_are_local() {
        assert_eq!(local("oci:/srv/layout", "oci"), Some(Path::new("/srv/layout")));
        for no in ["oci:5000/app", "oci:layout", "unpacked:/srv", "oci"] {
            assert_eq!(local(no, "oci"), None, "{no}");
        }
    }
}
