//! From shards to the chunk, as they come: the rules, without a clock or a connection.
//!
//! | there are | and |
//! |---|---|
//! | four | their chunk is what its id says: done. Otherwise one of them is wrong, and the fifth is waited for |
//! | all five, of which four were not right | each other four are tried; where they are right, the one left out was wrong |
//! | two that will not come | the chunk cannot be made: lost |
//!
//! Two wrong ones of five cannot be told from each other: lost, too.

use bytes::Bytes;

use super::shards::{NEEDED, SHARDS, shard_bytes, xor};
use crate::chunk::{ChunkRef, VerifiedChunk};

/// What has come so far.
#[derive(Debug)]
pub(super) struct Gathering {
    chunk: ChunkRef,
    shards: [Option<Bytes>; SHARDS],
    here: usize,
    absent: usize,
}

/// What is to be done after one more has come, or will not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// Wait for the others.
    Waiting,
    /// That is it.
    Whole {
        /// The chunk.
        chunk: VerifiedChunk,
        /// The shard that was something else.
        wrong: Option<usize>,
    },
    /// There is no use in waiting.
    Lost,
}

impl Gathering {
    pub(super) fn new(chunk: ChunkRef) -> Self {
        Gathering { chunk, shards: [const { None }; SHARDS], here: 0, absent: 0 }
    }

    /// One has come, or it is known that it will not. Called once for each.
    pub(super) fn arrived(&mut self, index: usize, shard: Option<Bytes>) -> Progress {
        // One of another length is none: its node has a chunk in mind that is another.
        let shard = shard.filter(|shard| shard.len() == shard_bytes(self.chunk));
        match shard {
            Some(shard) => {
                self.shards[index] = Some(shard);
                self.here += 1;
            }
            None => self.absent += 1,
        }
        if self.absent > SHARDS - NEEDED {
            return Progress::Lost;
        }
        match self.here {
            NEEDED => {
                let missing = self.shards.iter().position(Option::is_none);
                let chunk = missing.and_then(|missing| self.without(missing));
                match chunk {
                    Some(chunk) => Progress::Whole { chunk, wrong: None },
                    // One of them is wrong, and the fifth will not come.
                    None if self.absent > 0 => Progress::Lost,
                    None => Progress::Waiting,
                }
            }
            // Those without the last one have been tried.
            SHARDS => {
                let mut others = (0..SHARDS).filter(|other| *other != index);
                let found = others.find_map(|wrong| Some((self.without(wrong)?, wrong)));
                found.map_or(Progress::Lost, |(chunk, wrong)| Progress::Whole { chunk, wrong: Some(wrong) })
            }
            _ => Progress::Waiting,
        }
    }

    /// What all others make, if it is what it should be.
    fn without(&self, left_out: usize) -> Option<VerifiedChunk> {
        let others: Vec<&Bytes> = self
            .shards
            .iter()
            .zip(0..)
            .filter(|(_, index)| *index != left_out)
            .filter_map(|(shard, _)| shard.as_ref())
            .collect();
        let length = shard_bytes(self.chunk);
        let rebuilt = (left_out < NEEDED).then(|| xor(length, others.iter().copied()));
        let mut ciphertext = Vec::with_capacity(NEEDED * length);
        for (index, shard) in self.shards[..NEEDED].iter().enumerate() {
            let shard = if index == left_out { rebuilt.as_ref() } else { shard.as_ref() };
            ciphertext.extend_from_slice(shard?);
        }
        ciphertext.truncate(self.chunk.stored_bytes as usize);
        VerifiedChunk::verify(self.chunk, ciphertext.into()).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::shards::split;
    use super::*;
    use crate::chunk::{Domain, Salt, seal};

    fn chunk(bytes: usize) -> VerifiedChunk {
        let plaintext: Vec<u8> = (1..=251).cycle().take(bytes).collect();
        seal(&plaintext, &Salt::from_bytes([1; 32]), &Domain::Deployment).unwrap().chunk
    }

    /// What a node does.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Node {
        Has,
        HasNot,
        Lies(usize),
        IsShort,
    }

