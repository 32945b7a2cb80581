//! `cargo xtask fuzz-seeds`: what fuzzing begins with, in `corpus/TARGET` of `fuzz`. What fuzzing has found there before stays.
//!
//! Here and not beside the targets: it is compiled by whoever has no libFuzzer, with the tests whose archives it has.

#[allow(dead_code, reason = "tests need more of it")]
#[path = "../../crates/image/tests/flatten/archives.rs"]
mod archives;
#[allow(dead_code, clippy::unwrap_used, reason = "it is a part of tests, and they need more of it")]
#[path = "../../crates/image/tests/oci/packing.rs"]
mod packing;

use std::fs;
use std::io::{self, Cursor, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use firesteel_image::chunk::{CHUNK_BYTES, ChunkId, ChunkKey, ChunkRef};
use firesteel_image::manifest::{Draft, ImageId, KeyVault, Manifest, RootId, SaltId, Slot};
use firesteel_image::{FlattenLimits, Layer, flatten};

use archives::Tar;
use packing::{Packing, Recipe, docker_archive, layout_archive, tar_of};

pub(crate) fn run() -> io::Result<ExitCode> {
    for (target, seeds) in [
        ("cache_protocol", cache_protocol()),
        (
            "chunk",
            vec![[&[0, 0, 3, 40][..], b"the plaintext of a chunk"].concat(), vec![1, 9, 0, 9, 1, 2, 0, 3]],
        ),
        ("erofs_reader", erofs_reader()),
        ("image_archive", image_archive()),
        ("layer_tar", layer_tar()),
        ("manifest", manifest()?),
        ("oci_documents", oci_documents()),
        ("package_zip", package_zip()),
        ("registry_answers", registry_answers()),
        ("shard_gathering", shard_gathering()),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
        fs::create_dir_all(&folder)?;
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:02}")), seed)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Tars with everything in them that is parsed.
fn tars() -> Vec<Vec<u8>> {
    let mut mapped = b"2\n1024\n512\n9216\n3\n".to_vec();
    mapped.resize(512, 0);
    mapped.resize(512 + 515, b'x');
    let files = Tar::new()
        .directory("./")
        .mode(0o755)
        .directory("usr")
        .file("usr/file", "content")
        .file("etc/passwd", vec![b'c'; 5000]);
    let records = Tar::new()
        .pax("mtime", "1.5")
        .pax("SCHILY.xattr.user.a", "value")
        .pax("path", "usr/lib/file")
        .file("x", "y");
    let links = Tar::new()
        .symlink("lib", "usr/lib")
        .file("lib/other", "other")
        .hard_link("link", "lib/other")
        .file("n".repeat(150), "long");
    let kinds = Tar::new()
        .entry(b'6', b"fifo", b"", b"")
        .entry(b'3', b"null", b"", b"")
        .file("usr/.wh.file", "")
        .file("etc/.wh..wh..opq", "");
    let sparse = ["major", "minor", "name", "realsize"].into_iter().zip(["1", "0", "sparse", "10000"]);
    let sparse = sparse.fold(Tar::new(), |tar, (key, value)| tar.pax(&format!("GNU.sparse.{key}"), value));
    let old = Tar::new()
        .pax("GNU.sparse.size", "3000")
        .pax("GNU.sparse.map", "0,512,1024,3")
        .file("old", vec![b'x'; 515]);
    [files, records, links, kinds, sparse.file("GNUSparseFile.1/a", mapped), old].map(Tar::finish).into()
}

fn layer_tar() -> Vec<Vec<u8>> {
    let tars = tars();
    let blocks = u8::try_from(tars[0].len() / 512).expect("a small tar");
    tars.iter().map(|upper| [&[0, blocks][..], &tars[0], upper].concat()).collect()
}

fn erofs_reader() -> Vec<Vec<u8>> {
    let image = |tar: &Vec<u8>| {
        let layer = Layer { digest: "sha256:0".to_owned(), tar: Arc::new(tar.clone()) };
        let image = flatten(&[layer], &FlattenLimits::default()).expect("a good tar");
        let mut slot = Box::new([0; CHUNK_BYTES as usize]);
        image.read_slot(0, &mut slot).expect("memory can be read");
        // Without what follows the metadata, which would be 512 KiB of zeros.
        let metadata_bytes = usize::try_from(image.metadata_bytes()).expect("small");
        [&[0; 8][..], &slot[1024..metadata_bytes.next_multiple_of(4096)]].concat()
    };
    let many =
        (0..400).fold(Tar::new(), |tar, number| tar.symlink(format!("{number:030}"), "target")).finish();
    let good = tars().into_iter().filter(|tar| !tar.windows(4).any(|name| name == b".wh."));
    good.chain([many]).map(|tar| image(&tar)).collect()
}

fn image_archive() -> Vec<Vec<u8>> {
    let recipe = |packing: Packing| Recipe::new(vec![(tar_of(&[("a", b"b")]), packing)]);
    let [plain, gzip] = [Packing::Plain, Packing::Gzip].map(recipe);
    vec![
        docker_archive(&[("a:1", &plain)]),
        docker_archive(&[("a:1", &gzip), ("b:1", &gzip)]),
        layout_archive(&[("1", &plain.pack())]),
        Packing::Gzip.pack(&docker_archive(&[("a:1", &gzip)])),
        Packing::Zstd.pack(&layout_archive(&[("1", &recipe(Packing::Zstd).pack())])),
    ]
}

fn manifest() -> io::Result<Vec<Vec<u8>>> {
    let folder = tempfile::TempDir::new()?;
    let vault = KeyVault::in_folder(folder.path());
    let chunk = ChunkRef { id: ChunkId::from_bytes([1; 32]), stored_bytes: 9 };
    let draft = Draft {
        image: ImageId::from_bytes([7; 32]),
        layout: 1,
        root: RootId(1),
        salt: SaltId(2),
        image_bytes: 3 * u64::from(CHUNK_BYTES),
        slots: vec![(Slot { index: 1, chunk }, ChunkKey::from_bytes([2; 32]))],
        config: "{}".to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let sealed = runtime.block_on(Manifest::seal(draft, &vault, "a")).map_err(io::Error::other)?;
    let list = [&b"FSPL\x01\x02\0\0\0"[..], &[7, 0, 0, 0, 8, 0, 0, 0]].concat();
    Ok(vec![
        sealed.bytes().to_vec(),
        list,
        vec![0, 0, 0],
        vec![1, 0, 0, 0],
        vec![0, 20, 0, 1],
        vec![3, 7, 2, 1, 2, 3],
    ])
}

fn oci_documents() -> Vec<Vec<u8>> {
    let index = r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"!1","size":%1,"annotations":{"org.opencontainers.image.ref.name":"v1","io.containerd.image.name":"a.example/b:v1"}}]}"#;
    let platforms = r#"{"schemaVersion":2,"manifests":[{"digest":"!2","size":%2,"platform":{"os":"linux","architecture":"amd64","variant":"v1"}},{"digest":"!3","size":%3,"platform":{"os":"unknown","architecture":"unknown"}}]}"#;
    let manifest = r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"!3","size":%3},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"!4","size":%4}]}"#;
    let config = r#"{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/e"],"Cmd":["a.b"],"Env":["A=b","C"],"WorkingDir":"/w","Labels":{"l":"m"}},"rootfs":{"type":"layers","diff_ids":["@4"]}}"#;
    let list = r#"[{"Config":"3","RepoTags":["a.example/b:v1"],"Layers":["layer.tar"]}]"#;
    let all = |how: &str, name: &str, index: &str| {
        [how, name, index, platforms, manifest, config, "layer"].join("\0").into_bytes()
    };
    vec![
        all("0", "v1", index),
        all("1", "", index),
        all("2", "b:v1", list),
        all("6", "", list),
        all(
            "0",
            "registry.example:5000/a/b_c:1@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            index,
        ),
        all("0", "oci:a:b", index),
        all("0", "docker-archive:a.tar:b:c", index),
        all("0", "[::1]:5000/a", index),
    ]
}

