//! Pages while others write: what is there all the time is seen once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use firesteel_catalog::{Listed, Paging, Store};

use crate::fixture::*;

#[test]
fn nothing_is_missed_or_seen_twice() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), account()).unwrap();
    for index in 0..60 {
        create(&store, &format!("kept-{index:02}"), 1);
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0_u32.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                // Before, among and behind those that are kept.
                for name in ["a", "kept-30-more", "z"].map(|prefix| format!("{prefix}-{}", round % 3)) {
                    create(&store, &name, 1);
                    publish(&store, &name);
                    store.delete_function(&name.parse().unwrap()).unwrap();
                }
            }
        });
        for max_items in [1, 7, 50] {
            for listed in [Listed::Latest, Listed::AllVersions] {
                let mut seen: BTreeMap<String, u32> = BTreeMap::new();
                let mut paging = Paging { marker: None, max_items: Some(max_items) };
                loop {
                    let page = store.list_functions(listed, &paging).unwrap();
                    for version in page.items {
                        *seen.entry(version.arn.to_string()).or_default() += 1;
                    }
                    paging.marker = page.next_marker;
                    if paging.marker.is_none() {
                        break;
                    }
                }
                let kept: Vec<u32> = seen
                    .iter()
                    .filter(|(arn, _)| arn.contains(":kept-") && !arn.contains("-more"))
                    .map(|(_, times)| *times)
                    .collect();
                assert_eq!(kept, [1; 60], "{max_items} {listed:?}");
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}
