//! A fresh service of this build's release profile, on the database engine asked for.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Output};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use serde_json::Value;

use crate::service::{Launch, Service, free_port};

/// Lines of a failed program's complaint that are passed on: its end says why.
const LINES_OF_COMPLAINT: usize = 12;

/// The database engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// A build that is worth measuring.
pub(super) struct Build {
    target: PathBuf,
}

impl Build {
    /// Builds the service and the verifier with optimisation.
    pub(super) fn release() -> Result<Self> {
        Self::of(&["trialseal-server", "trialseal-verify"])
    }

    /// Builds the programs of these packages with optimisation.
    pub(super) fn of(packages: &[&str]) -> Result<Self> {
        let packages = packages.iter().flat_map(|package| ["-p", *package]);
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(crate::repository()).args(["build", "--release", "--bins"]).args(packages);
        let status = cargo.status()?;
        ensure!(status.success(), "what is to be measured does not build");
        Self::without_service()
    }

    /// Where a build goes, for what is measured without the service's program.
    pub(super) fn without_service() -> Result<Self> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(crate::repository()).args(["metadata", "--format-version", "1", "--no-deps"]);
        let output = cargo.output()?;
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        let target = metadata["target_directory"].as_str().context("cargo names no target folder")?;
        Ok(Self { target: target.into() })
    }

    /// A program of the build.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }

    /// An empty folder of that name. What an earlier run left is removed first, so that it can be looked at until then.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.target.join("bench").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// A folder of that name, with what earlier runs left in it.
    pub(super) fn kept_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.target.join("bench").join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// A fresh service in a folder of that name. `postgres_url` is where a new database can be made.
    pub(super) fn start(&self, name: &str, engine: Engine, postgres_url: Option<&str>) -> Result<Service> {
        let database_url = match (engine, postgres_url) {
            (Engine::Sqlite, _) => None,
            (Engine::Postgres, Some(url)) => Some(new_database(url, name)?),
            (Engine::Postgres, None) => bail!(
                "PostgreSQL is needed: run `xtask/with-postgres cargo xtask bench …`, or set \
                 TRIALSEAL_TEST_POSTGRES to a server in which databases can be made"
            ),
        };
        let launch = Launch {
            policy: None,
            unlimited: true,
            program: self.program("trialseal"),
            dir: self.folder(name)?,
            port: free_port()?,
            database_url,
            public_trials: Vec::new(),
        };
        Service::start(launch)
    }
}

/// The same command once more, with a private PostgreSQL around it that `options` describe.
pub(super) fn run_again_with_postgres(options: &[&str]) -> Result<ExitCode> {
    let script = crate::repository().join("xtask/with-postgres");
    let own = std::env::current_exe()?;
    let status = Command::new(script).args(options).arg(own).args(std::env::args_os().skip(1)).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes an empty database by PostgreSQL's own client, and answers with its address.
pub(super) fn new_database(server: &str, name: &str) -> Result<String> {
    drop_database(server, name)?;
    let database = database(name);
    psql(server, &format!("CREATE DATABASE {database}"))?;
    let (base, _) = server.rsplit_once('/').context("the address of PostgreSQL names no database")?;
    Ok(format!("{base}/{database}"))
}

/// Runs a command to its end; should it fail, `what` is said, and the end of its complaint.
pub(super) fn finish(command: &mut Command, what: &str) -> Result<Output> {
    let output = command.output().with_context(|| format!("{what}: it cannot be run"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = complaint.lines().filter(|line| !line.trim().is_empty()).collect();
        let end = &lines[lines.len().saturating_sub(LINES_OF_COMPLAINT)..];
        bail!("{what}:\n{}", end.join("\n"));
    }
    Ok(output)
}

/// Removes what [`new_database`] made, if it is there.
pub(super) fn drop_database(server: &str, name: &str) -> Result<()> {
    psql(server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", database(name)))
}

fn database(name: &str) -> String {
    format!("trialseal_bench_{}", name.replace('-', "_"))
}

fn psql(server: &str, sql: &str) -> Result<()> {
    let status = Command::new("psql").args([server, "--quiet", "--command", sql]).status();
    ensure!(status.context("psql is missing")?.success(), "PostgreSQL refuses {sql:?}");
    Ok(())
}
