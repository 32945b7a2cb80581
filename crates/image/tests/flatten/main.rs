//! Flattening, from outside: tars in, a file system out.
//!
//! Three oracles: a naive model of layers ([`model`]), a reader of EROFS that knows only the format ([`reader`]), and where the
//! host allows it the kernel, `fsck.erofs` and GNU tar ([`kernel`]).
#![expect(clippy::unwrap_used, reason = "every function here is part of a test")]

mod archives;
mod dialects;
mod hostile;
mod kernel;
mod layering;
mod model;
mod properties;
mod reader;
mod refusing;
mod stability;

use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_image::{FlatImage, FlattenError, FlattenLimits, Layer, flatten};

/// What a file is to whoever looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    kind: Kind,
    permissions: u32,
    uid: u32,
    gid: u32,
    mtime: (i64, u32),
    links: u32,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Directory,
    File(Vec<u8>),
    Symlink(Vec<u8>),
    Fifo,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::Directory => f.write_str("Directory"),
            Kind::File(content) if content.len() > 40 => write!(f, "File({} bytes)", content.len()),
            Kind::File(content) => write!(f, "File({})", content.escape_ascii()),
            Kind::Symlink(target) => write!(f, "Symlink({})", target.escape_ascii()),
            Kind::Fifo => f.write_str("Fifo"),
        }
    }
}

/// All of a file system by path; the root's is empty.
type Files = BTreeMap<Vec<u8>, Seen>;

/// Layers of these tars, the lowest first.
fn layers(tars: Vec<Vec<u8>>) -> Vec<Layer> {
    let layer =
        |(number, tar): (usize, Vec<u8>)| Layer { digest: format!("sha256:{number:04}"), tar: Arc::new(tar) };
    tars.into_iter().enumerate().map(layer).collect()
}

fn try_flat(tars: Vec<Vec<u8>>) -> Result<FlatImage, FlattenError> {
    flatten(&layers(tars), &FlattenLimits::default())
}

/// The image of these tars, whole.
fn flat(tars: Vec<Vec<u8>>) -> Vec<u8> {
    bytes_of(&try_flat(tars).unwrap())
}

fn bytes_of(image: &FlatImage) -> Vec<u8> {
    let (mut bytes, mut slot) = (Vec::new(), slot_buffer());
    for index in 0..image.slots() {
        image.read_slot(index, &mut slot).unwrap();
        bytes.extend_from_slice(&slot[..]);
    }
    let past_the_end = bytes.split_off(usize::try_from(image.image_bytes()).unwrap());
    assert!(past_the_end.len() < SLOT_BYTES && past_the_end.iter().all(|byte| *byte == 0));
    bytes
}

/// Everything in the image of these tars.
fn files(tars: Vec<Vec<u8>>) -> Files {
    reader::read(&flat(tars))
}

/// Paths in the image of these tars.
fn paths(tars: Vec<Vec<u8>>) -> Vec<String> {
    files(tars).into_keys().skip(1).map(|path| String::from_utf8(path).unwrap()).collect()
}

/// Room for a slot.
fn slot_buffer() -> Box<[u8; SLOT_BYTES]> {
    vec![0; SLOT_BYTES].into_boxed_slice().try_into().unwrap()
}

const SLOT_BYTES: usize = 512 * 1024;

/// An error and all of its causes.
fn told(error: &FlattenError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
