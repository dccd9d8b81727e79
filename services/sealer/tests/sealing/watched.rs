//! A store that stands before the one in memory: it can be down, be another one from some moment on, give damaged rows,
//! and tells what is read through it while the head row's lock is held.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use trialseal_record::ids::{StreamId, StreamKind, TrialId};
use trialseal_seal::hash::Hash;
use trialseal_store::memory::MemoryStore;
use trialseal_store::{
    AccountRow, Accounts, AppendTx, Appends, Chosen, CommandId, CommandRow, Doc, Election, EventRow, Events,
    FormerKeys, InvitationRow, JobRow, Jobs, Known, LeafRow, LedgerHead, ModelRow, ModelTx, Models,
    PasskeyRow, ResealedBody, Reseals, Result, SealRow, SealTx, SealWrite, SealedHead, Seals, SessionRow,
    Standing, Store, StoreError, StreamVersion, Streams, TimestampRow, TokenRow, Tokens, TreeName,
};
use trialseal_vault::WrappedKey;
use uuid::Uuid;

use crate::bench::Interruption;

type Change<T> = Mutex<Option<Box<dyn Fn(&mut T) + Send>>>;

pub(crate) struct Watched {
    inner: Mutex<Arc<MemoryStore>>,
    /// Whether the database cannot be reached.
    pub(crate) down: AtomicBool,
    /// What happens before the next call of that name is answered.
    before: Mutex<Option<(&'static str, Interruption)>>,
    /// Transactions that hold the lock.
    held: Arc<AtomicUsize>,
    /// Calls that came while the lock was held, other than those of the transaction that holds it.
    pub(crate) under_lock: Mutex<Vec<&'static str>>,
    /// What is made of the rows that are read.
    pub(crate) head: Change<LedgerHead>,
    pub(crate) seals: Change<Vec<SealRow>>,
    pub(crate) heads: Change<Vec<SealedHead>>,
    pub(crate) leaves: Change<Vec<Hash>>,
    pub(crate) nodes: Change<Vec<Hash>>,
}

impl Watched {
    pub(crate) fn new(inner: Arc<MemoryStore>) -> Self {
        Self {
            inner: Mutex::new(inner),
            down: AtomicBool::new(false),
            before: Mutex::default(),
            held: Arc::default(),
            under_lock: Mutex::default(),
            head: Mutex::default(),
            seals: Mutex::default(),
            heads: Mutex::default(),
            leaves: Mutex::default(),
            nodes: Mutex::default(),
        }
    }

    /// From now on it is another database that answers.
    pub(crate) fn switch(&self, to: Arc<MemoryStore>) {
        *self.inner.lock().unwrap() = to;
    }

    /// Has something happen in the middle of the next call of that name.
    pub(crate) fn before(&self, call: &'static str, what: impl Future<Output = ()> + Send + 'static) {
        *self.before.lock().unwrap() = Some((call, Box::pin(what)));
    }

    async fn reach(&self, call: &'static str) -> Result<Arc<MemoryStore>> {
        let interruption = self.before.lock().unwrap().take_if(|(at, _)| *at == call);
        if let Some((_, interruption)) = interruption {
            interruption.await;
        }
        if self.held.load(Ordering::SeqCst) > 0 {
            self.under_lock.lock().unwrap().push(call);
        }
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("connection refused".into()));
        }
        Ok(self.inner())
    }

    fn inner(&self) -> Arc<MemoryStore> {
        Arc::clone(&self.inner.lock().unwrap())
    }
}

fn changed<T>(mut rows: T, change: &Change<T>) -> T {
    if let Some(change) = change.lock().unwrap().as_ref() {
        change(&mut rows);
    }
    rows
}

