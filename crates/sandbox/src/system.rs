//! What every root shows of the host, and the files that are made for it.
//!
//! The same in every sandbox with a root of its own, whoever makes it.
//!
//! Of the host: where programs, libraries and what they need of `/etc` are. Not: homes, data, what runs, who exists.

use std::path::PathBuf;

use firesteel_sandbox_init::furnishing::Confinement;

/// Folders, or on a system where these are merged, links to them.
const FOLDERS: [&str; 8] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"];

/// What of `/etc` libraries and interpreters read. Nothing of it is a secret, or about people.
const SETTINGS: [&str; 20] = [
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "fonts",
    "gai.conf",
    "inputrc",
    "java-17-openjdk",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "os-release",
    "pki",
    "protocols",
    "services",
    "ssl",
    "timezone",
];

/// Every path of the host's that is shown, whether it exists or not.
pub(crate) fn shown() -> Vec<PathBuf> {
    let settings = SETTINGS.iter().map(|name| PathBuf::from("/etc").join(name));
    FOLDERS.iter().map(PathBuf::from).chain(settings).collect()
}

/// What a sandbox takes itself for.
pub(crate) const HOSTNAME: &str = "sandbox";

/// Empty: the user that functions run as has no home, as on AWS.
const HOMES: &str = "/home";

/// Files of `/etc`. `resolv_conf` is the network's.
pub(crate) fn files(guest: &Confinement, resolv_conf: &str) -> Vec<(PathBuf, String)> {
    let Confinement { uid, gid, .. } = guest;
    let passwd = format!(
        "root:x:0:0:root:/root:/sbin/nologin\n\
         nobody:x:65534:65534:nobody:/:/sbin/nologin\n\
         sbx_user1051:x:{uid}:{gid}::{HOMES}/sbx_user1051:/sbin/nologin\n"
    );
    let group = format!("root:x:0:\nnobody:x:65534:\nsbx_user1051:x:{gid}:\n");
    // The names under which extensions listen for telemetry; asked for the name of 127.0.0.1, the first one answers.
    let hosts = "127.0.0.1 localhost localhost.localdomain\n127.0.0.1 sandbox.localdomain sandbox\n";
    let nsswitch = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n";
    [
        ("passwd", passwd.as_str()),
        ("group", &group),
        ("hosts", hosts),
        ("hostname", HOSTNAME),
        ("nsswitch.conf", nsswitch),
        ("resolv.conf", resolv_conf),
    ]
    .map(|(name, content)| (PathBuf::from("/etc").join(name), content.to_owned()))
    .into()
}
