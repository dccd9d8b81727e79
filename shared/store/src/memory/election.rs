//! Who is elected to write.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

use super::{MemoryStore, read, write};
use crate::error::{Result, StoreError};
use crate::ports::{Election, Store};
use crate::rows::Standing;

#[derive(Debug)]
pub(super) struct Term {
    holder: Uuid,
    until: Instant,
}

impl MemoryStore {
    /// Whether the store is in the hands of the process that may write.
    pub(super) fn check_holder(&self) -> Result<()> {
        let holder = read(&self.term).as_ref().map(|term| term.holder);
        if holder == self.who { Ok(()) } else { Err(StoreError::Deposed) }
    }
}

#[async_trait]
impl Election for MemoryStore {
    fn in_hands_of(&self, who: Uuid) -> Arc<dyn Store> {
        Arc::new(Self { who: Some(who), ..self.clone() })
    }

    async fn stand(&self, who: Uuid, term: Duration) -> Result<Standing> {
        let _lock = self.head_lock.lock().await;
        let (now, mut held) = (Instant::now(), write(&self.term));
        match held.as_ref() {
            Some(other) if other.holder != who && other.until > now => Ok(Standing::Other(other.holder)),
            _ => {
                *held = Some(Term { holder: who, until: now + term });
                Ok(Standing::Elected)
            }
        }
    }

    async fn renew(&self, who: Uuid, term: Duration) -> Result<bool> {
        let _lock = self.head_lock.lock().await;
        let mut held = write(&self.term);
        let own = held.as_mut().filter(|held| held.holder == who);
        Ok(own.map(|held| held.until = Instant::now() + term).is_some())
    }

    async fn resign(&self, who: Uuid) -> Result<()> {
        let _lock = self.head_lock.lock().await;
        let _own = write(&self.term).take_if(|held| held.holder == who);
        Ok(())
    }

    async fn holder(&self) -> Result<Option<Uuid>> {
        Ok(read(&self.term).as_ref().map(|term| term.holder))
    }
}
