//! How much of an image stays the same when little of it changes: what deduplication lives on.

use std::collections::HashSet;

use crate::archives::Tar;
use crate::{slot_buffer, try_flat};

/// Files of a layer.
type Corpus = Vec<(String, Vec<u8>)>;

/// Files as in a distribution: mostly small, a few large.
fn corpus(seed: u64, folders: usize, files: usize) -> Corpus {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..files)
        .map(|index| {
            let bytes = match random.u8(..) {
                0..4 => random.usize(256 * 1024..2 << 20),
                4..40 => random.usize(20_000..200_000),
                _ => random.usize(1..12_000),
            };
            let mut content = vec![0; bytes];
            random.fill(&mut content);
            (format!("usr/lib/{seed}/{}/file-{index}", index % folders), content)
        })
        .collect()
}

fn tar(corpus: &[(String, Vec<u8>)]) -> Vec<u8> {
    corpus.iter().fold(Tar::new(), |tar, (path, content)| tar.mtime(1000).file(path, content)).finish()
}

/// The slots of an image that are not zeros only.
fn slots(tars: Vec<Vec<u8>>) -> HashSet<blake3::Hash> {
    let image = try_flat(tars).unwrap();
    let mut buffer = slot_buffer();
    (0..image.slots())
        .map(|slot| {
            image.read_slot(slot, &mut buffer).unwrap();
            blake3::hash(&buffer[..])
        })
        .collect()
}

#[test]
fn few_slots_change_with_few_files() {
    let (base, packages, app) = (corpus(1, 60, 2500), corpus(2, 40, 800), corpus(3, 2, 30));
    let image = |base: &[_], app: &[_]| slots(vec![tar(base), tar(&packages), tar(app)]);
    let before = image(&base, &app);
    let fresh = |after: &HashSet<blake3::Hash>| after.difference(&before).count();

    let mut changed_app = app.clone();
    changed_app[7].1 = b"changed".to_vec();
    let app_change = fresh(&image(&base, &changed_app));

    let mut patched_base = base.clone();
    for index in [11, 600, 1207, 1900, 2300] {
        // Larger than before, so that what follows has to move.
        patched_base[index].1.extend_from_slice(&[b'p'; 9000]);
    }
    let base_patch = fresh(&image(&patched_base, &app));

    let mut extended_base = base;
    extended_base.insert(1500, ("usr/lib/1/17/file-new".to_owned(), vec![b'n'; 30_000]));
    let base_addition = fresh(&image(&extended_base, &app));

    println!(
        "of {} slots are new: {app_change} with one file of the top layer, {base_patch} with five of the lowest, \
         {base_addition} with one more",
        before.len()
    );
    assert!(app_change <= 3, "{app_change} slots");
    assert!(base_patch <= 20, "{base_patch} slots");
    assert!(base_addition <= 6, "{base_addition} slots");
}

/// What layers bring lies in the same slots wherever in an image they are.
#[test]
fn a_layer_has_its_slots_in_common_with_other_images_that_have_it() {
    let (base, packages, other) = (corpus(1, 20, 500), corpus(2, 20, 500), corpus(4, 20, 500));
    let one = slots(vec![tar(&base), tar(&packages)]);
    let two = slots(vec![tar(&other), tar(&base), tar(&packages)]);
    let own = one.difference(&two).count();
    assert_eq!(own, 1, "all but the metadata");
}
