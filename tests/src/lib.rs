//! The end-to-end tests: the programs as they are shipped, started, asked over HTTP, killed, and tampered with.
//!
//! What stands here is the harness: [`Service`] runs `trialseal` in a folder and on a database of its own, [`Client`] asks
//! it, [`Trial`] sends it what a trial sends, [`Verifier`] runs `trialseal-verify` on what it gives away. The tests are in
//! `tests/`, one file a promise. None of it shares code with the programs, so that a mistake in them cannot excuse itself;
//! but for `tests/simulation.rs`, which holds time and chance in its hands and needs the crates themselves for that, and for
//! `examples/`, which are no tests: they measure the crates.
//!
//! Every test runs on SQLite and on PostgreSQL ([`on_both_engines`]); a missing PostgreSQL fails the run. To add a test: a
//! function that takes an [`Engine`], and its name in the macro.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::return_self_not_must_use,
    reason = "a harness fails a test by panicking"
)]

mod authority;
mod browser;
mod client;
mod cluster;
mod database;
mod dataset_json;
mod export;
mod files;
mod history;
mod listener;
mod load;
mod mail;
mod monitor;
mod pilot;
mod programs;
mod provider;
mod proxy;
mod record;
mod rng;
mod service;
mod signatory;
mod softhsm;
mod submitter;
mod tls;
mod trial;
mod verifier;
mod witness;

pub use authority::{Answers, TimeAuthority};
pub use browser::{Browser, Page};
pub use client::{Answer, Client};
pub use cluster::Cluster;
pub use database::{Database, Engine, Session};
pub use dataset_json::{Column, Table, generated_study, laboratory};
pub use export::{export, try_export, unpack, zip_of};
pub use files::{all_files, flip};
pub use history::{Acknowledgement, Command, Event, History, Recorded, enrolment_mark};
pub use listener::Listener;
pub use load::{Load, assert_kept, assert_sound, under_load};
pub use mail::MailServer;
pub use monitor::{Monitor, Pass};
pub use pilot::pilot_data;
pub use programs::{driver, other, program, script};
pub use provider::Provider;
pub use proxy::{Action, Fault, Moment, Proxy, Step};
pub use record::{accesses_of, events_from, events_of, read_models, wait_for_import, whole_record_from};
pub use rng::{Rng, seed};
pub use service::{Role, Service};
pub use signatory::Signatory;
pub use softhsm::SoftHsm;
pub use submitter::Submitter;
pub use tls::{Authority, Front};
pub use trial::{Trial, bodies};
pub use verifier::{Verdict, Verifier};
pub use witness::{Witness, Witnesses};

/// Turns functions that take an [`Engine`] into tests, one for each engine.
#[macro_export]
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => { $(
        mod $name {
            #[test]
            fn sqlite() {
                super::$name($crate::Engine::Sqlite);
            }

            #[test]
            fn postgres() {
                super::$name($crate::Engine::Postgres);
            }
        }
    )+ };
}
