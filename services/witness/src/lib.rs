//! `trialseal-witness`: cosigns the checkpoints of transparency logs (C2SP tlog-witness), each once it has seen that the log
//! only grew. Run by somebody else than the logs, with a folder and a key of its own; see docs/witness.md.
//!
//! A request is read, and its log's signature verified, where it comes in (`witness`); then it goes to the one thread that
//! decides (`cosigner`), which holds the newest cosigned checkpoint of each log, compares, cosigns, and makes all that it
//! has cosigned in one go durable (`journal`) before it answers any of it. What HTTP says of it stands in `http`.
//!
//! It can keep copies of logs as well (`mirror`), which say nothing by themselves and have no part in cosigning.
//!
//! What it is not: a monitor. It never reads what is in a log, and says nothing about whether it is true.
//!
//! To add a kind of key: a field in `keys`, its file in `config` and `folder`, and what it signs in `seal`, beside the
//! other cosignatures. To add a reason to refuse: a variant in `refusal`, and its answer in `http/add_checkpoint.rs`.
//!
//! **Architecture invariant:** nobody hears of a checkpoint, by a cosignature, a conflict or the monitoring address, before
//! it is durable; and whatever was heard of, no smaller tree of that log is cosigned after it.
//!
//! **Architecture invariant:** whatever the checkpoint of a copy speaks of lies durably beside it, and no copy's checkpoint
//! gives way to one of a tree that did not grow out of its own.

mod cli;
mod config;
mod cosigner;
mod folder;
mod http;
mod journal;
mod keys;
mod mirror;
mod refusal;
mod witness;

pub use cli::{Cli, run};
