//! What every running role of trialseal shares with the others: time, ids, settings, telemetry, shutdown, problems, the
//! furniture of the HTTP server, and the client that asks others.
//!
//! What it is not: a place for what a record means, who may do what, or how anything is stored; it knows none of the
//! project's other crates. To add a setting, write its constant in `settings/names.rs`, list it in
//! [`settings::SETTINGS`] and read it in `settings.rs`; to add a kind of problem, write one entry in
//! `problem/kinds.rs`.
//!
//! **Architecture invariant:** the clock, the source of ids and the environment are read here and nowhere else; keys
//! alone draw their randomness in `vault`.

pub mod client;
pub mod clock;
pub mod html;
pub mod http;
pub mod ids;
pub mod problem;
pub mod request_log;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod tls;
