//! Bytes that are no tar, or were one once: an error or an image, never a panic, never without end.

use firesteel_image::{FlattenLimits, flatten};

use crate::archives::Tar;
use crate::{bytes_of, layers, reader};

/// A tar with everything in it that is parsed.
fn rich() -> Vec<u8> {
    let mut mapped = b"2\n1024\n512\n9216\n3\n".to_vec();
    mapped.resize(512, 0);
    mapped.resize(512 + 515, b'x');
    Tar::new()
        .directory("./")
        .mode(0o755)
        .directory("usr")
        .pax("mtime", "1.5")
        .pax("SCHILY.xattr.user.a", "value")
        .pax("path", "usr/lib/file")
        .file("x", vec![b'c'; 5000])
        .symlink("lib", "usr/lib")
        .file("lib/other", "other")
        .hard_link("link", "lib/other")
        .file("n".repeat(150), "long")
        .pax("GNU.sparse.major", "1")
        .pax("GNU.sparse.minor", "0")
        .pax("GNU.sparse.name", "sparse")
        .pax("GNU.sparse.realsize", "10000")
        .file("GNUSparseFile.1/a", mapped)
        .entry(b'6', b"fifo", b"", b"")
        .entry(b'3', b"null", b"", b"")
        .file("usr/.wh.gone", "")
        .file("usr/.wh..wh..opq", "")
        .finish()
}

fn survive(tars: Vec<Vec<u8>>) -> bool {
    let limits = FlattenLimits {
        content_bytes: 4 << 20,
        inodes: 1000,
        path_bytes: 4095,
        entries: 1000,
        metadata_bytes: 1 << 20,
    };
    match flatten(&layers(tars), &limits) {
        // Whatever it has become, it is a file system.
        Ok(image) => reader::read(&bytes_of(&image)).len() > 1,
        Err(_) => false,
    }
}

fn fix_checksums(tar: &mut [u8]) {
    for block in tar.as_chunks_mut::<512>().0 {
        if &block[257..262] == b"ustar" {
            let mut header = tar::Header::from_byte_slice(block).clone();
            header.set_cksum();
            *block = *header.as_bytes();
        }
    }
}

#[test]
fn changed_tars() {
    let (mut random, original) = (fastrand::Rng::with_seed(1), rich());
    assert!(survive(vec![original.clone()]));
    let mut images = 0;
    for _ in 0..6000 {
        let mut tar = original.clone();
        for _ in 0..random.usize(1..6) {
            match random.u8(0..8) {
                0 => tar.truncate(random.usize(..tar.len())),
                1 if tar.len() > 1024 => {
                    // A block where another was.
                    let (from, to) = (random.usize(..tar.len() / 512), random.usize(..tar.len() / 512));
                    tar.copy_within(from * 512..(from + 1) * 512, to * 512);
                }
                2 if tar.len() > 1024 => {
                    let block = random.usize(..tar.len() / 512);
                    tar.drain(block * 512..(block + 1) * 512);
                }
                _ if !tar.is_empty() => {
                    let at = random.usize(..tar.len());
                    let any = random.u8(..);
                    tar[at] = *random.choice(&[0, b'0', b'7', b'/', b'.', b'\n', 0x80, 0xff, any]).unwrap();
                }
                _ => {}
            }
        }
        if random.u8(0..4) > 0 {
            fix_checksums(&mut tar);
        }
        images += usize::from(survive(vec![original.clone(), tar]));
    }
    assert!(images > 500, "only {images} of 6000 were still tars: the rest of the program was not reached");
}

/// Where the fields of a header are.
const FIELDS: [(usize, usize); 9] = [
    (0, 100),
    (100, 108),
    (108, 116),
    (116, 124),
    (124, 136),
    (136, 148),
    (156, 157),
    (157, 257),
    (345, 500),
];

#[test]
fn fields_of_headers_by_chance() {
    let (mut random, original) = (fastrand::Rng::with_seed(2), rich());
    let headers: Vec<usize> =
        (0..original.len() / 512).filter(|block| &original[block * 512 + 257..][..5] == b"ustar").collect();
    for _ in 0..3000 {
        let mut tar = original.clone();
        let header = random.choice(&headers).unwrap() * 512;
        let (start, end) = *random.choice(&FIELDS).unwrap();
        for at in start..end {
            if random.bool() {
                let any = random.u8(..);
                tar[header + at] = *random.choice(&[b'0', b'7', 0, 0x80, 0xff, b'/', b'.', any]).unwrap();
            }
        }
        fix_checksums(&mut tar);
        survive(vec![tar]);
    }
}

#[test]
fn bytes_by_chance() {
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..2000 {
        let bytes: Vec<u8> = (0..random.usize(..4000)).map(|_| random.u8(..)).collect();
        assert!(!survive(vec![bytes]));
    }
}

#[test]
fn links_among_directories_do_not_multiply_the_work() {
    let mut tar = Tar::new();
    for level in 0..60 {
        tar = tar.symlink(format!("l{level}"), format!("l{n}/../l{n}/..", n = level + 1));
    }
    survive(vec![tar.file("l0/x", "").finish()]);
    let deep = "d/".repeat(2047) + "f";
    assert!(!survive(vec![Tar::new().file(&deep, "").finish()]), "more directories than the limit allows");
}
