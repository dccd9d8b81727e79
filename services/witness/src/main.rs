//! `trialseal-witness`, the program that whoever witnesses runs. What it does stands in the library.

use std::process::ExitCode;

use clap::Parser as _;
use trialseal_witness::{Cli, run};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("trialseal-witness: {error:#}");
            ExitCode::FAILURE
        }
    }
}
