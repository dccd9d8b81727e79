//! One lock a stream, so that commands of one process on one stream queue up instead of undoing each other's work.
//! What keeps the record right is the version check of the append; this only spares its retries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;
use trialseal_record::ids::{StreamId, TrialId};

/// So many locks are kept before those that nobody holds are dropped.
const SWEEP_AT: usize = 1024;

type Lock = tokio::sync::Mutex<()>;

/// The locks that somebody holds or waits for.
#[derive(Debug, Default)]
pub(crate) struct Locks(Mutex<HashMap<(TrialId, StreamId), Weak<Lock>>>);

impl Locks {
    /// Waits until nobody else holds the stream.
    pub(crate) async fn hold(&self, trial: &TrialId, stream: StreamId) -> OwnedMutexGuard<()> {
        let lock = self.lock((trial.clone(), stream));
        lock.lock_owned().await
    }

    fn lock(&self, key: (TrialId, StreamId)) -> Arc<Lock> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(&key).and_then(Weak::upgrade) {
            return lock;
        }
        if locks.len() >= SWEEP_AT {
            locks.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::new(Lock::default());
        locks.insert(key, Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_is_held_by_one_and_locks_do_not_pile_up() {
        let locks = Locks::default();
        let trial: TrialId = "DEMO-1".parse().unwrap();
        let stream = |n| StreamId::site(trialseal_record::SiteId(uuid::Uuid::from_u128(n)));
        let held = locks.hold(&trial, stream(1)).await;
        let _other = locks.hold(&trial, stream(2)).await;
        assert!(locks.lock((trial.clone(), stream(1))).try_lock().is_err());
        drop(held);
        assert!(locks.lock((trial.clone(), stream(1))).try_lock().is_ok());
        for n in 0..3 * SWEEP_AT as u128 {
            locks.hold(&trial, stream(n + 10)).await;
        }
        assert!(locks.0.lock().unwrap().len() <= SWEEP_AT);
        assert!(locks.lock((trial, stream(2))).try_lock().is_err());
    }
}
