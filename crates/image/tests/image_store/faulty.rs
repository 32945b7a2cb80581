//! A store of objects as a server sees it that dies, or whose requests are lost, or come too late.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// Everything works until so many requests were made; nothing does from then on.
#[derive(Debug)]
pub(crate) struct Faulty {
    inner: Arc<dyn ObjectStore>,
    left: Arc<AtomicU64>,
    made: AtomicU64,
    /// Whether what the last request asks for is done all the same, and only its answer is lost.
    last_is_done: bool,
    /// Requests let others go first, in this order.
    yields: u64,
}

impl Faulty {
    pub(crate) fn dying_after(inner: &Arc<dyn ObjectStore>, requests: u64, last_is_done: bool) -> Arc<Self> {
        let (left, made) = (Arc::new(AtomicU64::new(requests)), AtomicU64::new(0));
        Arc::new(Faulty { inner: Arc::clone(inner), left, made, last_is_done, yields: 0 })
    }

    /// One that lives, in turns with others, and dies when it is told so.
    pub(crate) fn in_turns(inner: &Arc<dyn ObjectStore>, yields: u64) -> Arc<Self> {
        let (left, made) = (Arc::new(AtomicU64::new(u64::MAX)), AtomicU64::new(0));
        Arc::new(Faulty { inner: Arc::clone(inner), left, made, last_is_done: yields % 2 == 1, yields })
    }

    /// It dies after so many more requests.
    pub(crate) fn die_after(&self, requests: u64) {
        self.left.store(requests, Ordering::Relaxed);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    async fn request<T>(&self, request: impl Future<Output = Result<T>>) -> Result<T> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        for _ in 0..(number.wrapping_mul(self.yields) >> 3) % 4 {
            tokio::task::yield_now().await;
        }
        count(&self.left)?;
        if self.last_is_done && self.is_dead() {
            let _ = request.await;
            return Err(gone());
        }
        request.await
    }
}

/// One request fewer that may be made; that it is the last one is seen by who looks.
fn count(left: &AtomicU64) -> Result<()> {
    match left.load(Ordering::Relaxed) {
        0 => Err(gone()),
        u64::MAX => Ok(()),
        some => {
            left.store(some - 1, Ordering::Relaxed);
            Ok(())
        }
    }
}

fn gone() -> object_store::Error {
    object_store::Error::Generic { store: "faulty", source: "the server is gone".into() }
}

impl fmt::Display for Faulty {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, key: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.request(self.inner.put_opts(key, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        key: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.request(self.inner.put_multipart_opts(key, options)).await
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> Result<GetResult> {
        self.request(self.inner.get_opts(key, options)).await
    }

    async fn get_ranges(&self, key: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.request(self.inner.get_ranges(key, ranges)).await
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        // One by one: a server may die between any two.
        let (inner, left) = (Arc::clone(&self.inner), Arc::clone(&self.left));
        let keys = keys.then(move |key| {
            let (inner, left) = (Arc::clone(&inner), Arc::clone(&left));
            async move {
                count(&left)?;
                let mut one = inner.delete_stream(stream::iter([key]).boxed());
                one.try_next().await?.ok_or_else(gone)
            }
        });
        keys.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match count(&self.left) {
            Err(error) => stream::iter([Err(error)]).boxed(),
            Ok(()) => self.inner.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.request(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.request(self.inner.copy_opts(from, to, options)).await
    }
}
