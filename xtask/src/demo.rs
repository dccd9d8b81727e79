//! The demonstration: a service, a generated trial sent through its API, and everything that comes out of it verified.
//!
//! It can be interrupted anywhere and started again: every command has an Idempotency-Key that is always the same, so
//! what the service has is answered from its record, and what it lacks is added.

mod plan;
mod submit;
mod summary;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::progress;
use crate::service::{self, Account, Launch, Materials, Role, Service, Tokens, Verdict, Verifier, Witnesses};
use submit::Recorded;
use summary::Summary;

/// How long the seal after the last event may take; the interval is a second.
const SEALED_WITHIN: Duration = Duration::from_mins(1);

/// What the demonstration can be told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folder of the service: database, keys, published log, and in demo/ what the demonstration leaves
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Port on this machine; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 8480)]
    port: u16,
    /// Stop when all is verified instead of serving on; the exit code is 0 only if everything was sound
    #[arg(long)]
    once: bool,
    /// The service's program, if not the one of this build
    #[arg(long, value_name = "PATH")]
    bin: Option<PathBuf>,
}

impl Options {
    fn launch(&self) -> Result<Launch> {
        let programs = crate::programs()?;
        let dir = self.dir.clone().unwrap_or_else(|| crate::repository().join("var"));
        let dir = std::path::absolute(&dir).with_context(|| format!("{} is no path", dir.display()))?;
        let program = self.bin.clone().unwrap_or_else(|| programs.join("trialseal"));
        let port = if self.port == 0 { service::free_port()? } else { self.port };
        let public_trials = vec![plan::TRIAL.to_owned()];
        Ok(Launch { program, dir, port, database_url: None, public_trials, policy: None, unlimited: false })
    }
}

/// Runs the demonstration.
///
/// # Errors
/// When anything does not work, in a sentence for the person who started it.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let started = Instant::now();
    let mut launch = options.launch()?;
    let folder = launch.dir.join("demo");
    progress::begin("Starting three witnesses and the service");
    // They outlive the service, so that its last seal still gets their word.
    let witnesses = Witnesses::start(&crate::programs()?.join("trialseal-witness"), &launch)?;
    launch.policy = witnesses.as_ref().map(|witnesses| witnesses.policy().to_owned());
    let service = Service::start(launch)?;
    let summary = match demonstrate(&service, &folder, started) {
        Ok(summary) => summary,
        Err(_) if service.is_stopping() => {
            eprintln!("\nStopped before the demonstration was complete. Start again to go on from here.");
            return Ok(ExitCode::from(130));
        }
        Err(error) => return Err(error),
    };
    println!("{summary}");
    if options.once || !summary.is_sound() {
        service.stop()?;
        return Ok(if summary.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    println!("The service goes on until you press Ctrl-C.");
    let status = service.wait()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn demonstrate(service: &Service, folder: &Path, started: Instant) -> Result<Summary> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let tokens_path = folder.join("tokens.json");
    let tokens = Tokens::open_or_create(&tokens_path, service)?;
    let address = service.address();
    let account_path = folder.join("account.json");
    Account::open_or_create(&account_path, &tokens.client(Role::Admin, &address))?;
    let recorded = Recorded::open_or_submit(&folder.join("recorded.json"), &tokens, &address)?;

    progress::begin("Waiting for the seal");
    let monitor = tokens.client(Role::Monitor, &address);
    monitor.get_when_there(&recorded.receipt_path(recorded.last), SEALED_WITHIN)?;
    let receipt = folder.join("receipt.json");
    let shown = monitor.get_when_there(&recorded.receipt_path(recorded.shown), SEALED_WITHIN)?;
    fs::write(&receipt, shown.text)?;

    progress::begin("Exporting the dataset as the monitor");
    let materials = service::export(&monitor, plan::TRIAL, folder)?;
    progress::begin("Verifying what came out");
    let log = service.launch().dir.join("log");
    Ok(Summary {
        head: service::head_of(&materials.dataset)?,
        checkpoint: fs::read_to_string(log.join("checkpoint")).context("there is no published checkpoint")?,
        verdicts: verify(&materials, &receipt, &log)?,
        took: started.elapsed(),
        address,
        tokens_path,
        account_path,
        folder: folder.to_path_buf(),
    })
}

fn verify(materials: &Materials, receipt: &Path, log: &Path) -> Result<Vec<Verdict>> {
    let verifier = Verifier::new(&crate::programs()?.join("trialseal-verify"), &materials.trust)?;
    Ok(vec![verifier.dataset(&materials.dataset)?, verifier.receipt(receipt)?, verifier.log(log)?])
}
