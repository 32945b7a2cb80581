//! Images that are stored and mounted: by the commands, by servers, and of a registry through the API.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use firesteel_image::Sha256;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::authentication::certificate;
use crate::harness::isolation::{isolated, not_for_this_backend};
use crate::harness::process::eventually;
use crate::harness::program::{Program, Run};
use crate::harness::server::Server;
use crate::harness::{folder, forking};
use crate::images::Image;

/// An OCI layout folder with one image, whose layers are given as folders.
struct Layout {
    folder: TempDir,
    /// Of the manifest.
    digest: String,
}

impl Layout {
    fn of(image: &Image, more: &[&Path]) -> Self {
        let folder = folder();
        let blobs = folder.path().join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        let blob = |bytes: &[u8], media_type: &str| {
            let digest = Sha256::of(bytes).to_string();
            fs::write(blobs.join(&digest), bytes).unwrap();
            json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len()})
        };
        let root = image.root();
        let layers: Vec<Vec<u8>> = [root.as_path()].iter().chain(more).map(|folder| tar(folder)).collect();
        let diff_ids: Vec<String> =
            layers.iter().map(|layer| format!("sha256:{}", Sha256::of(layer))).collect();
        let mut config: Value = serde_json::from_str(&image.config()).unwrap();
        config["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json"),
            "layers": layers.iter().map(|layer| blob(layer, "application/vnd.oci.image.layer.v1.tar")).collect::<Vec<_>>(),
        });
        let manifest = blob(manifest.to_string().as_bytes(), "application/vnd.oci.image.manifest.v1+json");
        let digest = manifest["digest"].as_str().unwrap().to_owned();
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        fs::write(folder.path().join("index.json"), index.to_string()).unwrap();
        fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Layout { folder, digest }
    }

    /// The digest of an index with this image for this machine.
    fn choice(&self) -> String {
        let blobs = self.folder.path().join("blobs/sha256");
        let bytes = fs::metadata(blobs.join(&self.digest["sha256:".len()..])).unwrap().len();
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": self.digest, "size": bytes, "platform": {"os": "linux", "architecture": "amd64"},
            }],
        });
        let digest = Sha256::of(index.to_string().as_bytes()).to_string();
        fs::write(blobs.join(&digest), index.to_string()).unwrap();
        format!("sha256:{digest}")
    }

    fn reference(&self) -> String {
        format!("oci:{}", self.folder.path().display())
    }
}

fn tar(folder: &Path) -> Vec<u8> {
    let _guard = forking();
    let mut command = Command::new("tar");
    command.args(["--sort=name", "--mtime=@1700000000", "-C"]).arg(folder).args(["-cf", "-", "."]);
    let output = command.output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn image(data: &Path, arguments: &[&str]) -> Run {
    let data = data.to_str().unwrap();
    Program::image(&[arguments, &["--data", data]].concat()).run()
}

fn can_be_run(test: &str) -> bool {
    if !isolated() {
        not_for_this_backend(test, "an image needs a root of its own");
    }
    isolated()
}

/// What is mounted below a folder, as this process sees it.
fn mounted_below(folder: &Path) -> usize {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    table.lines().filter(|line| line.contains(folder.to_str().unwrap())).count()
}

#[test]
fn an_image_is_added_looked_at_and_removed() {
    let (data, layout) = (folder(), Layout::of(&Image::running(), &[]));
    let reference = layout.reference();
    let added = image(data.path(), &["add", &reference]);
    assert_eq!(added.success(), format!("{}\n", layout.digest));
    assert!(added.stderr.contains("are new"), "{}", added.stderr);
    let again = image(data.path(), &["add", &reference]);
    assert!(again.stderr.contains("was there"), "{}", again.stderr);
    let listed: Value = serde_json::from_str(image(data.path(), &["list", "--json"]).success()).unwrap();
    assert_eq!(listed[0]["Digest"], layout.digest.as_str());
    assert_eq!(listed[0]["References"], json!([reference]));
    let of_digest = &layout.digest["sha256:".len()..][..12];
    let inspected: Value =
        serde_json::from_str(image(data.path(), &["inspect", of_digest]).success()).unwrap();
    assert_eq!(inspected["Config"]["entrypoint"], json!(["bootstrap"]));
    let verified = image(data.path(), &["verify", &reference]);
    verified.success();
    image(data.path(), &["remove", &reference]).success();
    assert_eq!(image(data.path(), &["list", "--json"]).success(), "[]\n");
    image(data.path(), &["inspect", &reference]).refused(2, &["no image is called", "firesteel image list"]);
}

#[test]
fn a_flipped_bit_in_the_store_is_found() {
    let (data, layout) = (folder(), Layout::of(&Image::running(), &[]));
    image(data.path(), &["add", &layout.reference()]).success();
    let chunk = largest_file(&data.path().join("images/store/roots"));
    let mut bytes = fs::read(&chunk).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&chunk, bytes).unwrap();
    let verified = image(data.path(), &["verify", &layout.reference()]);
    assert_eq!(verified.code, Some(1));
    assert!(verified.stderr.contains("is damaged"), "{}", verified.stderr);
}

