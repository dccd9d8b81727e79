//! A store whose calls fail on demand, for tests of those who call it: before they are carried out, or after, when the
//! caller cannot know.
//!
//! It stands before another store. Each call is announced to a [`Faults`] by its name (`"head"`, or `"append.commit"` for a
//! call of a transaction), which says what becomes of it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use trialseal_record::ids::{Scope, StreamId, StreamKind, TrialId};
use trialseal_seal::hash::Hash;
use trialseal_vault::{DataKeys, KeyStoreError, StoredKey, WrappedKey};
use uuid::Uuid;

use crate::error::StoreError;
use crate::ports::{
    Accounts, AppendTx, Appends, Election, Events, FormerKeys, Jobs, ModelTx, Models, Reseals, SealTx, Seals,
    Store, Streams, Tokens,
};
use crate::rows::{
    AccountRow, Chosen, CommandId, CommandRow, Doc, EventRow, InvitationRow, JobRow, Known, LeafRow,
    LedgerHead, ModelRow, PasskeyRow, ResealedBody, SealRow, SealWrite, SealedHead, SessionRow, Standing,
    StreamVersion, TimestampRow, TokenRow, TreeName, WriteBatch,
};

type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Says what becomes of each call.
pub trait Faults: Send + Sync {
    /// What becomes of the next call, which has this name.
    fn fate(&self, call: &'static str) -> Fate;

    /// Sees, and may change or refuse, what an append is about to write.
    ///
    /// # Errors
    /// What the caller is told instead.
    fn before_write(&self, _batch: &mut WriteBatch) -> Result<()> {
        Ok(())
    }
}

/// What becomes of a call.
#[derive(Debug)]
pub enum Fate {
    /// It is carried out.
    Done,
    /// It fails before anything is carried out.
    Fails(StoreError),
    /// It is carried out, and reported as failed.
    DoneButFails(StoreError),
    /// A commit is reported as done and is not: what no store may do, to see that it is noticed. Other calls fail.
    Pretended,
}

/// The store that fails.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    faults: Arc<dyn Faults>,
}

impl FaultyStore {
    /// Stands before `inner`.
    pub fn new(inner: Arc<dyn Store>, faults: Arc<dyn Faults>) -> Self {
        Self { inner, faults }
    }
}

/// Carries a call out, or not.
async fn call<T>(
    faults: &dyn Faults,
    name: &'static str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    meets(faults.fate(name), work).await
}

/// As [`call`], for a commit, which can be pretended.
async fn commit(
    faults: &dyn Faults,
    name: &'static str,
    work: impl Future<Output = Result<()>>,
) -> Result<()> {
    match faults.fate(name) {
        Fate::Pretended => Ok(()),
        fate => meets(fate, work).await,
    }
}

async fn meets<T>(fate: Fate, work: impl Future<Output = Result<T>>) -> Result<T> {
    match fate {
        Fate::Done => work.await,
        Fate::Fails(error) => Err(error),
        Fate::DoneButFails(error) => {
            work.await?;
            Err(error)
        }
        Fate::Pretended => Err(StoreError::Refused("only a commit can be pretended".into())),
    }
}

/// A port whose calls do nothing but be carried out or not.
macro_rules! announced {
    ($port:ident { $($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)* } $({ $($more:tt)* })?) => {
        #[async_trait]
        impl $port for FaultyStore {
            $($($more)*)?
            $(async fn $name(&self $(, $argument: $type)*) -> Result<$answer> {
                call(self.faults.as_ref(), stringify!($name), self.inner.$name($($argument),*)).await
            })*
        }
    };
}

announced!(Events {
    head() -> LedgerHead;
    trial_size(trial: &TrialId) -> Option<u64>;
    trials(after: Option<&TrialId>, limit: u32) -> Vec<(TrialId, u64)>;
    since_position(from: u64, limit: u32) -> Vec<EventRow>;
    of_trial(trial: &TrialId, from: u64, limit: u32) -> Vec<EventRow>;
    of_stream(trial: &TrialId, stream: &StreamId, from: u64, limit: u32) -> Vec<EventRow>;
    leaves_from_position(from: u64, limit: u32) -> Vec<LeafRow>;
    leaves_of_trial(trial: &TrialId, from: u64, limit: u32) -> Vec<Hash>;
    stream_of(trial: &TrialId, key: &[u8; 32]) -> Option<StreamId>;
} {
    fn origin(&self) -> &str {
        self.inner.origin()
    }
});