    fn node() -> impl Strategy<Value = Node> {
        prop_oneof![
            4 => Just(Node::Has),
            1 => Just(Node::HasNot),
            1 => any::<usize>().prop_map(Node::Lies),
            1 => Just(Node::IsShort),
        ]
    }

    fn gather(chunk: &VerifiedChunk, nodes: &[(usize, Node)]) -> (Progress, usize) {
        let (shards, mut gathering) = (split(chunk), Gathering::new(chunk.reference()));
        for (number, (index, node)) in (1..).zip(nodes) {
            let mut shard = shards[*index].to_vec();
            let shard = match node {
                Node::HasNot => None,
                Node::Has => Some(shard),
                Node::IsShort => shard.pop().map(|_| shard),
                Node::Lies(bit) => {
                    // Not within what is only there to fill up: that makes no difference to anybody.
                    let bit = bit % (shard.len() * 8);
                    shard[bit / 8] ^= 1 << (bit % 8);
                    Some(shard)
                }
            };
            match gathering.arrived(*index, shard.map(Bytes::from)) {
                Progress::Waiting => {}
                done => return (done, number),
            }
        }
        panic!("all have answered, and it waits");
    }

    #[test]
    fn any_four_are_enough() {
        for bytes in [1, 2, 3, 4, 5, 1000, 1021] {
            let chunk = chunk(bytes);
            for left_out in 0..SHARDS {
                let nodes: Vec<_> =
                    (0..SHARDS).filter(|index| *index != left_out).map(|index| (index, Node::Has)).collect();
                let (progress, _) = gather(&chunk, &nodes);
                assert_eq!(progress, Progress::Whole { chunk: chunk.clone(), wrong: None });
            }
        }
    }

    #[test]
    fn one_that_lies_is_found_out() {
        let chunk = chunk(4000);
        for liar in 0..SHARDS {
            let nodes: Vec<_> = (0..SHARDS)
                .map(|index| (index, if index == liar { Node::Lies(77) } else { Node::Has }))
                .collect();
            let (progress, asked) = gather(&chunk, &nodes);
            // The last is not needed, and so not looked at.
            let wrong = (liar < NEEDED).then_some(liar);
            assert_eq!(progress, Progress::Whole { chunk: chunk.clone(), wrong });
            assert_eq!(asked, if liar < NEEDED { 5 } else { 4 });
        }
    }

    #[test]
    fn two_that_do_not_come_are_known_to_be_too_many() {
        let nodes = [(3, Node::HasNot), (0, Node::HasNot), (1, Node::Has)];
        assert_eq!(gather(&chunk(100), &nodes), (Progress::Lost, 2));
    }

    proptest! {
        #[test]
        fn it_is_the_chunk_or_nothing(
            nodes in proptest::collection::vec(node(), SHARDS),
            order in Just((0..SHARDS).collect::<Vec<_>>()).prop_shuffle(),
            quarter in 1..300_usize,
        ) {
            let chunk = chunk(quarter * 4);
            let nodes: Vec<_> = order.into_iter().map(|index| (index, nodes[index])).collect();
            let good = nodes.iter().filter(|(_, node)| *node == Node::Has).count();
            match gather(&chunk, &nodes).0 {
                Progress::Whole { chunk: found, wrong } => {
                    prop_assert_eq!(found, chunk);
                    prop_assert!(good >= NEEDED);
                    if let Some(wrong) = wrong {
                        let (_, node) = nodes.iter().find(|(index, _)| *index == wrong).unwrap();
                        prop_assert!(matches!(node, Node::Lies(_)));
                    }
                }
                Progress::Lost => prop_assert!(good < NEEDED),
                Progress::Waiting => prop_assert!(false),
            }
        }
    }
}