fn largest_file(folder: &Path) -> std::path::PathBuf {
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                files.push((metadata.len(), entry.path()));
            }
        }
    }
    files.into_iter().max().unwrap().1
}

#[test]
fn a_layer_more_shares_all_but_a_few_chunks() {
    let (data, more) = (folder(), folder());
    fs::write(more.path().join("more"), "of the second layer").unwrap();
    let base = Image::running();
    image(data.path(), &["add", &Layout::of(&base, &[]).reference()]).success();
    let added = image(data.path(), &["add", &Layout::of(&base, &[more.path()]).reference(), "--json"]);
    let added: Value = serde_json::from_str(added.success()).unwrap();
    // The metadata, and the layer.
    assert_eq!(added["NewChunks"], 2, "{added}");
    assert!(added["Chunks"].as_u64().unwrap() > 4, "{added}");
}

#[test]
fn an_image_of_a_layout_is_invoked_and_leaves_no_mount() {
    if !can_be_run("an_image_of_a_layout_is_invoked_and_leaves_no_mount") {
        return;
    }
    let (data, layout) = (folder(), Layout::of(&Image::running(), &[]));
    for _ in 0..2 {
        let run = Program::invoke(&[&layout.reference(), "-"]).data(data.path());
        let run = run.stdin(json!("echo $GREETING; pwd").to_string().as_bytes()).run();
        assert_eq!(run.success(), "of the image\n/app\n");
        assert!(run.stderr.contains(&layout.digest), "{}", run.stderr);
    }
    assert_eq!(mounted_below(data.path()), 0);
}

