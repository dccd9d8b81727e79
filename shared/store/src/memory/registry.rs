//! Jobs and tokens.

use std::collections::BTreeMap;

use async_trait::async_trait;
use trialseal_vault::WrappedKey;
use uuid::Uuid;

use super::{MemoryStore, read, write};
use crate::error::{Result, StoreError};
use crate::ports::{FormerKeys, Jobs, Tokens};
use crate::rows::{JobRow, Known, TokenRow};

#[derive(Debug, Default)]
pub(super) struct State {
    jobs: BTreeMap<Uuid, JobRow>,
    tokens: BTreeMap<[u8; 32], TokenRow>,
    pub(super) people: super::accounts::State,
}

#[async_trait]
impl Jobs for MemoryStore {
    async fn put_job(&self, job: &JobRow) -> Result<()> {
        self.check_holder()?;
        write(&self.registry).jobs.insert(job.id, job.clone());
        Ok(())
    }

    async fn job(&self, id: Uuid) -> Result<Option<JobRow>> {
        Ok(read(&self.registry).jobs.get(&id).cloned())
    }

    async fn open_jobs(&self, kind: &str) -> Result<Vec<JobRow>> {
        let registry = read(&self.registry);
        Ok(registry.jobs.values().filter(|job| job.kind == kind && !job.ended).cloned().collect())
    }
}

#[async_trait]
impl Tokens for MemoryStore {
    async fn add_token(&self, token: &TokenRow) -> Result<()> {
        let mut registry = write(&self.registry);
        if registry.tokens.contains_key(&token.hash) {
            return Err(StoreError::Refused("table token has a row of this key already".into()));
        }
        registry.tokens.insert(token.hash, token.clone());
        Ok(())
    }

    async fn tokens_with(&self, hashes: &[[u8; 32]]) -> Result<Vec<TokenRow>> {
        let registry = read(&self.registry);
        Ok(hashes.iter().filter_map(|hash| registry.tokens.get(hash).cloned()).collect())
    }

    async fn revoke_token(&self, hash: &[u8; 32]) -> Result<bool> {
        let mut registry = write(&self.registry);
        let token = registry.tokens.get_mut(hash).map(|token| token.revoked = true);
        Ok(token.is_some())
    }

    async fn tokens(&self) -> Result<Vec<TokenRow>> {
        let mut tokens: Vec<_> = read(&self.registry).tokens.values().cloned().collect();
        tokens.sort_by(|a, b| a.actor.cmp(&b.actor));
        Ok(tokens)
    }

    async fn note_token(&self, hash: &[u8; 32], known: Known) -> Result<()> {
        if let Some(token) = write(&self.registry).tokens.get_mut(hash) {
            token.known = token.known.max(known);
        }
        Ok(())
    }
}

#[async_trait]
impl FormerKeys for MemoryStore {
    async fn former_data_keys(&self) -> Result<Vec<WrappedKey>> {
        Ok(Vec::new())
    }

    async fn forget_former_data_keys(&self) -> Result<()> {
        Ok(())
    }
}
