//! `trialseal-verify`: checks what a ledger gives out, offline. What it does stands in the library.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use trialseal_verify::cli::{Cli, run};
use trialseal_verify::{Text, Verdict};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no failure.
            let code = if error.use_stderr() { Verdict::CannotTell.exit_code() } else { 0 };
            let _ = error.print();
            return code.into();
        }
    };
    let report = run(&cli.check);
    let mut out = io::stdout().lock();
    let printed = if cli.json {
        serde_json::to_writer(&mut out, &report).map_err(io::Error::from).and_then(|()| writeln!(out))
    } else {
        write!(out, "{}", Text(&report))
    };
    // A report that nobody could read is no outcome.
    match printed {
        Ok(()) => report.verdict().exit_code().into(),
        Err(_) => Verdict::CannotTell.exit_code().into(),
    }
}
