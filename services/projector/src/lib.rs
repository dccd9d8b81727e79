//! Folds the record into read models. What is folded into what stands in `trialseal_record::view`; here it is read in
//! the order of ledger positions, batch by batch, and stored: documents and checkpoint in one transaction, so that after
//! a crash the same batch is folded again onto the same documents.
//!
//! Documents stay encrypted under the key of whom they are about: what is destroyed in the record is destroyed here by
//! the same act.
//!
//! What it is not: a source of truth. Each model can be rebuilt from the first event while readers go on with the old
//! generation ([`Projector::rebuild`]), and is equal afterwards.
//!
//! To add a model: a [`View`](trialseal_record::view::View) in `trialseal_record::view`, a `Fold` of it in
//! `fold.rs`, a line in [`Model`].

mod batch;
mod decoded;
mod error;
mod fold;
mod model;
mod projector;
mod rebuild;
#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use error::ProjectorError;
pub use model::Model;
pub use projector::{ModelStatus, Projector, ProjectorParts};
