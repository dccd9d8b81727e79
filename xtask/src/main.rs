//! The project's own chores: `cargo xtask tidy` holds the repository to its rules, `cargo xtask audit` holds the tests to
//! those of the record, `cargo xtask demo` runs a service on a generated trial, `cargo xtask bench NAME` measures. No part
//! of the product: nothing depends on it, and it knows the services only as anybody does, by their HTTP API, their files
//! and their command lines.
//!
//! To add a chore: a module here, a variant in [`Chore`], and the rule, step or figure in a file of its own.

mod audit;
mod bench;
mod dataset_json;
mod demo;
mod progress;
mod rng;
mod service;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own chores.
#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check the rules of the repository: who may depend on whom, what every crate and file has to have
    Tidy,
    /// Start a service, record a generated trial through its API, verify what comes out, and go on serving
    Demo(demo::Options),
    /// Switch off each rule of the record in turn, in a copy, and see that its tests notice; takes minutes
    Audit(audit::Options),
    /// Measure something, and print one JSON object as the last line
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        Chore::Tidy => tidy::run(repository()),
        Chore::Demo(options) => demo::run(&options),
        Chore::Audit(options) => audit::run(repository(), &options),
        Chore::Bench(bench) => bench::run(&bench),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the repository this program was built from.
fn repository() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// The folder this program was built into; the other programs of the same build lie beside it.
fn programs() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().map(Path::to_path_buf).unwrap_or_default())
}
