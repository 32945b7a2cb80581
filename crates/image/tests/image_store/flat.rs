//! Images to store.

use std::io;
use std::sync::Arc;

use firesteel_image::chunk::{CHUNK_BYTES, Domain};
use firesteel_image::store::{NewImage, SlotReader};

/// An image in memory.
#[derive(Debug)]
pub(crate) struct Flat(pub(crate) Vec<u8>);

impl SlotReader for Flat {
    type Error = io::Error;

    fn image_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_slot(&self, slot: u32, into: &mut [u8; CHUNK_BYTES as usize]) -> io::Result<()> {
        let from = slot as usize * CHUNK_BYTES as usize;
        let to = self.0.len().min(from + CHUNK_BYTES as usize);
        into.fill(0);
        into[..to - from].copy_from_slice(&self.0[from..to]);
        Ok(())
    }
}

/// An image of one slot, whose one chunk it may share with others.
pub(crate) fn small(content: u32) -> Arc<Flat> {
    Arc::new(Flat(format!("content {content};").repeat(10).into_bytes()))
}

/// An image of these slots, each of one byte again and again, or zeros.
pub(crate) fn slots(bytes: &[u8]) -> Arc<Flat> {
    let slot = |byte: &u8| {
        let mut slot = vec![0; CHUNK_BYTES as usize];
        slot[..1000].fill(*byte);
        slot
    };
    Arc::new(Flat(bytes.iter().flat_map(slot).collect()))
}

/// What else there is to say of one.
pub(crate) fn named(name: &str) -> NewImage {
    NewImage {
        tenant: "t".to_owned(),
        digest: format!("sha256:{name}"),
        domain: Domain::Deployment,
        layout: 1,
        config: format!("{{\"name\":\"{name}\"}}"),
        name: Some(name.to_owned()),
    }
}
