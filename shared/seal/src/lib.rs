//! What a seal proves: the bytes of the trialseal formats, version 1, and the checks that anybody can repeat.
//!
//! Everything here is pure: no clock, no randomness, no input or output. Times, seeds and bytes are arguments, and what
//! comes from outside is read strictly: it is accepted whole or refused with a [`Code`] and a place, never repaired. The
//! modules stand in the order of the format's sections:
//!
//! - [`hash`], [`time`], [`canonical`]: hashes, points in time, canonical JSON (sections 1 and 2)
//! - [`data`], [`event`]: the commitment to an event's data, and its header (sections 3 and 4)
//! - [`tree`], [`map`], [`seal`]: a trial's tree, the map over all trials, the seal (sections 1 and 5)
//! - [`note`], [`checkpoint`], [`policy`], [`witness`], [`tiles`], [`proof`]: the public log (section 6 and C2SP)
//! - [`receipt`], [`growth`], [`absence`]: what people take away (sections 7 and 8)
//! - [`dataset`]: many events, complete (section 9)
//! - [`submission`]: what submitters sign (no part of the format: an event's data are no part of it)
//! - [`signature`], [`assertion`]: what people sign, and what their passkeys answer
//! - [`trust`]: a ledger's policy and export keys in one text, with a fingerprint
//! - [`ledger`]: what a monitor checks from seal to seal (sections 5 and 6)
//!
//! What it is not: storage, transport, or the meaning of an event. It keeps no tree as a whole; callers store the nodes
//! that [`tree::Frontier`] tells them of.
//!
//! To add a further published format: a module with a type that has `parse`, `to_value` and `verify(&Policy)`, refusals
//! as new [`Code`]s, and golden files under `tests/vectors` with what must be accepted and what refused, and why.

mod encoding;
mod lanes;
mod members;

pub mod absence;
pub mod assertion;
#[cfg(any(test, feature = "authenticator"))]
pub mod authenticator;
pub mod canonical;
pub mod checkpoint;
pub mod data;
pub mod dataset;
pub mod event;
pub mod growth;
pub mod hash;
pub mod ledger;
pub mod map;
pub mod note;
pub mod policy;
pub mod proof;
pub mod receipt;
pub mod refused;
pub mod seal;
pub mod signature;
pub mod submission;
pub mod tiles;
pub mod time;
pub mod tree;
pub mod trust;
pub mod witness;

pub use refused::{Code, Refused, Result};
