//! `trialseal-monitor`: follows a ledger from another machine, for one or more trials with a reader's token, or for the
//! public log alone; see docs/monitoring.md.
//!
//! A pass ([`Monitor::pass`]) reads the newest checkpoint and every seal since the last one (`log`), compares with witnesses
//! and other monitors (`compare`), and reads the trials' heads and events (`trial`). Whatever is not as it has to be is a
//! [`Finding`] with the files that show it (`evidence`), and alarms are told (`notice`). What bytes mean stands in [`trialseal_seal`]; this crate fetches,
//! remembers, and reports.
//!
//! What it is not: a verifier of the past. It holds a ledger to what it has seen; `trialseal-verify` checks what is there.
//!
//! To add a check: a step in `log` or `trial` that gives a finding with a code of its own, a row for it in
//! docs/monitoring.md, and a test in `tests/` with a ledger that breaks the rule. To add a way of telling: see `notice`.
//!
//! **Architecture invariant:** the place is saved after the work, after the evidence and the reports, and never moves
//! past something that is not sound; without its place a monitor does not start.

pub mod cli;
mod compare;
mod evidence;
mod finding;
mod log;
mod monitor;
mod notice;
mod place;
mod report;
mod state;
mod tiles;
mod trial;
mod trust;

pub use self::compare::Other;
pub use self::evidence::EVIDENCE;
pub use self::finding::{Evidence, Finding, verdict};
pub use self::monitor::{Following, Monitor};
pub use self::notice::{Channel, Kind, Mail, MailError, MailServer, Notice, Notices, Untold, Webhook};
pub use self::place::{Answer, Http, LedgerUrl, Place, Unreachable};
pub use self::report::{DOES_NOT_PROVE, LogFacts, REPORT_FORMAT, Report, TrialFacts};
pub use self::state::{CHECKPOINT, Folder, StateError};