announced!(Streams {
    streams(trial: &TrialId, kind: StreamKind, after: Option<StreamId>, limit: u32) -> Vec<StreamVersion>;
    stream_version(trial: &TrialId, stream: &StreamId) -> u64;
});

announced!(Appends {
    command(id: &CommandId) -> Option<CommandRow>;
} {
    async fn begin_append(&self) -> Result<Box<dyn AppendTx>> {
        let tx = call(self.faults.as_ref(), "begin_append", self.inner.begin_append()).await?;
        Ok(Box::new(FaultyTx { faults: Arc::clone(&self.faults), tx }))
    }
});

announced!(Reseals {
    reseal(bodies: &[ResealedBody]) -> ();
});

announced!(Seals {
    seals(from: u64, limit: u32) -> Vec<SealRow>;
    seal_covering(trial: &TrialId, trialseq: u64) -> Option<u64>;
    sealed_head(trial: &TrialId, seal: u64) -> Option<SealedHead>;
    sealed_heads(seal: u64) -> Vec<SealedHead>;
    parts(level: u8, parts: &[(TrialId, Range<u64>)]) -> Vec<Vec<Hash>>;
    nodes(tree: &TreeName, level: u8, from: u64, limit: u32) -> Vec<Hash>;
    put_checkpoint(size: u64, note: &[u8]) -> Vec<u8>;
    checkpoint(size: u64) -> Option<Vec<u8>>;
    newest_checkpoint() -> Option<(u64, Vec<u8>)>;
    put_note(size: u64, note: &[u8]) -> Vec<u8>;
    note(size: u64) -> Option<Vec<u8>>;
    newest_note() -> Option<(u64, Vec<u8>)>;
    note_from(size: u64) -> Option<(u64, Vec<u8>)>;
    notes_until(size: u64, limit: u32) -> Vec<(u64, Vec<u8>)>;
    put_timestamp(timestamp: &TimestampRow) -> TimestampRow;
    timestamp_from(size: u64) -> Option<TimestampRow>;
    timestamp_sizes(size: u64, limit: u32) -> Vec<u64>;
    newest_timestamp() -> Option<TimestampRow>;
} {
    async fn begin_seal(&self) -> Result<Box<dyn SealTx>> {
        let tx = call(self.faults.as_ref(), "begin_seal", self.inner.begin_seal()).await?;
        Ok(Box::new(FaultyTx { faults: Arc::clone(&self.faults), tx }))
    }
});

announced!(Models {
    generations(model: &str) -> Vec<ModelRow>;
    new_generation(model: &str) -> u32;
    activate(model: &str, generation: u32) -> bool;
    drop_unused(model: &str) -> ();
    docs(model: &str, generation: u32, ids: &[(TrialId, String)]) -> Vec<Option<Doc>>;
    list(
        model: &str, generation: u32, trial: &TrialId, prefix: &str, after: Option<&str>, limit: u32
    ) -> Vec<Doc>;
} {
    async fn begin_model(&self, model: &str, generation: u32, position: u64) -> Result<Box<dyn ModelTx>> {
        let begun = self.inner.begin_model(model, generation, position);
        let tx = call(self.faults.as_ref(), "begin_model", begun).await?;
        Ok(Box::new(FaultyTx { faults: Arc::clone(&self.faults), tx }))
    }
});

announced!(Jobs {
    put_job(job: &JobRow) -> ();
    job(id: Uuid) -> Option<JobRow>;
    open_jobs(kind: &str) -> Vec<JobRow>;
});

