use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::chunk::ChunkId;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn image(name: u8) -> ImageId {
    ImageId::from_bytes([name; 32])
}

fn chunk(seed: u32, stored_bytes: u32) -> (ChunkRef, ChunkKey) {
    let hash = |text: &str| *blake3::hash(format!("{text}{seed}").as_bytes()).as_bytes();
    let id = ChunkId::from_bytes(hash("id"));
    (ChunkRef { id, stored_bytes }, ChunkKey::from_bytes(hash("key")))
}

/// A draft of an image of `slots` slots, in which these are not zeros.
fn draft(slots: u32, occupied: &[u32]) -> Draft {
    let filled = occupied.iter().map(|index| {
        let (chunk, key) = chunk(*index, 1 + index % CHUNK_BYTES);
        (Slot { index: *index, chunk }, key)
    });
    Draft {
        image: image(1),
        layout: 7,
        root: RootId(3),
        salt: SaltId(2),
        image_bytes: u64::from(slots) * u64::from(CHUNK_BYTES),
        slots: filled.collect(),
        config: r#"{"entrypoint":["/bin/app"]}"#.to_owned(),
    }
}

fn vault() -> (TempDir, KeyVault) {
    let folder = TempDir::new().unwrap();
    let vault = KeyVault::in_folder(folder.path());
    (folder, vault)
}

fn sealed(vault: &KeyVault) -> Manifest {
    wait(Manifest::seal(draft(9, &[0, 1, 5, 8]), vault, "t")).unwrap()
}

/// Whatever says that it is the image of the tenant.
fn opened(bytes: Vec<u8>, vault: &KeyVault) -> Option<OpenImage> {
    let manifest = Manifest::parse(bytes.into()).ok()?;
    wait(manifest.open(image(1), vault, "t")).ok()
}

