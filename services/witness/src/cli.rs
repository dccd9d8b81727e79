//! The command line: making a folder, and running a witness from it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use trialseal_runtime::client::Authorities;
use trialseal_runtime::clock::SystemClock;
use trialseal_runtime::settings::LogFormat;
use trialseal_runtime::shutdown::{Roles, Shutdown};
use trialseal_runtime::telemetry;
use trialseal_seal::note::VerifierKey;

use crate::config::{Config, DEFAULT_LISTEN, Log, ML_DSA_KEY, Mirrored};
use crate::cosigner::Cosigner;
use crate::folder::{Folder, Lock};
use crate::http;
use crate::mirror::{Mirror, Mirrors};
use crate::witness::Witness;

/// How long requests under way have when the witness is asked to end.
const GRACE: Duration = Duration::from_secs(10);

/// Cosigns the checkpoints of transparency logs, each once it has seen that the log only grew (C2SP tlog-witness).
#[derive(Debug, Parser)]
#[command(name = "trialseal-witness", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the witness of a folder; make it first where it is not there yet.
    Run(Run),
    /// Print the witness's verifier keys, one a line, which policies name.
    Key {
        /// The folder of the witness.
        #[arg(long)]
        folder: PathBuf,
    },
    /// Make a successor of the Ed25519 key, and print all keys. From the next start on both cosign, and policies can change
    /// from one to the other.
    Rotate {
        /// The folder of the witness.
        #[arg(long)]
        folder: PathBuf,
    },
    /// Delete the Ed25519 key, so that its successor cosigns alone. The witness must not run meanwhile.
    Retire {
        /// The folder of the witness.
        #[arg(long)]
        folder: PathBuf,
    },
}

/// How to run. Name, logs and address make the configuration at the first start; after that it is the file's alone.
#[derive(Debug, clap::Args)]
struct Run {
    /// The folder of the witness: configuration, key, journal.
    #[arg(long)]
    folder: PathBuf,
    /// First start: the witness's name for ever, a host and path without scheme, such as witness.example.org/w1.
    #[arg(long)]
    name: Option<String>,
    /// First start: the verifier key of a log to cosign for, and after a space its origin if that is another name.
    #[arg(long, value_name = "VKEY")]
    log: Vec<String>,
    /// First start: the address of one of these logs, and after a space its origin; keep and serve a copy of it.
    #[arg(long, value_name = "URL ORIGIN")]
    mirror: Vec<String>,
    /// First start: the address and port to listen on; port 0 takes any free one.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// First start: cosign with an ML-DSA-44 key as well.
    #[arg(long)]
    ml_dsa: bool,
    /// Which log lines to write, to standard error.
    #[arg(long, env = "TRIALSEAL_LOG", default_value = "info", value_name = "FILTER")]
    log_filter: String,
    /// The form of log lines.
    #[arg(long, env = "TRIALSEAL_LOG_FORMAT", value_enum, default_value_t = Format::Human)]
    log_format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Human,
    Json,
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Human => Self::Human,
            Format::Json => Self::Json,
        }
    }
}

/// Carries a command out.
pub fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Run(run) => {
            telemetry::init(run.log_format.into(), &run.log_filter)?;
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(&run))
        }
        Command::Key { folder } => {
            print_keys(&find(&folder)?.keys()?.verifier_keys());
            Ok(())
        }
        Command::Rotate { folder } => {
            let folder = find(&folder)?;
            folder.rotate()?;
            print_keys(&folder.keys()?.verifier_keys());
            Ok(())
        }
        Command::Retire { folder: dir } => {
            let folder = find(&dir)?;
            folder.retire(&Lock::take(&dir)?)?;
            print_keys(&folder.keys()?.verifier_keys());
            Ok(())
        }
    }
}

/// Opens a folder that has to be there.
fn find(folder: &Path) -> Result<Folder> {
    Folder::find(folder)?.with_context(|| format!("there is no witness in {}", folder.display()))
}