announced!(Tokens {
    add_token(token: &TokenRow) -> ();
    tokens_with(hashes: &[[u8; 32]]) -> Vec<TokenRow>;
    revoke_token(hash: &[u8; 32]) -> bool;
    tokens() -> Vec<TokenRow>;
    note_token(hash: &[u8; 32], known: Known) -> ();
});

announced!(Accounts {
    add_account(account: &AccountRow) -> bool;
    add_first_administrator(account: &AccountRow) -> bool;
    account(id: Uuid) -> Option<AccountRow>;
    account_of_login(login: &str) -> Option<AccountRow>;
    account_of_subject(issuer: &str, subject: &str) -> Option<AccountRow>;
    accounts() -> Vec<AccountRow>;
    move_account(account: &AccountRow) -> ();
    confirm_account(id: Uuid, issued: i64) -> ();
    withdraw_account(id: Uuid, issued: i64) -> ();
    change_password(id: Uuid, old: &str, new: &str) -> bool;
    disable_account(id: Uuid) -> bool;
    note_account(id: Uuid, known: Known) -> ();
    invite(invitation: &InvitationRow) -> ();
    invitation(hash: &[u8; 32]) -> Option<InvitationRow>;
    take_up(invitation: &InvitationRow, chosen: &Chosen) -> bool;
    begin_session(session: &SessionRow) -> ();
    session(hash: &[u8; 32]) -> Option<SessionRow>;
    see_session(hash: &[u8; 32], seen: i64) -> ();
    confirm_session(hash: &[u8; 32], confirmed: i64) -> ();
    end_session(hash: &[u8; 32]) -> ();
    end_outdated(now: i64, idle_since: i64) -> ();
    add_passkey(passkey: &PasskeyRow, epoch: i64) -> bool;
    passkey(credential: &str) -> Option<PasskeyRow>;
    passkeys() -> Vec<PasskeyRow>;
    passkeys_of(account: Uuid) -> Vec<PasskeyRow>;
    end_passkey(account: Uuid, credential: &str) -> bool;
    forget_passkey(credential: &str) -> ();
});

announced!(Election {
    stand(who: Uuid, term: Duration) -> Standing;
    renew(who: Uuid, term: Duration) -> bool;
    resign(who: Uuid) -> ();
    holder() -> Option<Uuid>;
} {
    fn in_hands_of(&self, who: Uuid) -> Arc<dyn Store> {
        Arc::new(Self { inner: self.inner.in_hands_of(who), faults: Arc::clone(&self.faults) })
    }
});

announced!(FormerKeys {
    former_data_keys() -> Vec<WrappedKey>;
    forget_former_data_keys() -> ();
});

/// A key store that fails, its calls named as those of [`DataKeys`].
pub struct FaultyKeys {
    inner: Arc<dyn DataKeys>,
    faults: Arc<dyn Faults>,
}

impl FaultyKeys {
    /// Stands before `inner`.
    pub fn new(inner: Arc<dyn DataKeys>, faults: Arc<dyn Faults>) -> Self {
        Self { inner, faults }
    }

    async fn call<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, KeyStoreError>>,
    ) -> Result<T, KeyStoreError> {
        // What the key store itself answers, a refusal too, goes through as it is.
        let work = async { Ok(work.await) };
        match call(self.faults.as_ref(), name, work).await {
            Ok(answer) => answer,
            Err(error) => Err(KeyStoreError::Unavailable(error.to_string())),
        }
    }
}

#[async_trait]
impl DataKeys for FaultyKeys {
    async fn data_key_of(&self, scope: &Scope) -> Result<Option<StoredKey>, KeyStoreError> {
        self.call("data_key_of", self.inner.data_key_of(scope)).await
    }

    async fn data_key(&self, id: Uuid) -> Result<Option<StoredKey>, KeyStoreError> {
        self.call("data_key", self.inner.data_key(id)).await
    }

    async fn add_data_key(&self, key: &WrappedKey) -> Result<StoredKey, KeyStoreError> {
        self.call("add_data_key", self.inner.add_data_key(key)).await
    }

    async fn destroy_data_key(&self, scope: &Scope) -> Result<bool, KeyStoreError> {
        self.call("destroy_data_key", self.inner.destroy_data_key(scope)).await
    }