#[test]
fn what_is_sealed_is_opened() {
    let (_folder, vault) = vault();
    let written = sealed(&vault);
    let read = Manifest::parse(written.bytes().clone()).unwrap();
    assert_eq!(read, written);
    assert_eq!((read.layout(), read.root(), read.salt()), (7, RootId(3), SaltId(2)));
    assert_eq!(read.slots().len(), 4);
    let open = wait(read.open(image(1), &vault, "t")).unwrap();
    assert_eq!((open.image_bytes(), open.slots()), (9 * 512 * 1024, 9));
    assert_eq!(open.config(), r#"{"entrypoint":["/bin/app"]}"#);
    for index in 0..12 {
        let expected = [0, 1, 5, 8].contains(&index).then(|| chunk(index, 1 + index));
        assert_eq!(open.slot(index).map(|(chunk, key)| (chunk, key.clone())), expected);
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let (_folder, vault) = vault();
    let bytes = sealed(&vault).bytes().to_vec();
    assert!(opened(bytes.clone(), &vault).is_some());
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(opened(flipped, &vault).is_none(), "bit {bit}");
    }
}

#[test]
fn every_cut_and_every_byte_too_many_is_found() {
    let (_folder, vault) = vault();
    let bytes = sealed(&vault).bytes().to_vec();
    for length in 0..bytes.len() {
        assert!(Manifest::parse(bytes[..length].to_vec().into()).is_err(), "{length}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(Manifest::parse(longer.into()), Err(BadManifest::Length { .. })));
}

#[test]
fn a_manifest_opens_for_its_image_and_tenant_only() {
    let (_folder, vault) = vault();
    let manifest = sealed(&vault);
    // So that there is another key at all.
    wait(Manifest::seal(draft(1, &[]), &vault, "other")).unwrap();
    let error = wait(manifest.open(image(2), &vault, "t")).unwrap_err();
    assert!(matches!(error, UnsealError::NotAuthentic { .. }), "{error}");
    let error = wait(manifest.open(image(1), &vault, "other")).unwrap_err();
    assert!(matches!(error, UnsealError::Vault(VaultError::OtherKey { .. })), "{error}");
    let error = wait(manifest.open(image(1), &vault, "nobody")).unwrap_err();
    assert!(matches!(error, UnsealError::Vault(VaultError::NoKey { .. })), "{error}");
}

/// A part of one manifest in another one, of the same tenant, is found: keys are of one manifest.
#[test]
fn parts_of_another_manifest_do_not_fit() {
    let (_folder, vault) = vault();
    let (one, other) = (sealed(&vault).bytes().to_vec(), sealed(&vault).bytes().to_vec());
    assert_eq!(one.len(), other.len());
    for start in (0..one.len()).step_by(8) {
        for end in [start + 8, start + 60, one.len()] {
            let end = end.min(one.len());
            let mut mixed = one.clone();
            mixed[start..end].copy_from_slice(&other[start..end]);
            if mixed != one && mixed != other {
                assert!(opened(mixed, &vault).is_none(), "{start}..{end}");
            }
        }
    }
}

#[test]
fn slots_out_of_order_twice_or_past_the_end_are_refused() {
    let (_folder, vault) = vault();
    let refused = |change: &dyn Fn(&mut Draft)| {
        let mut changed = draft(9, &[0, 1, 5, 8]);
        change(&mut changed);
        match wait(Manifest::seal(changed, &vault, "t")).unwrap_err() {
            SealError::Draft(why) => why,
            SealError::Vault(error) => panic!("{error}"),
        }
    };
    assert_eq!(refused(&|draft| draft.slots.swap(1, 2)), BadManifest::Order { index: 1 });
    assert_eq!(refused(&|draft| draft.slots[1].0.index = 0), BadManifest::Order { index: 0 });
    let chunk = |index, stored_bytes| BadManifest::Chunk { index, stored_bytes };
    assert_eq!(refused(&|draft| draft.slots[1].0.chunk.stored_bytes = 0), chunk(1, 0));
    let longer = CHUNK_BYTES + 1;
    assert_eq!(refused(&|draft| draft.slots[1].0.chunk.stored_bytes = longer), chunk(1, longer));
    assert_eq!(refused(&|draft| draft.image_bytes -= u64::from(CHUNK_BYTES) - 8), chunk(8, 9));
    let large = |draft: &mut Draft| draft.image_bytes = MAX_IMAGE_BYTES + 1;
    assert!(matches!(refused(&large), BadManifest::TooLarge { .. }));
    let wordy = |draft: &mut Draft| draft.config = "x".repeat(MAX_CONFIG_BYTES as usize + 1);
    assert!(matches!(refused(&wordy), BadManifest::TooLarge { .. }));
}

#[test]
fn the_largest_image_has_a_small_manifest() {
    let (_folder, vault) = vault();
    let all: Vec<u32> = (0..slots_of(MAX_IMAGE_BYTES)).collect();
    let manifest = wait(Manifest::seal(draft(32768, &all), &vault, "t")).unwrap();
    assert_eq!(manifest.chunks().len(), 32768);
    assert!(manifest.bytes().len() < 3 * 1024 * 1024, "{}", manifest.bytes().len());
}

#[test]
fn keys_are_made_once_and_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, vault) = vault();
    let manifest = sealed(&vault);
    let path = folder.path().join("tenants/t.key");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    // Another start.
    let again = KeyVault::in_folder(folder.path());
    assert!(opened(manifest.bytes().to_vec(), &again).is_some());
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    let again = KeyVault::in_folder(folder.path());
    let error = wait(manifest.open(image(1), &again, "t")).unwrap_err();
    assert!(matches!(error, UnsealError::Vault(VaultError::Exposed { mode: 0o640, .. })), "{error}");
    for name in ["", "..", "a/b", "a.b", "ü", &"a".repeat(65)] {
        let error = wait(Manifest::seal(draft(1, &[]), &vault, name)).unwrap_err();
        assert!(matches!(error, SealError::Vault(VaultError::Tenant { .. })), "{error}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_no_reason_to_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Manifest::parse(bytes.clone().into());
        // Past the first checks.
        let begun = [b"fs-image\x01\0", &bytes[..]].concat();
        let _ = Manifest::parse(begun.into());
    }

    #[test]
    fn what_is_read_is_written_again(changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6)) {
        let (_folder, vault) = vault();
        let written = sealed(&vault);
        let mut bytes = written.bytes().to_vec();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if bytes != *written.bytes() && let Ok(manifest) = Manifest::parse(bytes.into()) {
            prop_assert!(wait(manifest.open(image(1), &vault, "t")).is_err());
        }
    }
}
