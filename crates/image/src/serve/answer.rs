//! How a request of the kernel is answered: at once if it can be, later if not.
//!
//! A page that the first tier has in memory is answered by the thread that took the request, without a word to another
//! thread: each hand-over costs more than all the rest. What has to wait goes to the async runtime, and the thread is
//! free for the next request. So two threads are enough for any number of reads that wait.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;

/// Goes as far as it can without waiting, and leaves the rest to the runtime. If that has ended, the rest is dropped;
/// a reply that is dropped tells the kernel EIO.
pub(super) fn answer(runtime: &Handle, answering: impl Future<Output = ()> + Send + 'static) {
    let mut answering: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(answering);
    let _within = runtime.enter();
    // Nobody is woken by this look: when it was too early, the runtime begins by looking again.
    if let Poll::Pending = answering.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        runtime.spawn(answering);
    }
}
