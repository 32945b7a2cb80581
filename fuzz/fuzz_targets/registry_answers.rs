//! A registry that answers anything: challenges, tokens, redirects, documents; and the file of whoever asks with credentials.
//!
//! Inputs are parts with zero bytes between them: the file of credentials, then the answers in the order of requests, each a status,
//! lines of headers, an empty line, a body. `HERE` is this registry.
//!
//! Answers name other hosts: it runs only where there is no network but the loopback (`unshare --net`).
#![no_main]
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, LazyLock};

use firesteel_fuzz::{parts, scratch, wait};
use firesteel_image::oci::{Credentials, ImageSources, OciLimits, Platform, Reference, RegistrySettings};
use libfuzzer_sys::{Corpus, fuzz_target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

struct Site {
    /// Without a name, so that nothing is left when libFuzzer ends.
    auth_file: File,
    listener: TcpListener,
    here: String,
    credentials: Credentials,
}

static SITE: LazyLock<Site> = LazyLock::new(|| {
    let auth_file = tempfile::tempfile_in("/dev/shm").unwrap();
    let path = format!("/proc/self/fd/{}", auth_file.as_raw_fd());
    let listener = wait(TcpListener::bind("127.0.0.1:0")).unwrap();
    let here = listener.local_addr().unwrap().to_string();
    Site { auth_file, listener, here, credentials: Credentials::default().with_file(path.into()) }
});

/// By `/proc`: what is in `/sys` is of the network that it was mounted in.
fn has_only_loopback() -> bool {
    let devices = fs::read_to_string("/proc/self/net/dev").unwrap();
    devices.lines().skip(2).all(|line| line.trim_start().starts_with("lo:"))
}

/// A helper would be a program of this machine.
fn names_a_helper(file: &[u8]) -> bool {
    let file: serde_json::Value = serde_json::from_slice(file).unwrap_or_default();
    file.get("credHelpers").is_some() || file.get("credsStore").is_some()
}

/// One answer after the other, the last one again and again.
async fn answer(site: &Site, answers: &[String]) {
    for number in 0.. {
        let (mut stream, _) = site.listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n")
            && stream.read_buf(&mut request).await.is_ok_and(|bytes| bytes > 0)
        {}
        let answer = answers.get(number).map_or("404\n\n", String::as_str).replace("HERE", &site.here);
        let (head, body) = answer.split_once("\n\n").unwrap_or((&answer, ""));
        let (status, headers) = head.split_once('\n').unwrap_or((head, ""));
        let headers: String = headers.lines().map(|line| format!("{line}\r\n")).collect();
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await;
    }
}

fuzz_target!(
    init: assert!(has_only_loopback(), "it needs a network namespace of its own: unshare --net"),
    |data: &[u8]| -> Corpus {
        let parts = parts(data, 9);
        if names_a_helper(parts[0]) {
            return Corpus::Reject;
        }
        let site = &*SITE;
        site.auth_file.set_len(0).unwrap();
        site.auth_file.write_all_at(parts[0], 0).unwrap();
        let (folder, credentials) = (scratch(), site.credentials.clone());
        let settings = RegistrySettings { credentials, attempts: 1, ..RegistrySettings::default() };
        let sources = ImageSources::open(folder.path(), OciLimits::default(), settings).unwrap();
        let answers: Vec<String> = parts[1..].iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        let reference: Reference = format!("{}/a/b:1", site.here).parse().unwrap();
        let platform = Platform::new("amd64");
        wait(async {
            tokio::select! {
                _ = sources.fetch(&reference, &platform, Arc::new(())) => {}
                () = answer(site, &answers) => {}
            }
        });
        Corpus::Keep
    }
);