fn package_zip() -> Vec<Vec<u8>> {
    use zip::write::{SimpleFileOptions, ZipWriter};
    let zip = |method: zip::CompressionMethod| {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(method).unix_permissions(0o755);
        let mut write = || {
            zip.add_directory("folder", options)?;
            zip.start_file("folder/bootstrap", options)?;
            zip.write_all(b"#!/bin/sh\n#!/bin/sh\n#!/bin/sh\n")?;
            zip.add_symlink("link", "folder/bootstrap", options)
        };
        write().expect("memory can be written");
        zip.finish().expect("memory can be written").into_inner()
    };
    vec![zip(zip::CompressionMethod::STORE), zip(zip::CompressionMethod::DEFLATE)]
}

fn cache_protocol() -> Vec<Vec<u8>> {
    let shard = format!("/v1/shards/{}/4", "a0".repeat(32));
    let forged = format!("Firesteel-HMAC-SHA256 2000000000 {} {}", "a0".repeat(32), "b1".repeat(32));
    let seed = |how: char, path: &str| format!("{how}{path}\n{forged}\nbytes of a shard").into_bytes();
    let mut seeds: Vec<_> = "012345<".chars().map(|how| seed(how, &shard)).collect();
    seeds.extend([
        seed('0', "/v1/statistics"),
        seed('0', &format!("{shard}?a=b")),
        seed('0', &shard[11..].replace('/', ".")),
    ]);
    seeds
}

fn shard_gathering() -> Vec<Vec<u8>> {
    let all = (0..8).map(|what| [&[what, 7, 1][..], &[0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0]].concat());
    let mut seeds: Vec<_> = all.map(|does| [&does[..], b"the plaintext of a chunk"].concat()).collect();
    seeds.push([&[5, 1, 0, 1, 2, 9].repeat(2)[..], &[0, 0, 0], b"plaintext"].concat());
    seeds
}

fn registry_answers() -> Vec<Vec<u8>> {
    let auth =
        r#"{"auths":{"HERE":{"auth":"dXNlcjpwYXNzd29yZA=="},"https://127.0.0.1/v1/":{"identitytoken":"t"}}}"#;
    let bearer = "401\nwww-authenticate: Bearer realm=\"http://HERE/token\",service=\"s\",scope=\"x\"\n\n{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"m\"}]}";
    let basic = "401\nwww-authenticate: Basic realm=\"r\"\n\n";
    let token = "200\ncontent-type: application/json\n\n{\"token\":\"t\",\"access_token\":\"u\"}";
    let empty = packing::Recipe::new(Vec::new());
    let image = empty.pack();
    let manifest = format!("200\ncontent-type: {}\n\n{}", packing::OCI_MANIFEST, image.manifest());
    let config = image.manifest()["config"]["digest"].as_str().expect("it has one").to_owned();
    let config = format!("200\n\n{}", String::from_utf8_lossy(&image.blobs[&config]));
    let moved = "307\nlocation: http://HERE/elsewhere\n\n";
    let all = |answers: &[&str]| answers.join("\0").into_bytes();
    vec![
        all(&[auth, &manifest, &config]),
        all(&["{}", bearer, token, &manifest, moved, &config]),
        all(&[auth, basic, &manifest, &config]),
        all(&["", "429\nretry-after: 1\n\n"]),
        all(&["", "404\n\n{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}]}"]),
    ]
}
