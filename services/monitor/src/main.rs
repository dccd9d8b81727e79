//! `trialseal-monitor`: follows a ledger and says when it is not what it has to be. What it does stands in the library.

use std::process::ExitCode;

use clap::Parser as _;
use trialseal_monitor::cli::{Cli, exit_code, run};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("trialseal-monitor: {error:#}");
            exit_code(&error).into()
        }
    }
}
