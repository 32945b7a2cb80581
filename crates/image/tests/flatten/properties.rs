//! Layers by chance, against the model and against themselves in another order.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use crate::kernel;
use crate::model::{self, Attributes, Entry};
use crate::{Files, flat, reader, try_flat};

fn directory() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c.d", "!e"]), 1..4)
        .prop_map(|parts| parts.join("/"))
}

/// Where something is put: beside and in the place of directories, too.
fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (directory(), prop::sample::select(vec!["x", "y", "a.z"])).prop_map(|(d, name)| format!("{d}/{name}")),
        1 => directory(),
        1 => prop::sample::select(vec!["x", "y"]).prop_map(str::to_owned),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let xattr = prop::option::weighted(0.2, prop::collection::vec(any::<u8>(), 1..200));
    (prop::sample::select(vec![0o755, 0o700, 0o4711, 0o1777]), 0..3u32, 0..5u32, xattr)
        .prop_map(|(permissions, uid, mtime, xattr)| Attributes { permissions, uid, mtime, xattr })
}

/// Linux has attributes of users for files and directories only.
fn bare(mut attributes: Attributes) -> Attributes {
    attributes.xattr = None;
    attributes
}

/// Symbolic links only under a name that no path leads through: where those lead is tested by hand.
fn entry() -> impl Strategy<Value = Entry> {
    let content = prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..20),
        1 => (4000..4200usize).prop_map(|bytes| vec![b'm'; bytes]),
        1 => (260_000..265_000usize).prop_map(|bytes| vec![b'l'; bytes]),
    ];
    let target = prop_oneof!["[a-z./]{1,30}", "[a-z]{1000,4000}"];
    prop_oneof![
        3 => (directory(), attributes()).prop_map(|(path, a)| Entry::Directory(path, a)),
        6 => (path(), content, attributes()).prop_map(|(path, content, a)| Entry::File(path, content, a)),
        1 => (directory(), target, attributes()).prop_map(|(d, target, a)| Entry::Symlink(format!("{d}/link"), target, bare(a))),
        2 => (path(), path()).prop_map(|(path, target)| Entry::HardLink(path, target)),
        1 => (path(), attributes()).prop_map(|(path, a)| Entry::Fifo(path, bare(a))),
        1 => path().prop_map(Entry::Device),
        2 => path().prop_map(Entry::Whiteout),
        1 => directory().prop_map(Entry::Opaque),
    ]
}

fn layer() -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec(entry(), 0..12)
}

fn tars(layers: &[Vec<Entry>]) -> Vec<Vec<u8>> {
    layers.iter().map(|entries| model::tar(entries)).collect()
}

fn path_of(entry: &Entry) -> &str {
    match entry {
        Entry::Directory(path, _)
        | Entry::File(path, ..)
        | Entry::Symlink(path, ..)
        | Entry::HardLink(path, _)
        | Entry::Fifo(path, _)
        | Entry::Device(path)
        | Entry::Whiteout(path)
        | Entry::Opaque(path) => path,
    }
}

/// Entries whose order in a layer has no meaning: no two of one path, nothing in the way of another, no links.
fn without_order(entries: Vec<Entry>) -> Vec<Entry> {
    let mut taken = BTreeSet::new();
    let mut kept: Vec<Entry> = Vec::new();
    for entry in entries {
        let path = path_of(&entry).to_owned();
        let in_the_way = kept.iter().any(|other| {
            let (other, is_directory) =
                (path_of(other), matches!(other, Entry::Directory(..) | Entry::Opaque(_)));
            !is_directory && path.starts_with(&format!("{other}/"))
                || !matches!(entry, Entry::Directory(..) | Entry::Opaque(_))
                    && other.starts_with(&format!("{path}/"))
        });
        if !in_the_way && !matches!(entry, Entry::HardLink(..)) && taken.insert(path) {
            kept.push(entry);
        }
    }
    kept
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn layers_make_what_the_model_makes(layers in prop::collection::vec(layer(), 0..5)) {
        let found = try_flat(tars(&layers)).ok().map(|image| reader::read(&crate::bytes_of(&image)));
        prop_assert_eq!(found, model::files(&layers));
    }

    #[test]
    fn the_order_within_a_layer_does_not_matter(
        below in layer().prop_map(without_order),
        (ordered, shuffled) in layer().prop_map(without_order).prop_flat_map(|entries| {
            (Just(entries.clone()), Just(entries).prop_shuffle())
        }),
    ) {
        let image = |above: &Vec<Entry>| flat(tars(&[below.clone(), above.clone()]));
        prop_assert!(image(&ordered) == image(&shuffled));
    }
}

/// The kernel sees what the model says, for stacks that the model accepts.
#[test]
fn the_kernel_sees_what_the_model_makes() {
    let Some(host) = kernel::Host::find("the_kernel_sees_what_the_model_makes") else { return };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = 0;
    while seen < 40 {
        let layers = prop::collection::vec(layer(), 1..5).new_tree(&mut runner).unwrap().current();
        let Some(expected) = model::files(&layers) else { continue };
        let found: Files = host.mount(&try_flat(tars(&layers)).unwrap()).files();
        assert_eq!(found, expected, "{layers:#?}");
        seen += 1;
    }
}