#[async_trait]
impl Seals for Watched {
    async fn begin_seal(&self) -> Result<Box<dyn SealTx>> {
        let tx = self.reach("begin_seal").await?.begin_seal().await?;
        self.held.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(WatchedTx { tx, _held: Held(Arc::clone(&self.held)) }))
    }
    async fn seals(&self, from: u64, limit: u32) -> Result<Vec<SealRow>> {
        Ok(changed(self.reach("seals").await?.seals(from, limit).await?, &self.seals))
    }
    async fn seal_covering(&self, trial: &TrialId, trialseq: u64) -> Result<Option<u64>> {
        self.reach("seal_covering").await?.seal_covering(trial, trialseq).await
    }
    async fn sealed_head(&self, trial: &TrialId, seal: u64) -> Result<Option<SealedHead>> {
        self.reach("sealed_head").await?.sealed_head(trial, seal).await
    }
    async fn sealed_heads(&self, seal: u64) -> Result<Vec<SealedHead>> {
        Ok(changed(self.reach("sealed_heads").await?.sealed_heads(seal).await?, &self.heads))
    }
    async fn parts(&self, level: u8, parts: &[(TrialId, Range<u64>)]) -> Result<Vec<Vec<Hash>>> {
        let found = self.reach("parts").await?.parts(level, parts).await?;
        let change = if level == 0 { &self.leaves } else { &self.nodes };
        Ok(found.into_iter().map(|hashes| changed(hashes, change)).collect())
    }
    async fn nodes(&self, tree: &TreeName, level: u8, from: u64, limit: u32) -> Result<Vec<Hash>> {
        Ok(changed(self.reach("nodes").await?.nodes(tree, level, from, limit).await?, &self.nodes))
    }
    async fn put_checkpoint(&self, size: u64, note: &[u8]) -> Result<Vec<u8>> {
        self.reach("put_checkpoint").await?.put_checkpoint(size, note).await
    }
    async fn checkpoint(&self, size: u64) -> Result<Option<Vec<u8>>> {
        self.reach("checkpoint").await?.checkpoint(size).await
    }
    async fn newest_checkpoint(&self) -> Result<Option<(u64, Vec<u8>)>> {
        self.reach("newest_checkpoint").await?.newest_checkpoint().await
    }
    async fn put_note(&self, size: u64, note: &[u8]) -> Result<Vec<u8>> {
        self.reach("put_note").await?.put_note(size, note).await
    }
    async fn note(&self, size: u64) -> Result<Option<Vec<u8>>> {
        self.reach("note").await?.note(size).await
    }
    async fn newest_note(&self) -> Result<Option<(u64, Vec<u8>)>> {
        self.reach("newest_note").await?.newest_note().await
    }
    async fn note_from(&self, size: u64) -> Result<Option<(u64, Vec<u8>)>> {
        self.reach("note_from").await?.note_from(size).await
    }
    async fn notes_until(&self, size: u64, limit: u32) -> Result<Vec<(u64, Vec<u8>)>> {
        self.reach("notes_until").await?.notes_until(size, limit).await
    }
    async fn put_timestamp(&self, timestamp: &TimestampRow) -> Result<TimestampRow> {
        self.reach("put_timestamp").await?.put_timestamp(timestamp).await
    }
    async fn timestamp_from(&self, size: u64) -> Result<Option<TimestampRow>> {
        self.reach("timestamp_from").await?.timestamp_from(size).await
    }
    async fn timestamp_sizes(&self, size: u64, limit: u32) -> Result<Vec<u64>> {
        self.reach("timestamp_sizes").await?.timestamp_sizes(size, limit).await
    }
    async fn newest_timestamp(&self) -> Result<Option<TimestampRow>> {
        self.reach("newest_timestamp").await?.newest_timestamp().await
    }
}

struct WatchedTx {
    tx: Box<dyn SealTx>,
    _held: Held,
}

struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl SealTx for WatchedTx {
    fn head(&self) -> LedgerHead {
        self.tx.head()
    }
    async fn leaves_from_position(&mut self, from: u64, limit: u32) -> Result<Vec<LeafRow>> {
        self.tx.leaves_from_position(from, limit).await
    }
    async fn write(&mut self, seal: &SealWrite) -> Result<()> {
        self.tx.write(seal).await
    }
    async fn commit(self: Box<Self>) -> Result<()> {
        self.tx.commit().await
    }
}

