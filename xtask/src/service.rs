//! A running service as anybody sees it from outside: its process, its tokens and account, its API, its exports, and the verifier.

mod account;
mod child;
mod client;
mod export;
mod tokens;
mod verifier;
mod witness;

pub(crate) use account::{Account, LOGIN};
pub(crate) use child::{Launch, Service, free_port};
pub(crate) use client::Client;
pub(crate) use export::{Head, Materials, export, head_of};
#[cfg(test)]
pub(crate) use export::{Seal, TrialHead};
pub(crate) use tokens::{Role, Tokens};
pub(crate) use verifier::{Verdict, Verifier};
pub(crate) use witness::Witnesses;
