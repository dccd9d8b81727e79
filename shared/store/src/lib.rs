//! What the services ask of storage: the ports, the group-commit writer over them, an in-memory store, and the
//! contract suite that every engine must pass.
//!
//! What it is not: a place for SQL. An engine is a crate of its own (`store-sqlite`, `store-postgres`) that implements
//! [`Store`] in static SQL and runs `contract` in its tests. To add one: implement the ports in `ports.rs`, add the
//! migrations under `migrations/`, call the contract suite, and name the engine in `services/server`.
//!
//! **Architecture invariant:** everything that decides what an append means (positions, versions, command ids, times,
//! hashes) stands in [`writer`]; an engine only locks, reads and inserts rows.

pub mod access_log;
pub mod body;
pub mod columns;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod docs;
pub mod draft;
mod error;
#[cfg(feature = "faults")]
pub mod faults;
pub mod memory;
mod page;
mod ports;
mod progress;
pub mod proofs;
mod record_digest;
mod rows;
pub mod writer;

pub use error::{Result, StoreError};
pub use page::{PAGE_BYTES, Page, PageRow, may_go_on};
pub use ports::{
    Accounts, AppendTx, Appends, Election, Events, FormerKeys, Jobs, ModelTx, Models, Reseals, SealTx, Seals,
    Store, Streams, Tokens,
};
pub use progress::Progress;
pub use record_digest::record_digest;
pub use rows::{
    AccountRow, Chosen, CommandId, CommandRow, Digest, Doc, EventRow, InvitationRow, JobRow, Known, LeafRow,
    LedgerHead, ModelRow, NaturalKeyRow, NodeRow, PasskeyRow, ResealedBody, SealRef, SealRow, SealWrite,
    SealedHead, SessionRow, Standing, StreamVersion, TimestampRow, TokenRow, TreeName, WriteBatch,
};
pub use writer::{
    Append, AppendError, Appended, AppendedEvent, Expected, NaturalKey, NewEvent, Writer, WriterSettings,
};
