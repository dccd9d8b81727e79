//! `trialseal`, the program that an operator runs: its command line, and one process with every role that the operator is
//! trusted with.
//!
//! What each role does stands in a crate of its own; here they are given their ports and put together. What it is not: a
//! place for rules, proofs or SQL.

mod bootstrap;
mod check;
mod election;
mod erasure;
mod files;
mod http;
mod key_store;
mod keys;
mod ledger;
mod limits;
mod lock;
mod master_key;
mod policy;
mod register;
mod roles;
mod rotation;
mod standby;
mod tokens;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use mimalloc::MiMalloc;
use trialseal_projector::Model;
use trialseal_runtime::client::Authorities;
use trialseal_runtime::settings::{SETTINGS, Settings, unknown_in_process};
use trialseal_runtime::telemetry;
use trialseal_runtime::tls::Certificate;

use crate::ledger::Ledger;
use crate::rotation::Rotated;

/// Commands are read, taken apart and written again, each in hundreds of small pieces of memory, on all threads at once.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The audit-trail service for clinical trials whose record can be checked by anybody.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service.
    Serve {
        #[command(flatten)]
        place: Place,
        /// The port to listen on.
        #[arg(long)]
        port: Option<u16>,
        /// The address to listen on.
        #[arg(long)]
        listen: Option<String>,
    },
    /// Print the verifier keys of the ledger's log and exports, which witnesses and readers need. Makes a ledger where
    /// there is none.
    #[command(args_conflicts_with_subcommands = true)]
    Keys {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        command: Option<KeysCommand>,
    },
    /// Print the text that says whom readers of the ledger trust, to be published in a second place; and its fingerprint.
    Trust {
        #[command(flatten)]
        place: Place,
    },
    /// Give and revoke bearer tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Make the first administrator, and new links for accounts.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Read the record and its proofs again, recompute what follows from it, and name what is damaged.
    Check {
        #[command(flatten)]
        place: Place,
    },
    /// Make the tables of the PostgreSQL databases, or bring them up to date, as the user who owns them. The service does so
    /// by itself where its own user may.
    Migrate {
        #[command(flatten)]
        place: Place,
    },
    /// Fold every read model again from the first event; a running service goes on meanwhile.
    Rebuild {
        #[command(flatten)]
        place: Place,
    },
    /// Say what every setting is, and what is wrong with them.
    Doctor {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make a successor of a key. From the next start on both sign, and readers and witnesses can change from one to the
    /// other.
    Rotate {
        /// Which key.
        key: Rotated,
        #[command(flatten)]
        place: Place,
    },
    /// Delete a key, so that its successor signs alone from the next start on.
    Retire {
        /// Which key.
        key: Rotated,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token and print it; it is shown this once.
    Create {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        token: tokens::NewToken,
    },
    /// Revoke a token; it is refused from the next request on.
    Revoke {
        #[command(flatten)]
        place: Place,
        /// The token.
        token: String,
    },
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Make the first administrator's account, once, and print the link by which they choose a password. All others get
    /// theirs from an administrator.
    Create {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        administrator: tokens::NewAdministrator,
    },
    /// Print a new link for an account whose holder has lost the password.
    Invite {
        #[command(flatten)]
        place: Place,
        /// The account's login name.
        #[arg(long, default_value = "admin")]
        login: String,
    },
}

/// Which ledger.
#[derive(Debug, Args)]
struct Place {
    /// The folder of the ledger: database, keys, published log.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// A PostgreSQL address; the embedded database is used without one.
    #[arg(long)]
    database_url: Option<String>,
    /// Where the data keys lie: `file`, or the address of a PostgreSQL database of its own.
    #[arg(long)]
    key_database_url: Option<String>,
    /// The ledger's name, chosen once: a host and path without scheme, such as ledger.example.org/main.
    #[arg(long)]
    origin: Option<String>,
}

impl Place {
    fn settings(&self, port: Option<u16>, listen: Option<&str>) -> Result<Settings> {
        let settings = Settings::from_process(|name| match name {
            "TRIALSEAL_DIR" => self.dir.as_ref().map(|dir| dir.to_string_lossy().into_owned()),
            "TRIALSEAL_DATABASE_URL" => self.database_url.clone(),
            "TRIALSEAL_KEY_DATABASE_URL" => self.key_database_url.clone(),
            "TRIALSEAL_ORIGIN" => self.origin.clone(),
            "TRIALSEAL_PORT" => port.map(|port| port.to_string()),
            "TRIALSEAL_LISTEN" => listen.map(str::to_owned),
            _ => None,
        })?;
        Ok(settings)
    }
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("trialseal: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match command {
        Command::Serve { place, port, listen } => {
            let settings = place.settings(port, listen.as_deref())?;
            telemetry::init(settings.log_format, &settings.log)?;
            runtime.block_on(roles::serve(settings))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Keys { place, command } => runtime.block_on(keys(&place, command)),
        Command::Trust { place } => runtime.block_on(trust(&place.settings(None, None)?)),
        Command::Token(command) => runtime.block_on(token(command)),
        Command::Admin(command) => runtime.block_on(admin(command)),
        Command::Check { place } => runtime.block_on(check(&place.settings(None, None)?)),
        Command::Migrate { place } => {
            runtime.block_on(Ledger::migrate(&place.settings(None, None)?))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Rebuild { place } => runtime.block_on(rebuild(&place.settings(None, None)?)),
        Command::Doctor { place } => runtime.block_on(doctor(&place)),
    }
}

/// Without a look at the policy: it names witnesses, who ask for the log's key before they give theirs.
async fn keys(place: &Place, command: Option<KeysCommand>) -> Result<ExitCode> {
    let settings =
        |place: &Place| Ok::<_, anyhow::Error>(Settings { policy_file: None, ..place.settings(None, None)? });
    match command {
        None => {
            let ledger = Ledger::open_or_make(&settings(place)?).await?;
            for (purpose, key) in ledger.verifier_keys()? {
                println!("{} {key}", keys::name(purpose));
            }
        }
        Some(KeysCommand::Rotate { key, place }) => {
            rotation::rotate(&Ledger::open(&settings(&place)?).await?, key.into())?;
        }
        Some(KeysCommand::Retire { key, place }) => {
            rotation::retire(&Ledger::open(&settings(&place)?).await?, key.into()).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn trust(settings: &Settings) -> Result<ExitCode> {
    let trust = Ledger::open(settings).await?.trust()?;
    print!("{trust}");
    eprintln!("fingerprint (SHA-256 of the text): {}", trust.fingerprint());
    Ok(ExitCode::SUCCESS)
}

async fn token(command: TokenCommand) -> Result<ExitCode> {
    match command {
        TokenCommand::Create { place, token } => {
            let (token, row) = token.make()?;
            let ledger = Ledger::open(&place.settings(None, None)?).await?;
            ledger.store.add_token(&row).await?;
            println!("{}", token.reveal());
        }
        TokenCommand::Revoke { place, token } => {
            let ledger = Ledger::open(&place.settings(None, None)?).await?;
            tokens::revoke(ledger.store.as_ref(), &token).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn admin(command: AdminCommand) -> Result<ExitCode> {
    let link = match command {
        AdminCommand::Create { place, administrator } => {
            let settings = place.settings(None, None)?;
            let ledger = Ledger::open(&settings).await?;
            tokens::create_administrator(ledger.store.as_ref(), &settings, administrator).await?
        }
        AdminCommand::Invite { place, login } => {
            let settings = place.settings(None, None)?;
            let ledger = Ledger::open(&settings).await?;
            tokens::invite(ledger.store.as_ref(), &settings, &login).await?
        }
    };
    println!("{link}");
    Ok(ExitCode::SUCCESS)
}

async fn check(settings: &Settings) -> Result<ExitCode> {
    let ledger = Ledger::open(settings).await?;
    let report = check::check(ledger.store.as_ref(), &ledger.vault, ledger.policy.policy()).await?;
    println!("{} events, {} seals, {} erased", report.events, report.seals, report.erased);
    for finding in &report.findings {
        println!("damaged: {finding}");
    }
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn rebuild(settings: &Settings) -> Result<ExitCode> {
    let ledger = Ledger::open(settings).await?;
    let projector = ledger.projector(Arc::default());
    projector.rebuild(&Model::ALL).await?;
    for model in Model::ALL {
        println!("{} rebuilt", model.name());
    }
    Ok(ExitCode::SUCCESS)
}

async fn doctor(place: &Place) -> Result<ExitCode> {
    for (name, default, meaning) in SETTINGS {
        println!("{name}\n    {meaning}\n    default: {default}");
    }
    let settings = place.settings(None, None)?;
    for name in unknown_in_process() {
        println!("\n{name} is set, but there is no such setting");
    }
    roles::provider_config(&settings)?;
    Authorities::with_file(settings.ca_file.as_deref())?;
    settings.tls.as_ref().map(Certificate::open).transpose()?;
    if !Ledger::exists(&settings) {
        println!("\nno ledger in {} yet: serve makes one", settings.dir.display());
        return Ok(ExitCode::SUCCESS);
    }
    let ledger = Ledger::open(&settings).await?;
    let head = ledger.store.head().await?;
    println!(
        "\nledger {} opened: {} events, {} of them sealed",
        ledger.store.origin(),
        head.position,
        head.sealed
    );
    match ledger.store.holder().await? {
        Some(process) => println!("process {process} was elected to write it"),
        None => println!("no process was elected to write it"),
    }
    Ok(ExitCode::SUCCESS)
}