#[test]
fn what_a_killed_server_had_mounted_is_taken_away_by_the_next() {
    if !can_be_run("what_a_killed_server_had_mounted_is_taken_away_by_the_next") {
        return;
    }
    let (data, layout) = (Arc::new(folder()), Layout::of(&Image::running(), &[]));
    let target = format!("f={}", layout.reference());
    let serve = || Server::without_functions_in(Arc::clone(&data), &[], &[&target]);
    let server = serve();
    assert_eq!(server.invoke(r#""echo one""#).success(), "one\n");
    assert_eq!(mounted_below(data.path()), 1);
    server.kill_with_images();
    let server = serve();
    assert_eq!(server.invoke(r#""echo two""#).success(), "two\n");
    assert_eq!(mounted_below(data.path()), 1, "the new one's alone");
    drop(server);
    assert_eq!(mounted_below(data.path()), 0);
}

/// Answers for what a layout has as `team/app:1`, and nothing else. It ends with the tests.
struct Registry {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    manifest: String,
    files: HashMap<String, Vec<u8>>,
    asked: AtomicUsize,
    gone: AtomicBool,
}

impl Registry {
    fn of(layout: &Layout) -> Self {
        Self::speaking(layout, |shared, stream| shared.answer(stream))
    }

    /// With a certificate for the name `localhost`, which is its own authority.
    fn by_tls(layout: &Layout, certificate: &str, key: &str) -> Self {
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(certificate).unwrap()],
                PrivateKeyDer::from_pem_file(key).unwrap(),
            )
            .unwrap();
        let config = Arc::new(config);
        Self::speaking(layout, move |shared, stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            shared.answer(StreamOwned::new(connection, stream))
        })
    }

    fn speaking(
        layout: &Layout,
        answer: impl Fn(&Shared, TcpStream) -> Option<()> + Clone + Send + 'static,
    ) -> Self {
        let blobs = layout.folder.path().join("blobs/sha256");
        let files = fs::read_dir(blobs).unwrap().map(Result::unwrap);
        let files = files.map(|file| {
            (format!("sha256:{}", file.file_name().into_string().unwrap()), fs::read(file.path()).unwrap())
        });
        let shared = Arc::new(Shared {
            manifest: layout.digest.clone(),
            files: files.collect(),
            asked: AtomicUsize::new(0),
            gone: AtomicBool::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let registry = Registry { address: listener.local_addr().unwrap(), shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (shared, answer) = (Arc::clone(&shared), answer.clone());
                std::thread::spawn(move || answer(&shared, stream));
            }
        });
        registry
    }

    fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// Nobody is answered from here on.
    fn leave(&self) {
        self.shared.gone.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn answer(&self, stream: impl Read + Write) -> Option<()> {
        let mut stream = BufReader::new(stream);
        let next = |stream: &mut BufReader<_>| {
            let mut line = String::new();
            (stream.read_line(&mut line).ok()? > 0).then_some(line)
        };
        loop {
            let request = next(&mut stream)?;
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.gone.load(Ordering::Relaxed) {
                return None;
            }
            while !next(&mut stream)?.trim_end().is_empty() {}
            let (method, path) = request.split_once(' ')?;
            // A mirror is told in the query which registry is meant.
            let path = path.split([' ', '?']).next()?;
            let digest = match path.rsplit_once('/')? {
                ("/v2/team/app/manifests", "1") => &self.manifest,
                ("/v2/team/app/manifests" | "/v2/team/app/blobs", digest) => digest,
                _ => "",
            };
            let (status, body) = match (path, self.files.get(digest)) {
                ("/v2/", _) => ("200 OK", &b"{}"[..]),
                (_, Some(body)) => ("200 OK", &body[..]),
                _ => ("404 Not Found", &b"{}"[..]),
            };
            let media = if path.contains("/manifests/") {
                "application/vnd.oci.image.manifest.v1+json"
            } else {
                "application/octet-stream"
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: {media}\r\nDocker-Content-Digest: {digest}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.get_mut().write_all(head.as_bytes()).ok()?;
            if method != "HEAD" {
                stream.get_mut().write_all(body).ok()?;
            }
            stream.get_mut().flush().ok()?;
        }
    }
}

#[test]
fn a_function_of_an_image_in_a_registry_is_created_and_outlives_it() {
    if !can_be_run("a_function_of_an_image_in_a_registry_is_created_and_outlives_it") {
        return;
    }
    let layout = Layout::of(&Image::running(), &[]);
    let registry = Registry::of(&layout);
    let uri = format!("{}/team/app:1", registry.address);
    let data = Arc::new(folder());
    let server = Server::without_functions_in(Arc::clone(&data), &[], &[]);
    let function = json!({
        "FunctionName": "f", "PackageType": "Image", "Code": {"ImageUri": uri},
        "Role": "arn:aws:iam::000000000000:role/any", "ImageConfig": {"Command": ["of.the.function"]},
    });
    let created = server.call("POST", "/2015-03-31/functions", &function);
    assert_eq!(
        (created.status, created.json()["State"].as_str().unwrap()),
        (201, "Pending"),
        "{}",
        created.text()
    );
    let state = || server.call("GET", "/2015-03-31/functions/f", &Value::Null).json();
    eventually("it is active", || {
        let state = state();
        assert_ne!(state["Configuration"]["State"], "Failed", "{state}");
        state["Configuration"]["State"] == "Active"
    });
    let code = state()["Code"].clone();
    assert_eq!(code["ImageUri"], uri.as_str());
    let resolved = format!("{}@{}", uri.trim_end_matches(":1"), layout.digest);
    assert_eq!(code["ResolvedImageUri"], resolved.as_str());
    assert_eq!(server.invoke(r#""echo $*""#).success(), "of.the.function\n");
    drop(server);
    // The registry is not asked again for what a name means: what was resolved is what runs.
    let before = registry.asked();
    let server = Server::without_functions_in(data, &[], &[]);
    assert_eq!(server.invoke(r#""echo still $*""#).success(), "still of.the.function\n");
    assert_eq!(registry.asked(), before);
}

#[test]
fn a_mirror_that_speaks_tls_is_trusted_by_its_authority_or_passed_over_aloud() {
    let (trusted, key) = (certificate("first.pem"), certificate("first.key"));
    let layout = Layout::of(&Image::running(), &[]);
    let (registry, mirror) = (Registry::of(&layout), Registry::by_tls(&layout, &trusted, &key));
    let named = format!("{}=https://localhost:{}", registry.address, mirror.address.port());
    let reference = format!("{}/team/app:1", registry.address);
    let add = |trusts: &str| {
        let data = folder();
        let arguments =
            ["add", &reference, "--registry-mirror", &named, "--data", data.path().to_str().unwrap()];
        let run = Program::image(&arguments).variable("SSL_CERT_FILE", trusts).run();
        assert!(run.success().contains(&layout.digest));
        (run.stderr, mirror.asked() > 0, registry.asked() > 0)
    };
    let (said, by_mirror, by_registry) = add(&trusted);
    assert!(by_mirror && !by_registry, "{said}");
    let before = mirror.asked();
    let (said, _, by_registry) = add(&certificate("second.pem"));
    assert!(
        by_registry && said.contains("a mirror of a registry is passed over") && said.contains("certificate"),
        "{said}"
    );
    assert_eq!(mirror.asked(), before, "whoever does not trust it tells it nothing");
}

#[test]
fn what_is_stored_is_run_without_its_registry_if_that_is_sure_to_be_what_is_meant() {
    if !can_be_run("what_is_stored_is_run_without_its_registry_if_that_is_sure_to_be_what_is_meant") {
        return;
    }
    let layout = Layout::of(&Image::running(), &[]);
    let choice = layout.choice();
    let (data, registry) = (Arc::new(folder()), Registry::of(&layout));
    let repository = format!("{}/team/app", registry.address);
    let [tag, pinned, chosen] = [
        format!("{repository}:1"),
        format!("{repository}@{}", layout.digest),
        format!("{repository}@{choice}"),
    ];
    for reference in [&tag, &chosen] {
        image(data.path(), &["add", reference]).success();
    }
    registry.leave();
    let invoke = |target: &str| {
        let program = Program::invoke(&[target, "-"]).data(data.path());
        program.stdin(json!("echo $GREETING").to_string().as_bytes()).run()
    };
    let before = registry.asked();
    assert_eq!(invoke(&pinned).success(), "of the image\n");
    let server = Server::without_functions_in(Arc::clone(&data), &[], &[&format!("f={pinned}")]);
    assert_eq!(server.invoke(r#""echo served""#).success(), "served\n");
    drop(server);
    assert_eq!(registry.asked(), before, "a digest means what it means");
    assert_eq!(invoke(&chosen).success(), "of the image\n");
    let stored = format!("{tag}@{}", layout.digest);
    let said =
        format!("image {tag} cannot be had from its registry; it was {stored} before, which is stored");
    invoke(&tag).refused(2, &[&said, "cause: asking for", &format!("try:   {stored}")]);
    assert_eq!(invoke(&stored).success(), "of the image\n");
    let other = format!("{repository}:2");
    invoke(&other).refused(2, &[&format!("image {other} cannot be had from its registry\n"), "oci:FOLDER"]);
}

#[test]
fn a_mounted_image_is_there_until_it_is_enough() {
    if !can_be_run("a_mounted_image_is_there_until_it_is_enough") {
        return;
    }
    let (data, elsewhere, layout) = (folder(), folder(), Layout::of(&Image::running(), &[]));
    let reference = layout.reference();
    image(data.path(), &["add", &reference]).success();
    let link = elsewhere.path().join("image");
    let arguments = ["mount", &reference, link.to_str().unwrap(), "--data", data.path().to_str().unwrap()];
    let run = Program::image(&arguments).run_interrupted(|| {
        eventually("it is mounted", || link.join("app/bootstrap").exists());
        assert_eq!(mounted_below(data.path()), 1);
    });
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    assert_eq!((link.is_symlink(), mounted_below(data.path())), (false, 0));
    assert_eq!(fs::read_dir(data.path().join("runs")).unwrap().count(), 0);
}

#[test]
fn an_archive_is_known_by_its_path_from_anywhere() {
    let (data, elsewhere, layout) = (folder(), folder(), Layout::of(&Image::running(), &[]));
    let archive = elsewhere.path().join("image.tar");
    fs::write(&archive, tar(layout.folder.path())).unwrap();
    let archive = archive.to_str().unwrap();
    assert_eq!(image(data.path(), &["add", archive]).success(), format!("{}\n", layout.digest));
    let named = format!("docker-archive:{archive}");
    let listed: Value = serde_json::from_str(image(data.path(), &["list", "--json"]).success()).unwrap();
    assert_eq!(listed[0]["References"], json!([named]));
    image(data.path(), &["inspect", archive]).success();
    image(data.path(), &["inspect", &named]).success();
}

#[test]
fn who_waits_for_an_image_that_does_not_come_can_end_it() {
    if !can_be_run("who_waits_for_an_image_that_does_not_come_can_end_it") {
        return;
    }
    // Takes connections, and says nothing.
    let registry = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("f={}/team/app:1", registry.local_addr().unwrap());
    for (program, code) in
        [(Program::serve(&[&target, "--listen", "127.0.0.1:0"]), 0), (Program::invoke(&[&target[2..]]), 130)]
    {
        let mut asking = None;
        let run = program.run_interrupted(|| asking = Some(registry.accept().unwrap()));
        drop(asking);
        assert_eq!(run.code, Some(code), "{}", run.stderr);
    }
}

#[test]
fn an_image_that_is_not_there_fails_with_a_reason() {
    if !can_be_run("an_image_that_is_not_there_fails_with_a_reason") {
        return;
    }
    let layout = Layout::of(&Image::running(), &[]);
    let uri = format!("{}/team/other:1", Registry::of(&layout).address);
    let server = Server::without_functions(&[], &[]);
    let function = json!({
        "FunctionName": "f", "PackageType": "Image", "Code": {"ImageUri": uri},
        "Role": "arn:aws:iam::000000000000:role/any",
    });
    assert_eq!(server.call("POST", "/2015-03-31/functions", &function).status, 201);
    eventually("it has failed", || {
        let state = server.call("GET", "/2015-03-31/functions/f/configuration", &Value::Null).json();
        if state["State"] == "Failed" {
            assert_eq!(state["StateReasonCode"], "ImageDeleted", "{state}");
        }
        state["State"] == "Failed"
    });
}
