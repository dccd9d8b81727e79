//! Giving and revoking bearer tokens, on the server alone.

use anyhow::{Context, Result, bail, ensure};
use trialseal_access::Token;
use trialseal_record::{Role, TrialId};
use trialseal_runtime::ids::{Ids, SystemIds};
use trialseal_store::{Store, TokenRow};

/// Longest name of an actor, an organisation or a system, in characters: they stand in the header of every event that
/// comes of the token.
const MAX_NAME: usize = 200;

/// Who a new token is for.
#[derive(Debug, clap::Args)]
pub(crate) struct NewToken {
    /// Opaque stable id of the person or system; it stands in the header of everything they record.
    #[arg(long)]
    actor: String,
    /// sponsor, investigator, irb, monitor, researcher or admin.
    #[arg(long)]
    role: String,
    /// The organisation they belong to.
    #[arg(long)]
    organisation: String,
    /// The system they send from, for tokens of systems.
    #[arg(long)]
    source_system: Option<String>,
    /// A trial they may reach; repeat for several, leave out for all.
    #[arg(long = "trial")]
    trials: Vec<String>,
}

impl NewToken {
    /// Makes the token, and the row to be stored, which holds only its hash. What could not stand in the header of an
    /// event is refused here: one recorded with it would be damaged from the start.
    ///
    /// # Errors
    /// A sentence that names the option to correct.
    pub(crate) fn make(self) -> Result<(Token, TokenRow)> {
        let role: Role = self.role.parse().with_context(|| format!("there is no role {}", self.role))?;
        ensure!(role != Role::System, "nobody can act as the service itself");
        let mut random = [0; 32];
        SystemIds.fill(&mut random);
        let token = Token::generate(&random);
        let row = TokenRow {
            hash: token.hash(),
            actor: name("--actor", self.actor)?,
            role: role.as_str().to_owned(),
            organisation: name("--organisation", self.organisation)?,
            source_system: self.source_system.map(|system| name("--source-system", system)).transpose()?,
            trials: reached(&self.trials)?,
            revoked: false,
        };
        Ok((token, row))
    }
}

/// A name that can stand in a header.
fn name(option: &str, name: String) -> Result<String> {
    let fits =
        !name.trim().is_empty() && name.chars().count() <= MAX_NAME && !name.chars().any(char::is_control);
    ensure!(
        fits,
        "{option} takes 1 to {MAX_NAME} characters, not all of them spaces and none a control character"
    );
    Ok(name)
}

/// The trials that a token names; `None` where it names none.
fn reached(ids: &[String]) -> Result<Option<Vec<TrialId>>> {
    let read = |id: &String| id.parse().with_context(|| format!("--trial {id:?} cannot be taken"));
    let trials: Vec<TrialId> = ids.iter().map(read).collect::<Result<_>>()?;
    Ok((!trials.is_empty()).then_some(trials))
}

/// Revokes a token; it is refused from the next request on.
pub(crate) async fn revoke(store: &dyn Store, token: &str) -> Result<()> {
    let token: Token = Token::parse(token).context("this is no token")?;
    if !store.revoke_token(&token.hash()).await? {
        bail!("there is no such token");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(actor: &str, organisation: &str, system: Option<&str>, trials: &[&str]) -> NewToken {
        NewToken {
            actor: actor.to_owned(),
            role: "monitor".to_owned(),
            organisation: organisation.to_owned(),
            source_system: system.map(str::to_owned),
            trials: trials.iter().map(|&trial| trial.to_owned()).collect(),
        }
    }

    #[test]
    fn a_token_is_made_for_whom_it_names() {
        let longest = "ä".repeat(MAX_NAME);
        let (token, row) = new("person-17", &longest, Some("edc"), &["ABC-1", "ABC-2"]).make().unwrap();
        assert_eq!((row.hash, row.actor.as_str(), row.role.as_str()), (token.hash(), "person-17", "monitor"));
        assert_eq!((row.organisation, row.source_system.as_deref()), (longest, Some("edc")));
        assert_eq!(row.trials.unwrap().len(), 2);
        assert_eq!(new("person-17", "CRO", None, &[]).make().unwrap().1.trials, None);
    }

    #[test]
    fn what_no_header_can_hold_is_refused_by_its_option() {
        let long = "a".repeat(MAX_NAME + 1);
        for odd in ["", " ", "a\0b", "two\nlines", "\u{85}", &long] {
            let cases = [
                ("--actor", new(odd, "CRO", None, &[])),
                ("--organisation", new("person-17", odd, None, &[])),
                ("--source-system", new("person-17", "CRO", Some(odd), &[])),
                ("--trial", new("person-17", "CRO", None, &["ABC-1", odd])),
            ];
            for (option, new) in cases {
                let said = format!("{:#}", new.make().expect_err(option));
                assert!(said.starts_with(option) && said.lines().count() == 1, "{said}");
            }
        }
    }

    #[test]
    fn nobody_acts_as_the_service_and_roles_are_known() {
        for role in ["system", "", "boss"] {
            let new = NewToken { role: role.to_owned(), ..new("person-17", "CRO", None, &[]) };
            assert!(new.make().is_err(), "{role}");
        }
    }
}
