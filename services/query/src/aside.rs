//! Work that computes for long, away from the threads that serve requests.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tracing::{Instrument as _, Span};
use trialseal_runtime::problem::Problem;

use crate::Query;

impl Query {
    /// Runs `work` on a thread of its own. To decrypt and to hash a page of events or documents can take long enough to
    /// keep all others waiting who are served by the same thread.
    pub(crate) async fn aside<T, F>(
        self: &Arc<Self>,
        work: impl FnOnce(Arc<Self>) -> F + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Problem>>,
    {
        let (query, runtime, span) = (Arc::clone(self), Handle::current(), Span::current());
        let done = spawn_blocking(move || runtime.block_on(work(query).instrument(span))).await;
        // What the panic says is left out, as it may quote data; the panic hook has logged where it was.
        done.map_err(|_| Problem::internal(&"the thread of a page ended early"))?
    }
}
