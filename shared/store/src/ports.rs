//! The ports. Each service takes only those it needs; [`Store`] is all of them, which only `server` names.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use trialseal_record::ids::{StreamId, StreamKind, TrialId};
use trialseal_seal::hash::Hash;
use trialseal_vault::WrappedKey;
use uuid::Uuid;

use crate::error::Result;
use crate::rows::{
    AccountRow, Chosen, CommandId, CommandRow, Doc, EventRow, InvitationRow, JobRow, Known, LeafRow,
    LedgerHead, ModelRow, PasskeyRow, ResealedBody, SealRow, SealWrite, SealedHead, SessionRow, Standing,
    StreamVersion, TimestampRow, TokenRow, TreeName, WriteBatch,
};

/// Everything that is asked of storage, for one ledger.
pub trait Store:
    Election + Events + Streams + Appends + Reseals + Seals + Models + Jobs + Tokens + Accounts + FormerKeys
{
}
impl<T> Store for T where
    T: Election
        + Events
        + Streams
        + Appends
        + Reseals
        + Seals
        + Models
        + Jobs
        + Tokens
        + Accounts
        + FormerKeys
{
}

/// Of several processes on one ledger one is elected to write: the one that the head row names as holder of the term.
///
/// Whatever begins under the head row's lock, and whatever changes a job or seals bodies again, compares the holder with the process whose
/// hands the store is in, and is refused with [`crate::StoreError::Deposed`] where they differ. So nobody has to believe
/// a clock: a process that stood still for an hour finds out at its next write.
#[async_trait]
pub trait Election: Send + Sync {
    /// The same ledger in the hands of process `who`. One in nobody's hands can write while nobody holds a term.
    fn in_hands_of(&self, who: Uuid) -> Arc<dyn Store>;
    /// Gives `who` a term from now on, where nobody holds one, `who` does, or the holder's has run out. Waits for the
    /// append or the seal that has the head row's lock, as those wait for this.
    async fn stand(&self, who: Uuid, term: Duration) -> Result<Standing>;
    /// Begins the term of `who` anew, also where it has run out. `false` where `who` does not hold it any more.
    async fn renew(&self, who: Uuid, term: Duration) -> Result<bool>;
    /// Ends the term of `who`, if it is the holder.
    async fn resign(&self, who: Uuid) -> Result<()>;
    /// Who holds the term, run out or not.
    async fn holder(&self) -> Result<Option<Uuid>>;
}

