//! The program as a log meets it: over HTTP, killed, started again, and given what no log would send.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod crashes;
mod disk;
mod foreign;
mod log;
mod program;
mod protocol;
mod start;
