//! Lists in pages: each page names the last entry it showed, the next begins behind it.
//!
//! So what is added or removed meanwhile moves nothing: every entry that is there all the time is seen
//! once. Markers are opaque to callers and are checked as any other text of theirs.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::refusal::Refusal;

/// Which page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paging {
    /// `NextMarker` of the page before; none for the first.
    pub marker: Option<String>,
    /// At most so many; each list has its own most.
    pub max_items: Option<u32>,
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// In the list's order.
    pub items: Vec<T>,
    /// Present when there is more.
    pub next_marker: Option<String>,
}

impl Paging {
    /// The key to begin behind.
    pub(crate) fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, Refusal> {
        // Tools that go through pages in a loop send an empty one with the first.
        let Some(marker) = self.marker.as_deref().filter(|marker| !marker.is_empty()) else {
            return Ok(None);
        };
        let key = URL_SAFE_NO_PAD.decode(marker).ok().and_then(|text| serde_json::from_slice(&text).ok());
        key.map(Some).ok_or_else(|| Refusal::InvalidMarker { marker: marker.to_owned() })
    }

    /// One more than the page shows, so that it is known whether there is a next.
    pub(crate) fn limit(&self, most: u32) -> u32 {
        self.most(most) + 1
    }

    fn most(&self, most: u32) -> u32 {
        self.max_items.unwrap_or(most).clamp(1, most)
    }

    /// The page out of what was read with [`Paging::limit`].
    pub(crate) fn page<T, K: Serialize>(
        &self,
        most: u32,
        mut read: Vec<T>,
        key: impl Fn(&T) -> K,
    ) -> Page<T> {
        let shown = usize::try_from(self.most(most)).expect("a page fits in memory");
        let more = read.len() > shown;
        read.truncate(shown);
        let next_marker = read.last().filter(|_| more).map(|last| {
            let key = serde_json::to_vec(&key(last)).expect("a key is always JSON");
            URL_SAFE_NO_PAD.encode(key)
        });
        Page { items: read, next_marker }
    }
}
