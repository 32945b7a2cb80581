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
    let gzip = Recipe::new(vec![
        (tar_of(&[("a", &noise(1, 100_000))]), Packing::Gzip),
        (tar_of(&[("b", b"plain")]), Packing::Plain),
    ]);
    let tars: Vec<_> = gzip.layers.iter().map(|(tar, _)| tar.clone()).collect();
    // Which Docker's formats do not have.
    let zstd = Recipe::new(tars.iter().map(|tar| (tar.clone(), Packing::Zstd)).collect());
    write_layout(&yard.path("gzip"), &[("v1", &gzip.pack())]);
    write_layout(&yard.path("zstd"), &[("v1", &zstd.pack())]);
    let registry = Registry::start();
    let [as_oci, as_docker] = ["oci", "docker"].map(|tag| format!("docker://{}", registry.reference(tag)));
    skopeo(&yard, &["oci:HERE/gzip:v1", "docker-archive:HERE/docker.tar:app:v1"]);
    skopeo(&yard, &["oci:HERE/zstd:v1", "oci-archive:HERE/oci.tar:v1"]);
    skopeo(&yard, &["docker-archive:HERE/docker.tar", "oci:HERE/back:v2"]);
    skopeo(&yard, &["oci:HERE/zstd:v1", &as_oci]);
    skopeo(&yard, &["--format=v2s2", "docker-archive:HERE/docker.tar", &as_docker]);
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
