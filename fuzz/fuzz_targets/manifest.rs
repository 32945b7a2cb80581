//! A manifest is what its bytes say, and is opened only as it was sealed, for whom it was sealed.
#![no_main]
#![forbid(unsafe_code)]

use std::sync::OnceLock;

use firesteel_fuzz::{scratch, wait};
use firesteel_image::chunk::{CHUNK_BYTES, ChunkId, ChunkKey, ChunkRef};
use firesteel_image::manifest::{Draft, ImageId, KeyVault, Manifest, RootId, SaltId, Slot};
use firesteel_image::tiers::PrefetchList;
use libfuzzer_sys::fuzz_target;

const IMAGE: ImageId = ImageId::from_bytes([7; 32]);

/// A vault with the keys of two tenants in its memory, and a manifest of each.
fn sealed() -> &'static (KeyVault, [Manifest; 2]) {
    static SEALED: OnceLock<(KeyVault, [Manifest; 2])> = OnceLock::new();
    SEALED.get_or_init(|| {
        let folder = scratch();
        let vault = KeyVault::in_folder(folder.path());
        let manifests = ["a", "b"].map(|tenant| wait(Manifest::seal(draft(), &vault, tenant)).unwrap());
        (vault, manifests)
    })
}

fn draft() -> Draft {
    let chunk = ChunkRef { id: ChunkId::from_bytes([1; 32]), stored_bytes: 9 };
    let slots = [0, 2].map(|index| (Slot { index, chunk }, ChunkKey::from_bytes([2; 32]))).into();
    let image_bytes = 3 * u64::from(CHUNK_BYTES);
    Draft {
        image: IMAGE,
        layout: 1,
        root: RootId(1),
        salt: SaltId(2),
        image_bytes,
        slots,
        config: "{}".to_owned(),
    }
}

/// All that can be read of it, at the places where it should be.
fn check(manifest: &Manifest, bytes: &[u8]) {
    assert_eq!(manifest.bytes()[..], *bytes);
    let listed: Vec<u8> = manifest
        .slots()
        .iter()
        .flat_map(|Slot { index, chunk }| {
            [&index.to_le_bytes(), &chunk.stored_bytes.to_le_bytes(), &chunk.id.as_bytes()[..]].concat()
        })
        .collect();
    let image = manifest.image();
    let head = [
        &b"fs-image\x01\0"[..],
        &manifest.layout().to_le_bytes(),
        &manifest.root().0.to_le_bytes(),
        &manifest.salt().0.to_le_bytes(),
        &manifest.image_bytes().to_le_bytes(),
        image.as_bytes(),
        &u32::try_from(manifest.slots().len()).unwrap().to_le_bytes(),
    ];
    assert!(bytes.starts_with(&head.concat()));
    let wrapping = usize::from(u16::from_le_bytes([bytes[68], bytes[69]]))
        + usize::from(u16::from_le_bytes([bytes[70], bytes[71]]));
    assert!(bytes[72 + wrapping..].starts_with(&listed));
    assert!(manifest.slots().is_sorted_by(|one, next| one.index < next.index));
}

fuzz_target!(|data: &[u8]| {
    if let Ok(list) = PrefetchList::parse(data) {
        assert_eq!(list.encode(), data);
    }
    if let Ok(manifest) = Manifest::parse(data.to_vec().into()) {
        check(&manifest, data);
        let opened = wait(manifest.open(manifest.image(), &sealed().0, "a"));
        assert!(opened.is_err(), "nobody has sealed it");
    }
    // Else data says what is changed in one that was sealed: bytes from a place on, or all after it cut off.
    let Some((&[which, at, cut], change)) = data.split_first_chunk() else { return };
    let (vault, manifests) = sealed();
    let original = manifests[usize::from(which & 1)].bytes();
    let mut bytes = original.to_vec();
    for (byte, change) in bytes.iter_mut().skip(usize::from(at) + usize::from(which & 2) * 100).zip(change) {
        *byte ^= change;
    }
    bytes.truncate(bytes.len() - usize::from(cut).min(bytes.len()));
    let Ok(manifest) = Manifest::parse(bytes.clone().into()) else { return };
    check(&manifest, &bytes);
    for image in [IMAGE, manifest.image(), ImageId::from_bytes([8; 32])] {
        for (number, tenant) in ["a", "b"].into_iter().enumerate() {
            let opened = wait(manifest.open(image, vault, tenant));
            let is_right = bytes == *original && image == IMAGE && number == usize::from(which & 1);
            assert_eq!(opened.is_ok(), is_right, "{opened:?}");
        }
    }
});
