//! What workers and nodes say to each other, over HTTP/2.
//!
//! ```text
//! GET /v1/shards/CHUNK/INDEX     200 with the shard, 404
//! PUT /v1/shards/CHUNK/INDEX     204, 413 when it is longer than a shard can be, 422 when its body is not what was signed
//! GET /v1/statistics             200 with JSON
//!                                401 without a signature that is good, 503 when there is no room for another request
//! ```
//!
//! CHUNK is 64 hexadecimal digits in lower case, INDEX one of 0 to 4; no other path means anything, so that a shard has one name.

use std::fmt;

use super::shards::ShardKey;

/// What a path means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    Shard(ShardKey),
    Statistics,
}

impl Resource {
    /// `None`: there is no such thing.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/v1/")?;
        if rest == "statistics" {
            return Some(Resource::Statistics);
        }
        let (chunk, index) = rest.strip_prefix("shards/")?.split_once('/')?;
        ShardKey::of_parts(chunk, index).map(Resource::Shard)
    }
}

/// The path.
impl fmt::Display for Resource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Shard(ShardKey { chunk, index }) => write!(formatter, "/v1/shards/{chunk}/{index}"),
            Resource::Statistics => formatter.write_str("/v1/statistics"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chunk::ChunkId;

    proptest! {
        #[test]
        fn a_path_is_read_as_it_is_written(id in any::<[u8; 32]>(), index in 0..5_u8) {
            let shard = ShardKey { chunk: ChunkId::from_bytes(id), index };
            prop_assert_eq!(Resource::of_path(&Resource::Shard(shard).to_string()), Some(Resource::Shard(shard)));
            prop_assert_eq!(shard.to_string().parse(), Ok(shard));
        }

        #[test]
        fn what_is_read_is_what_would_be_written(
            path in prop_oneof![".{0,100}", "/v1/shards/[0-9a-fA-F]{63,65}/[0-9]{0,2}", "/v1/[a-z]{0,12}/?"],
        ) {
            if let Some(resource) = Resource::of_path(&path) {
                prop_assert_eq!(resource.to_string(), path);
            }
        }

        #[test]
        fn a_shard_has_one_name(name in prop_oneof![".{0,80}", "[0-9a-fA-F]{64}\\.[0-9]{1,2}"]) {
            if let Ok(shard) = name.parse::<ShardKey>() {
                prop_assert_eq!(shard.to_string(), name);
            }
        }
    }
}