async fn serve(run: &Run) -> Result<()> {
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    let lock = Lock::take(&run.folder)?;
    let folder = match Folder::find(&run.folder)? {
        Some(folder) => {
            run.check(&folder.config)?;
            folder
        }
        None => Folder::create(&run.folder, run.config()?, &lock)?,
    };
    let authorities = folder.config.ca.as_ref().map(|file| run.folder.join(file));
    let authorities = Authorities::with_file(authorities.as_deref())?;
    let (keys, published) = (folder.keys()?, Arc::default());
    let verifier_keys = keys.verifier_keys();
    let (journal, notes) = folder.journal(&lock)?;
    let clock = Arc::new(SystemClock);
    let cosigner = Cosigner::new(keys, clock, journal, notes, Arc::clone(&published))?;
    let (witness, queue) = Witness::new(folder.config.keys(), published);
    let mirrors = Mirrors::new(&folder.config, &run.folder);
    let (server, address) = http::server(&folder.config, witness, mirrors, GRACE)?;
    tracing::info!(%address, witness = folder.config.name, logs = folder.config.logs.len(), "witnessing");
    print_keys(&verifier_keys);
    println!("listening on http://{address}{}", folder.config.prefix);

    let mut roles = Roles::new(shutdown.clone());
    // The lock lives as long as the threads that write, which nothing can end from outside.
    let lock = Arc::new(lock);
    for mirror in Mirror::all(&folder.config, &run.folder, &authorities, &shutdown) {
        roles.spawn("mirror", mirror.run(Arc::clone(&lock), shutdown.clone()));
    }
    let deciding = move || {
        let _lock = lock;
        cosigner.run(queue)
    };
    roles.spawn("cosigner", async move { tokio::task::spawn_blocking(deciding).await? });
    roles.spawn("metrics", telemetry::keep_metrics(shutdown.clone()));
    roles.spawn("http", http::run(server, shutdown));
    // One grace period for the requests, and a little for what they wait for.
    Ok(roles.finish(GRACE + Duration::from_secs(5)).await?)
}

impl Run {
    fn logs(&self) -> Result<Vec<Log>> {
        self.log.iter().map(|text| Log::parse(text).with_context(|| format!("--log {text}"))).collect()
    }

    fn mirrors(&self) -> Result<Vec<Mirrored>> {
        let read = |text: &String| Mirrored::parse(text).with_context(|| format!("--mirror {text}"));
        self.mirror.iter().map(read).collect()
    }

    /// The configuration of a first start.
    fn config(&self) -> Result<Config> {
        let Some(name) = &self.name else {
            bail!(
                "there is no witness in {} yet: name it with --name, and its logs with --log",
                shown(&self.folder)
            )
        };
        let mut config = Config::new(name, self.listen.unwrap_or(DEFAULT_LISTEN), self.logs()?);
        config.mirrors = self.mirrors()?;
        config.ml_dsa_key = self.ml_dsa.then(|| ML_DSA_KEY.into());
        // What would not be read again must not be written: a name with a newline, a log twice.
        let read = Config::parse(&config.text())?;
        ensure!(read == config, "the name {name:?} cannot be a witness's");
        Ok(config)
    }

    /// What a first start was told may be said again, if it still is so.
    fn check(&self, config: &Config) -> Result<()> {
        let is_so = self.name.as_ref().is_none_or(|name| *name == config.name)
            && self.listen.is_none_or(|listen| listen == config.listen)
            && (!self.ml_dsa || config.ml_dsa_key.is_some())
            && self.logs()?.iter().all(|log| config.logs.contains(log))
            && self.mirrors()?.iter().all(|mirror| config.mirrors.contains(mirror));
        ensure!(
            is_so,
            "the witness in {} is configured otherwise: change witness.conf, or leave the options of a first start out",
            shown(&self.folder)
        );
        Ok(())
    }
}

fn print_keys(keys: &[VerifierKey]) {
    for key in keys {
        println!("{key}");
    }
}

fn shown(path: &Path) -> impl std::fmt::Display {
    path.display()
}
