//! The check that trusts nobody: receipts, growth and absence proofs, datasets, published logs and
//! timestamps, against the reader's
//! own policy and nothing else.
//!
//! Every check takes bytes from a stranger and ends in a [`Report`] with one of three outcomes: sound, not sound (with
//! every finding, each naming the record), cannot tell (and what is missing). It asks no service, never panics on what it
//! reads, and leaves nothing behind: what it sets aside lies in temporary files without a name.
//!
//! What it is not: a place for formats. What bytes mean stands in [`trialseal_seal`] and [`trialseal_timestamp`]; this crate finds the files, feeds
//! them through, and reports. It has no network, database or async runtime in its dependency tree; the feature `http`
//! alone adds a blocking HTTP client, to read a log from an address.
//!
//! To add a check: a module with a function that gives a [`Report`], and a subcommand in `cli.rs`.

pub mod cli;
mod dataset;
mod documents;
pub mod files;
mod lines;
mod log;
mod outcome;
mod spool;
mod text;
mod time;
mod timestamp;
mod trust;

pub use self::dataset::dataset;
pub use self::documents::{MAX_DOCUMENT_BYTES, absence, growth, receipt};
#[cfg(feature = "http")]
pub use self::log::LogUrl;
pub use self::log::{LogFolder, MAX_RESOURCE_BYTES, Source, log};
pub use self::outcome::{Fact, Finding, MAX_FINDINGS, REPORT_FORMAT, Report, Verdict};
pub use self::text::Text;
pub use self::timestamp::timestamp;
pub use self::trust::trust;
pub use trialseal_timestamp::Authorities;
