//! The demonstration's people and their tokens.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use super::{Client, Launch, Service};

/// Whom the demonstration acts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Sponsor,
    Investigator,
    Irb,
    Monitor,
    Researcher,
    Admin,
}

impl Role {
    const ALL: [Self; 6] =
        [Self::Sponsor, Self::Investigator, Self::Irb, Self::Monitor, Self::Researcher, Self::Admin];

    /// The role as the service spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sponsor => "sponsor",
            Self::Investigator => "investigator",
            Self::Irb => "irb",
            Self::Monitor => "monitor",
            Self::Researcher => "researcher",
            Self::Admin => "admin",
        }
    }

    fn organisation(self) -> &'static str {
        match self {
            Self::Sponsor => "Demo Sponsor",
            Self::Investigator => "Demo Clinics",
            Self::Irb => "Demo Ethics Committee",
            Self::Monitor => "Demo Monitoring",
            Self::Researcher => "Demo Institute",
            Self::Admin => "Demo Operations",
        }
    }
}

/// One token a role.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Tokens(BTreeMap<Role, String>);

impl Tokens {
    /// The tokens in a file, or new ones if it holds none that the service takes. The actors stay the same, so that a
    /// command sent again with a new token is known as the same command.
    pub(crate) fn open_or_create(path: &Path, service: &Service) -> Result<Self> {
        if let Some(tokens) = Self::read(path)
            && tokens.all_work(&service.address())
        {
            return Ok(tokens);
        }
        let tokens = Self::create(service.launch())?;
        tokens.write(path).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(tokens)
    }

    /// New tokens.
    pub(crate) fn create(launch: &Launch) -> Result<Self> {
        let token_of = |role: Role| {
            let actor = format!("demo-{}", role.name());
            let output = launch
                .command(&["token", "create"])
                .args(["--actor", &actor, "--role", role.name(), "--organisation", role.organisation()])
                .output()?;
            let complaint = String::from_utf8_lossy(&output.stderr);
            ensure!(
                output.status.success(),
                "no token for {} could be made: {}",
                role.name(),
                complaint.trim()
            );
            Ok((role, String::from_utf8(output.stdout)?.trim().to_owned()))
        };
        Role::ALL.into_iter().map(token_of).collect::<Result<_>>().map(Self)
    }

    /// The API as one role sees it.
    pub(crate) fn client(&self, role: Role, address: &str) -> Client {
        Client::new(address, self.0.get(&role).map(String::as_str))
    }

    /// A role's token; empty where it has none.
    pub(crate) fn token(&self, role: Role) -> &str {
        self.0.get(&role).map_or("", String::as_str)
    }

    fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    fn all_work(&self, address: &str) -> bool {
        Role::ALL.into_iter().all(|role| {
            let seen = self.client(role, address).look("/v1/trials");
            self.0.contains_key(&role) && seen.is_ok_and(|answer| answer.status != 401)
        })
    }

    fn write(&self, path: &Path) -> Result<()> {
        // A file that was there keeps its mode when it is written, so it has to go first.
        if path.exists() {
            fs::remove_file(path)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        Ok(writeln!(file)?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn tokens() -> Tokens {
        Tokens(Role::ALL.into_iter().map(|role| (role, format!("ts_{}", role.name()))).collect())
    }

    #[test]
    fn the_file_has_one_token_a_role_and_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        fs::write(&path, "left over").unwrap();
        tokens().write(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let value: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let mut names: Vec<&String> = value.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["admin", "investigator", "irb", "monitor", "researcher", "sponsor"]);
    }
}