/// Reading the record. Readers see committed events only, and see them without gaps.
///
/// An event's key and body are the newest that it has: what [`Reseals`] put in the place of those it was recorded with.
///
/// Events are read a page at a time: as many as asked for, or fewer where their bodies reach [`crate::PAGE_BYTES`]
/// before ([`crate::may_go_on`] tells); one at least, where there is one.
#[async_trait]
pub trait Events: Send + Sync {
    /// The ledger's origin.
    fn origin(&self) -> &str;
    /// The head row, without locking it.
    async fn head(&self) -> Result<LedgerHead>;
    /// The trial's number of events; `None` where it has none.
    async fn trial_size(&self, trial: &TrialId) -> Result<Option<u64>>;
    /// Trials and their sizes by id, after the one given.
    async fn trials(&self, after: Option<&TrialId>, limit: u32) -> Result<Vec<(TrialId, u64)>>;
    /// Up to `limit` events from ledger position `from` on.
    async fn since_position(&self, from: u64, limit: u32) -> Result<Vec<EventRow>>;
    /// Up to `limit` events of the trial from place `from` on.
    async fn of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> Result<Vec<EventRow>>;
    /// Up to `limit` events of the stream from place `from` on.
    async fn of_stream(
        &self,
        trial: &TrialId,
        stream: &StreamId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<EventRow>>;
    /// Up to `limit` leaves from ledger position `from` on.
    async fn leaves_from_position(&self, from: u64, limit: u32) -> Result<Vec<LeafRow>>;
    /// The trial's leaves from place `from` on, up to `limit`.
    async fn leaves_of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> Result<Vec<Hash>>;
    /// The stream that bears a natural key (keyed hash), if one does.
    async fn stream_of(&self, trial: &TrialId, key: &[u8; 32]) -> Result<Option<StreamId>>;
}

/// Which streams there are.
#[async_trait]
pub trait Streams: Send + Sync {
    /// Up to `limit` streams of a kind in the trial, by id, after the one given.
    async fn streams(
        &self,
        trial: &TrialId,
        kind: StreamKind,
        after: Option<StreamId>,
        limit: u32,
    ) -> Result<Vec<StreamVersion>>;
    /// Number of events of the stream.
    async fn stream_version(&self, trial: &TrialId, stream: &StreamId) -> Result<u64>;
}

/// Appending. Used by [`crate::writer`] alone.
#[async_trait]
pub trait Appends: Send + Sync {
    /// Begins a transaction and locks the ledger's head row: appends and seals of one ledger wait here for each other.
    async fn begin_append(&self) -> Result<Box<dyn AppendTx>>;
    /// A command that was carried out; read outside of any transaction (after a commit in doubt).
    async fn command(&self, id: &CommandId) -> Result<Option<CommandRow>>;
}

/// An append transaction that holds the head row's lock. Dropping it rolls back.
#[async_trait]
pub trait AppendTx: Send {
    /// The locked head row.
    fn head(&self) -> LedgerHead;
    /// Which of these commands were carried out already.
    async fn commands(&mut self, ids: &[CommandId]) -> Result<Vec<CommandRow>>;
    /// The sizes of those of these trials that exist.
    async fn trial_sizes(&mut self, trials: &[TrialId]) -> Result<Vec<(TrialId, u64)>>;
    /// The versions of those of these streams that exist; the `version` in `streams` is ignored.
    async fn stream_versions(&mut self, streams: &[(TrialId, StreamId)]) -> Result<Vec<StreamVersion>>;
    /// Which of these natural keys are taken.
    async fn taken(&mut self, keys: &[(TrialId, [u8; 32])]) -> Result<Vec<(TrialId, [u8; 32])>>;
    /// Inserts the batch and moves the head row.
    async fn write(&mut self, batch: &WriteBatch) -> Result<()>;
    /// Commits. [`crate::StoreError::Unavailable`] leaves the outcome open.
    async fn commit(self: Box<Self>) -> Result<()>;
}

/// Encrypting bodies again, under the key that takes the place of one that is about to be destroyed.
#[async_trait]
pub trait Reseals: Send + Sync {
    /// Puts these bodies in the place of those that the events have, durably and all or none; an elected process alone may
    /// ([`Election`]). What was recorded stays as it is, beside it.
    async fn reseal(&self, bodies: &[ResealedBody]) -> Result<()>;
}

/// Recording and reading seals.
#[async_trait]
pub trait Seals: Send + Sync {
    /// Begins a transaction and locks the ledger's head row.
    async fn begin_seal(&self) -> Result<Box<dyn SealTx>>;
    /// Seals from number `from` on, up to `limit`.
    async fn seals(&self, from: u64, limit: u32) -> Result<Vec<SealRow>>;
    /// The number of the first seal that covers event `trialseq` of the trial, if one does.
    async fn seal_covering(&self, trial: &TrialId, trialseq: u64) -> Result<Option<u64>>;
    /// The trial's head as of seal `seal`; `None` where it was not in that seal's map.
    async fn sealed_head(&self, trial: &TrialId, seal: u64) -> Result<Option<SealedHead>>;
    /// The heads of all trials as of seal `seal`, by trial id.
    async fn sealed_heads(&self, seal: u64) -> Result<Vec<SealedHead>>;
    /// Hashes of many trials' trees at a level (0 for leaves, else 8, 16 … as nodes are stored): for each part those of
    /// its range, in order; fewer where some are missing.
    async fn parts(&self, level: u8, parts: &[(TrialId, Range<u64>)]) -> Result<Vec<Vec<Hash>>>;
    /// Hashes of a tree's stored nodes at a level (8, 16 …) from index `from` on, up to `limit`, without gaps.
    async fn nodes(&self, tree: &TreeName, level: u8, from: u64, limit: u32) -> Result<Vec<Hash>>;
    /// Compare-and-swap of the signed checkpoint of a size: stores `note` if there is none yet, and answers with the
    /// stored one, whichever it is. What is stored never changes.
    async fn put_checkpoint(&self, size: u64, note: &[u8]) -> Result<Vec<u8>>;
    /// The signed checkpoint of that size.
    async fn checkpoint(&self, size: u64) -> Result<Option<Vec<u8>>>;
    /// The newest signed checkpoint, with its size.
    async fn newest_checkpoint(&self) -> Result<Option<(u64, Vec<u8>)>>;
    /// As [`Seals::put_checkpoint`], for the first note of a size that met the publication policy.
    async fn put_note(&self, size: u64, note: &[u8]) -> Result<Vec<u8>>;
    /// The note of that size that met the publication policy.
    async fn note(&self, size: u64) -> Result<Option<Vec<u8>>>;
    /// The newest note that met the publication policy, with its size.
    async fn newest_note(&self) -> Result<Option<(u64, Vec<u8>)>>;
    /// The first note of that size or a larger one that met the publication policy, with its size. A size has none where
    /// witnesses were asked for a larger one before they had answered.
    async fn note_from(&self, size: u64) -> Result<Option<(u64, Vec<u8>)>>;
    /// Up to `limit` notes that met the publication policy, of that size and downwards, the largest first.
    async fn notes_until(&self, size: u64, limit: u32) -> Result<Vec<(u64, Vec<u8>)>>;
    /// As [`Seals::put_checkpoint`], for the first timestamp of the note of a size.
    async fn put_timestamp(&self, timestamp: &TimestampRow) -> Result<TimestampRow>;
    /// The timestamp of the first note of that size or a larger one that has one.
    async fn timestamp_from(&self, size: u64) -> Result<Option<TimestampRow>>;
    /// The tree sizes from `size` on that have a timestamp, up to `limit`, in order.
    async fn timestamp_sizes(&self, size: u64, limit: u32) -> Result<Vec<u64>>;
    /// The timestamp of the largest tree size that has one.
    async fn newest_timestamp(&self) -> Result<Option<TimestampRow>>;
}

/// A sealing transaction that holds the head row's lock. Dropping it rolls back.
#[async_trait]
pub trait SealTx: Send {
    /// The locked head row.
    fn head(&self) -> LedgerHead;
    /// As [`Events::leaves_from_position`], within the transaction.
    async fn leaves_from_position(&mut self, from: u64, limit: u32) -> Result<Vec<LeafRow>>;
    /// Records the seal and moves the head row's seal, `sealed` and time.
    async fn write(&mut self, seal: &SealWrite) -> Result<()>;
    /// Commits. [`crate::StoreError::Unavailable`] leaves the outcome open: read the head again.
    async fn commit(self: Box<Self>) -> Result<()>;
}

/// Read models: encrypted documents by model, generation, trial and id.
#[async_trait]
pub trait Models: Send + Sync {
    /// All generations of a model.
    async fn generations(&self, model: &str) -> Result<Vec<ModelRow>>;
    /// Makes a new generation at position 0, active if it is the model's first, and gives its number.
    async fn new_generation(&self, model: &str) -> Result<u32>;
    /// Lets readers use `generation`, and drops the others with their documents. `false`, and nothing changes, where the
    /// one that they use has come further: what they have seen must not go away again.
    ///
    /// # Errors
    /// [`crate::StoreError::Overtaken`] where the generation is gone.
    async fn activate(&self, model: &str, generation: u32) -> Result<bool>;
    /// Drops the generations that readers do not use, with their documents.
    async fn drop_unused(&self, model: &str) -> Result<()>;
    /// Documents by id, in the order asked for.
    async fn docs(&self, model: &str, generation: u32, ids: &[(TrialId, String)])
    -> Result<Vec<Option<Doc>>>;
    /// Documents of a trial whose id starts with `prefix` and comes after `after`, in byte order of the ids; a page of
    /// them, as [`Events`] reads pages.
    async fn list(
        &self,
        model: &str,
        generation: u32,
        trial: &TrialId,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Doc>>;
    /// Begins a transaction on one generation that stands at `position`.
    ///
    /// # Errors
    /// [`crate::StoreError::Overtaken`] where it stands elsewhere.
    async fn begin_model(&self, model: &str, generation: u32, position: u64) -> Result<Box<dyn ModelTx>>;
}

/// A read model's transaction: documents and checkpoint together. Dropping it rolls back.
#[async_trait]
pub trait ModelTx: Send {
    /// Inserts or replaces documents.
    async fn put(&mut self, docs: &[Doc]) -> Result<()>;
    /// Moves the checkpoint and commits.
    async fn commit(self: Box<Self>, position: u64) -> Result<()>;
}

/// Imports and exports under way.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Inserts or replaces a job; an elected process alone may ([`Election`]).
    async fn put_job(&self, job: &JobRow) -> Result<()>;
    /// A job by id.
    async fn job(&self, id: Uuid) -> Result<Option<JobRow>>;
    /// Jobs of a kind that have not ended, oldest id first.
    async fn open_jobs(&self, kind: &str) -> Result<Vec<JobRow>>;
}

/// Bearer tokens.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// Adds a token.
    async fn add_token(&self, token: &TokenRow) -> Result<()>;
    /// The tokens with these hashes, revoked or not, in any order; those that there are.
    async fn tokens_with(&self, hashes: &[[u8; 32]]) -> Result<Vec<TokenRow>>;
    /// Revokes a token; `false` where there is none with that hash.
    async fn revoke_token(&self, hash: &[u8; 32]) -> Result<bool>;
    /// All tokens, by actor.
    async fn tokens(&self) -> Result<Vec<TokenRow>>;
    /// Notes how far the record knows of a token; never less far than before.
    async fn note_token(&self, hash: &[u8; 32], known: Known) -> Result<()>;
}

