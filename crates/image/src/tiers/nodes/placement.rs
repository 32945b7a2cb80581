//! Which nodes have which shards: rendezvous hashing, for each shard by itself.
//!
//! For each shard every node has a score, made from the node's name, the chunk's id and the shard's index; the node with the highest that
//! has no shard of this chunk yet has this one. Whoever knows the names knows the place: there is nothing to agree on. When
//! a node comes or goes, of most chunks one shard moves, or none, and one may be missing.
//!
//! Scores are part of the protocol: workers of different versions must find the same places.

use super::shards::SHARDS;
use crate::chunk::ChunkId;

/// What a node's name contributes.
pub(crate) fn seed(name: &str) -> u64 {
    first_word(blake3::hash(name.as_bytes()).as_bytes())
}

/// The node of each shard, as an index into `seeds`. Nodes repeat when there are fewer than shards.
///
/// # Panics
///
/// If there are none.
pub(crate) fn place(seeds: &[u64], chunk: ChunkId) -> [usize; SHARDS] {
    assert!(!seeds.is_empty(), "a cluster has nodes");
    let id = first_word(chunk.as_bytes());
    let mut places = [0; SHARDS];
    for index in 0..SHARDS {
        let round = index - index % seeds.len();
        let taken = &places[round..index];
        let free = (0..seeds.len()).filter(|node| !taken.contains(node));
        let best = free.max_by_key(|node| (score(seeds[*node], id, index as u64), *node));
        places[index] = best.expect("fewer are taken than there are");
    }
    places
}

/// A finalizer of SplitMix64, twice: near ids and near seeds have scores that are far from each other.
fn score(seed: u64, id: u64, index: u64) -> u64 {
    mix(mix(id ^ seed).wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

fn first_word(bytes: &[u8; 32]) -> u64 {
    let (word, _) = bytes.split_first_chunk().expect("32 bytes are more than 8");
    u64::from_le_bytes(*word)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn seeds(nodes: usize) -> Vec<u64> {
        (0..nodes).map(|node| seed(&format!("node-{node}:7000"))).collect()
    }

    fn chunk(number: u64) -> ChunkId {
        ChunkId::of(&number.to_le_bytes())
    }

    #[test]
    fn places_stay_where_they_are() {
        assert_eq!(place(&seeds(10), chunk(1)), [4, 1, 5, 0, 8]);
    }

    #[test]
    fn each_shard_is_on_a_node_of_its_own_and_nodes_have_equal_shares() {
        let (seeds, mut shares) = (seeds(8), [0_u32; 8]);
        for number in 0..8000 {
            let places = place(&seeds, chunk(number));
            assert_eq!(BTreeSet::from(places).len(), SHARDS);
            places.iter().for_each(|node| shares[*node] += 1);
        }
        assert!(shares.iter().all(|share| (4700..5300).contains(share)), "{shares:?}");
    }

    #[test]
    fn with_few_nodes_each_has_about_as_many() {
        for nodes in 1..5 {
            let places = place(&seeds(nodes), chunk(3));
            let most = (0..nodes).map(|node| places.iter().filter(|place| **place == node).count()).max();
            assert_eq!(most, Some(SHARDS.div_ceil(nodes)));
        }
    }

    #[test]
    fn when_a_node_goes_most_chunks_still_have_four_shards_in_place() {
        for nodes in [6, 10, 30] {
            let (before, after) = (seeds(nodes), seeds(nodes - 1));
            let kept = |number| {
                let (old, new) = (place(&before, chunk(number)), place(&after, chunk(number)));
                old.iter().zip(new).filter(|(old, new)| *old == new).count()
            };
            let whole = (0..4000).filter(|number| kept(*number) >= 4).count();
            println!("{nodes} nodes, one gone: {whole} of 4000 chunks are still whole");
            assert!(whole > 4000 * (nodes - 3) / nodes, "{whole} with {nodes}");
        }
    }
}