#[async_trait]
impl Events for Watched {
    fn origin(&self) -> &str {
        crate::bench::ORIGIN
    }
    async fn head(&self) -> Result<LedgerHead> {
        Ok(changed(self.reach("head").await?.head().await?, &self.head))
    }
    async fn trial_size(&self, trial: &TrialId) -> Result<Option<u64>> {
        self.reach("trial_size").await?.trial_size(trial).await
    }
    async fn trials(&self, after: Option<&TrialId>, limit: u32) -> Result<Vec<(TrialId, u64)>> {
        self.reach("trials").await?.trials(after, limit).await
    }
    async fn since_position(&self, from: u64, limit: u32) -> Result<Vec<EventRow>> {
        self.reach("since_position").await?.since_position(from, limit).await
    }
    async fn of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> Result<Vec<EventRow>> {
        self.reach("of_trial").await?.of_trial(trial, from, limit).await
    }
    async fn of_stream(
        &self,
        trial: &TrialId,
        stream: &StreamId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<EventRow>> {
        self.reach("of_stream").await?.of_stream(trial, stream, from, limit).await
    }
    async fn leaves_from_position(&self, from: u64, limit: u32) -> Result<Vec<LeafRow>> {
        self.reach("leaves_from_position").await?.leaves_from_position(from, limit).await
    }
    async fn leaves_of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> Result<Vec<Hash>> {
        let inner = self.reach("leaves_of_trial").await?;
        Ok(changed(inner.leaves_of_trial(trial, from, limit).await?, &self.leaves))
    }
    async fn stream_of(&self, trial: &TrialId, key: &[u8; 32]) -> Result<Option<StreamId>> {
        self.reach("stream_of").await?.stream_of(trial, key).await
    }
}

/// Ports that the sealer has no use for.
macro_rules! forward {
    ($port:ident { $($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)* }) => {
        #[async_trait]
        impl $port for Watched {
            $(async fn $name(&self $(, $argument: $type)*) -> $answer {
                self.inner().$name($($argument),*).await
            })*
        }
    };
}

#[async_trait]
impl Election for Watched {
    fn in_hands_of(&self, who: Uuid) -> Arc<dyn Store> {
        self.inner().in_hands_of(who)
    }
    async fn stand(&self, who: Uuid, term: Duration) -> Result<Standing> {
        self.inner().stand(who, term).await
    }
    async fn renew(&self, who: Uuid, term: Duration) -> Result<bool> {
        self.inner().renew(who, term).await
    }
    async fn resign(&self, who: Uuid) -> Result<()> {
        self.inner().resign(who).await
    }
    async fn holder(&self) -> Result<Option<Uuid>> {
        self.inner().holder().await
    }
}

forward!(Reseals {
    reseal(bodies: &[ResealedBody]) -> Result<()>;
});

forward!(Appends {
    begin_append() -> Result<Box<dyn AppendTx>>;
    command(id: &CommandId) -> Result<Option<CommandRow>>;
});
forward!(Models {
    generations(model: &str) -> Result<Vec<ModelRow>>;
    new_generation(model: &str) -> Result<u32>;
    activate(model: &str, generation: u32) -> Result<bool>;
    drop_unused(model: &str) -> Result<()>;
    docs(model: &str, generation: u32, ids: &[(TrialId, String)]) -> Result<Vec<Option<Doc>>>;
    list(
        model: &str,
        generation: u32,
        trial: &TrialId,
        prefix: &str,
        after: Option<&str>,
        limit: u32
    ) -> Result<Vec<Doc>>;
    begin_model(model: &str, generation: u32, position: u64) -> Result<Box<dyn ModelTx>>;
});
forward!(Jobs {
    put_job(job: &JobRow) -> Result<()>;
    job(id: Uuid) -> Result<Option<JobRow>>;
    open_jobs(kind: &str) -> Result<Vec<JobRow>>;
});
forward!(Tokens {
    add_token(token: &TokenRow) -> Result<()>;
    tokens_with(hashes: &[[u8; 32]]) -> Result<Vec<TokenRow>>;
    revoke_token(hash: &[u8; 32]) -> Result<bool>;
    tokens() -> Result<Vec<TokenRow>>;
    note_token(hash: &[u8; 32], known: Known) -> Result<()>;
});
forward!(Accounts {
    add_account(account: &AccountRow) -> Result<bool>;
    add_first_administrator(account: &AccountRow) -> Result<bool>;
    account(id: Uuid) -> Result<Option<AccountRow>>;
    account_of_login(login: &str) -> Result<Option<AccountRow>>;
    account_of_subject(issuer: &str, subject: &str) -> Result<Option<AccountRow>>;
    accounts() -> Result<Vec<AccountRow>>;
    move_account(account: &AccountRow) -> Result<()>;
    confirm_account(id: Uuid, issued: i64) -> Result<()>;
    withdraw_account(id: Uuid, issued: i64) -> Result<()>;
    change_password(id: Uuid, old: &str, new: &str) -> Result<bool>;
    disable_account(id: Uuid) -> Result<bool>;
    note_account(id: Uuid, known: Known) -> Result<()>;
    invite(invitation: &InvitationRow) -> Result<()>;
    invitation(hash: &[u8; 32]) -> Result<Option<InvitationRow>>;
    take_up(invitation: &InvitationRow, chosen: &Chosen) -> Result<bool>;
    begin_session(session: &SessionRow) -> Result<()>;
    session(hash: &[u8; 32]) -> Result<Option<SessionRow>>;
    see_session(hash: &[u8; 32], seen: i64) -> Result<()>;
    confirm_session(hash: &[u8; 32], confirmed: i64) -> Result<()>;
    end_session(hash: &[u8; 32]) -> Result<()>;
    end_outdated(now: i64, idle_since: i64) -> Result<()>;
    add_passkey(passkey: &PasskeyRow, epoch: i64) -> Result<bool>;
    passkey(credential: &str) -> Result<Option<PasskeyRow>>;
    passkeys() -> Result<Vec<PasskeyRow>>;
    passkeys_of(account: Uuid) -> Result<Vec<PasskeyRow>>;
    end_passkey(account: Uuid, credential: &str) -> Result<bool>;
    forget_passkey(credential: &str) -> Result<()>;
});
forward!(Streams {
    streams(trial: &TrialId, kind: StreamKind, after: Option<StreamId>, limit: u32) -> Result<Vec<StreamVersion>>;
    stream_version(trial: &TrialId, stream: &StreamId) -> Result<u64>;
});
forward!(FormerKeys {
    former_data_keys() -> Result<Vec<WrappedKey>>;
    forget_former_data_keys() -> Result<()>;
});