/// Accounts of people, with the invitations, sessions and passkeys that belong to them.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Adds an account. `false` where one has its login name, or its provider's subject.
    async fn add_account(&self, account: &AccountRow) -> Result<bool>;
    /// Adds the account of the first administrator. `false` where there is an administrator, disabled or not, or as above;
    /// of several at once one is added.
    async fn add_first_administrator(&self, account: &AccountRow) -> Result<bool>;
    /// An account by id.
    async fn account(&self, id: Uuid) -> Result<Option<AccountRow>>;
    /// An account by its login name.
    async fn account_of_login(&self, login: &str) -> Result<Option<AccountRow>>;
    /// An account by provider and subject.
    async fn account_of_subject(&self, issuer: &str, subject: &str) -> Result<Option<AccountRow>>;
    /// All accounts, by id.
    async fn accounts(&self) -> Result<Vec<AccountRow>>;
    /// Replaces the role, organisation and trials of an account by those of this row, and when they were issued. They count
    /// from now on, and the record knows that they were given.
    async fn move_account(&self, account: &AccountRow) -> Result<()>;
    /// Notes that the provider still gives an account's holder their role, by a word that was issued at that second.
    async fn confirm_account(&self, id: Uuid, issued: i64) -> Result<()>;
    /// Notes that the provider gives an account's holder no role, by a word that was issued at that second; all sessions end.
    async fn withdraw_account(&self, id: Uuid, issued: i64) -> Result<()>;
    /// Replaces the hash of an account's password, if it still is `old`. Whether it did.
    async fn change_password(&self, id: Uuid, old: &str, new: &str) -> Result<bool>;
    /// Disables an account and ends its sessions and invitations. `false` where there is none of that id.
    async fn disable_account(&self, id: Uuid) -> Result<bool>;
    /// Notes how far the record knows of an account; never less far than before.
    async fn note_account(&self, id: Uuid, known: Known) -> Result<()>;
    /// Invites an account's holder to choose what they log in by; earlier invitations of the account end.
    async fn invite(&self, invitation: &InvitationRow) -> Result<()>;
    /// An invitation that nobody has taken up.
    async fn invitation(&self, hash: &[u8; 32]) -> Result<Option<InvitationRow>>;
    /// Takes an invitation up: it ends, the account is logged in to by what was chosen and by nothing else, and all its sessions
    /// end, with those that are about to begin. `false` where there is none, or the passkey is there already.
    async fn take_up(&self, invitation: &InvitationRow, chosen: &Chosen) -> Result<bool>;
    /// Begins a session.
    async fn begin_session(&self, session: &SessionRow) -> Result<()>;
    /// A session.
    async fn session(&self, hash: &[u8; 32]) -> Result<Option<SessionRow>>;
    /// Notes when a session was last seen.
    async fn see_session(&self, hash: &[u8; 32], seen: i64) -> Result<()>;
    /// Notes when the holder of a session last showed who they are.
    async fn confirm_session(&self, hash: &[u8; 32], confirmed: i64) -> Result<()>;
    /// Ends a session.
    async fn end_session(&self, hash: &[u8; 32]) -> Result<()>;
    /// Ends the sessions and invitations whose time is over, and the sessions last seen before `idle_since`.
    async fn end_outdated(&self, now: i64, idle_since: i64) -> Result<()>;
    /// Adds a passkey. `false` where its id is taken, or the account is disabled or not of that epoch any more.
    async fn add_passkey(&self, passkey: &PasskeyRow, epoch: i64) -> Result<bool>;
    /// A passkey by its id, ended or not.
    async fn passkey(&self, credential: &str) -> Result<Option<PasskeyRow>>;
    /// The passkeys of all accounts, ended or not, by id.
    async fn passkeys(&self) -> Result<Vec<PasskeyRow>>;
    /// The passkeys of an account, ended or not, by id.
    async fn passkeys_of(&self, account: Uuid) -> Result<Vec<PasskeyRow>>;
    /// Ends a passkey of an account: nobody logs in by it any more. `false` where it has none of that id.
    async fn end_passkey(&self, account: Uuid, credential: &str) -> Result<bool>;
    /// Removes a passkey that was ended.
    async fn forget_passkey(&self, credential: &str) -> Result<()>;
}

/// Wrapped data keys that lay in the record's database before they had a store of their own.
#[async_trait]
pub trait FormerKeys: Send + Sync {
    /// All that are left.
    async fn former_data_keys(&self) -> Result<Vec<WrappedKey>>;
    /// Removes them.
    async fn forget_former_data_keys(&self) -> Result<()>;
}
