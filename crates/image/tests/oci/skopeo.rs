//! The same images by way of `skopeo`, which shares no code with this.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::packing::{Packing, Recipe, tar_of, write_layout};
use crate::registry::Registry;
use crate::{Yard, contents, noise};

/// Whether the program is there; says so if not.
fn has_skopeo() -> bool {
    let found =
        Command::new("skopeo").arg("--version").stdout(Stdio::null()).status().is_ok_and(|it| it.success());
    if !found {
        assert!(std::env::var_os("FIRESTEEL_REQUIRE_ALL").is_none(), "skopeo is not there");
        let _ = writeln!(std::io::stderr(), "SKIPPED the tests with skopeo: it is not there");
    }
    found
}

#[track_caller]
fn skopeo(yard: &Yard, arguments: &[&str]) {
    let here = yard.path("");
    let arguments = arguments.iter().map(|argument| argument.replace("HERE/", here.to_str().unwrap()));
    let output = Command::new("skopeo")
        .args(["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_it_converts_is_the_same_image() {
    if !has_skopeo() {
        return;
    }
    let yard = Yard::new();
    let recipe = Recipe::new(vec![
        (tar_of(&[("a", &noise(1, 100_000))]), Packing::Gzip),
        (tar_of(&[("b", b"plain")]), Packing::Plain),
        (tar_of(&[("c", &noise(2, 50_000))]), Packing::Zstd),
    ]);
    let tars: Vec<_> = recipe.layers.iter().map(|(tar, _)| tar.clone()).collect();
    write_layout(&yard.path("layout"), &[("v1", &recipe.pack())]);
    skopeo(&yard, &["oci:HERE/layout:v1", "docker-archive:HERE/docker.tar:app:v1"]);
    skopeo(&yard, &["oci:HERE/layout:v1", "oci-archive:HERE/oci.tar:v1"]);
    skopeo(&yard, &["docker-archive:HERE/docker.tar", "oci:HERE/back:v2"]);
    let registry = Registry::start();
    skopeo(&yard, &["oci:HERE/layout:v1", &format!("docker://{}", registry.reference("oci"))]);
    skopeo(
        &yard,
        &[
            "--format=v2s2",
            "docker-archive:HERE/docker.tar",
            &format!("docker://{}", registry.reference("docker")),
        ],
    );
    for reference in [
        "docker-archive:HERE/docker.tar:app:v1",
        "docker-archive:HERE/oci.tar:v1",
        "oci:HERE/back:v2",
        &registry.reference("oci"),
        &registry.reference("docker"),
    ] {
        let fresh = Yard::new();
        let reference = reference.replace("HERE", yard.path("").to_str().unwrap().trim_end_matches('/'));
        let image = fresh.fetch(&reference);
        assert_eq!(contents(&image), tars, "{reference}");
        assert_eq!(image.config.command, ["handler"]);
    }
}
