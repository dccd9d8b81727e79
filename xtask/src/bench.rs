//! Measurements of a whole service, started afresh in `target/bench/NAME` and used through its API alone. Each begins by
//! saying what it measures, and ends with its figures as one line of JSON for machines.
//!
//! To add one: a module here with its options, and a variant in [`Bench`].

mod append;
mod cdisc;
mod engine;
mod faults;
mod import;
mod mixed;
mod rebuild;
mod scale;
mod seal;
mod trial;
mod witness;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

/// The measurements there are.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// How fast commands are recorded over HTTP, beside raw COPY into the same table
    Append(append::Options),
    /// How fast a large file is taken in, and how much memory that needs
    Import(import::Options),
    /// How much longer single commands take while a large file is imported
    Mixed(mixed::Options),
    /// The CDISC pilot data in, sealed, out again, verified, and compared byte for byte
    Cdisc(cdisc::Options),
    /// Faults at every step on the way to PostgreSQL, under load; counts them, and looks for what is lost
    Faults(faults::Options),
    /// Whether recording, opening, sealing and proving cost the same however large the record is
    Scale(scale::Options),
    /// How long an event waits for its seal and for its note, without witnesses and with three
    Seal(seal::Options),
    /// How many checkpoints a second a witness cosigns on one processor
    Witness(witness::Options),
    /// How fast the record is read and read models are folded from it, for each second of a core
    Rebuild(rebuild::Options),
}

/// Runs one of them.
pub(crate) fn run(bench: &Bench) -> Result<ExitCode> {
    match bench {
        Bench::Append(options) => append::run(options),
        Bench::Import(options) => import::run(options),
        Bench::Mixed(options) => mixed::run(options),
        Bench::Cdisc(options) => cdisc::run(options),
        Bench::Faults(options) => faults::run(options),
        Bench::Scale(options) => scale::run(options),
        Bench::Seal(options) => seal::run(options),
        Bench::Witness(options) => witness::run(options),
        Bench::Rebuild(options) => rebuild::run(options),
    }
}