    async fn succeed_data_key(&self, key: &WrappedKey) -> Result<StoredKey, KeyStoreError> {
        self.call("succeed_data_key", self.inner.succeed_data_key(key)).await
    }

    async fn former_data_key_of(&self, scope: &Scope) -> Result<Option<Uuid>, KeyStoreError> {
        self.call("former_data_key_of", self.inner.former_data_key_of(scope)).await
    }

    async fn destroy_former_data_key(&self, scope: &Scope) -> Result<(), KeyStoreError> {
        self.call("destroy_former_data_key", self.inner.destroy_former_data_key(scope)).await
    }

    async fn master_key(&self) -> Result<Option<String>, KeyStoreError> {
        self.call("master_key", self.inner.master_key()).await
    }

    async fn use_master_key(&self, master: &str, former: &str) -> Result<(), KeyStoreError> {
        self.call("use_master_key", self.inner.use_master_key(master, former)).await
    }

    async fn wrapped_by_others(&self, master: &str, limit: u32) -> Result<Vec<WrappedKey>, KeyStoreError> {
        self.call("wrapped_by_others", self.inner.wrapped_by_others(master, limit)).await
    }

    async fn replace_data_keys(&self, keys: &[WrappedKey]) -> Result<(), KeyStoreError> {
        self.call("replace_data_keys", self.inner.replace_data_keys(keys)).await
    }
}

/// A transaction that fails.
struct FaultyTx<T: ?Sized> {
    faults: Arc<dyn Faults>,
    tx: Box<T>,
}

#[async_trait]
impl AppendTx for FaultyTx<dyn AppendTx> {
    fn head(&self) -> LedgerHead {
        self.tx.head()
    }

    async fn commands(&mut self, ids: &[CommandId]) -> Result<Vec<CommandRow>> {
        call(self.faults.as_ref(), "append.commands", self.tx.commands(ids)).await
    }

    async fn trial_sizes(&mut self, trials: &[TrialId]) -> Result<Vec<(TrialId, u64)>> {
        call(self.faults.as_ref(), "append.trial_sizes", self.tx.trial_sizes(trials)).await
    }

    async fn stream_versions(&mut self, streams: &[(TrialId, StreamId)]) -> Result<Vec<StreamVersion>> {
        call(self.faults.as_ref(), "append.stream_versions", self.tx.stream_versions(streams)).await
    }

    async fn taken(&mut self, keys: &[(TrialId, [u8; 32])]) -> Result<Vec<(TrialId, [u8; 32])>> {
        call(self.faults.as_ref(), "append.taken", self.tx.taken(keys)).await
    }

    async fn write(&mut self, batch: &WriteBatch) -> Result<()> {
        let mut batch = batch.clone();
        self.faults.before_write(&mut batch)?;
        call(self.faults.as_ref(), "append.write", self.tx.write(&batch)).await
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        commit(self.faults.as_ref(), "append.commit", self.tx.commit()).await
    }
}

#[async_trait]
impl SealTx for FaultyTx<dyn SealTx> {
    fn head(&self) -> LedgerHead {
        self.tx.head()
    }

    async fn leaves_from_position(&mut self, from: u64, limit: u32) -> Result<Vec<LeafRow>> {
        call(self.faults.as_ref(), "seal.leaves", self.tx.leaves_from_position(from, limit)).await
    }

    async fn write(&mut self, seal: &SealWrite) -> Result<()> {
        call(self.faults.as_ref(), "seal.write", self.tx.write(seal)).await
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        commit(self.faults.as_ref(), "seal.commit", self.tx.commit()).await
    }
}

#[async_trait]
impl ModelTx for FaultyTx<dyn ModelTx> {
    async fn put(&mut self, docs: &[Doc]) -> Result<()> {
        call(self.faults.as_ref(), "model.put", self.tx.put(docs)).await
    }

    async fn commit(self: Box<Self>, position: u64) -> Result<()> {
        commit(self.faults.as_ref(), "model.commit", self.tx.commit(position)).await
    }
}
