//! Giving roles on the server's command line: bearer tokens, and the first administrator. The running service tells the
//! record of what is given here before it counts.

use anyhow::{Context, Result, anyhow, bail};
use trialseal_access::Token;
use trialseal_identity::{InvalidAccount, InvalidGrant, Invited, NewAccount, NewToken as Granted};
use trialseal_identity::{first_administrator, invitation_for};
use trialseal_record::TrialId;
use trialseal_runtime::clock::{Clock, SystemClock};
use trialseal_runtime::ids::SystemIds;
use trialseal_runtime::settings::Settings;
use trialseal_store::{Store, TokenRow};

/// Who a new token is for.
#[derive(Debug, clap::Args)]
pub(crate) struct NewToken {
    /// Opaque stable id of the person or system; it stands in the header of everything they record.
    #[arg(long)]
    actor: String,
    /// sponsor, investigator, site-staff, irb, monitor, inspector, auditor, unblinded, researcher, participant or admin.
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
    /// The participant who holds it, by id: for the role participant, with one --trial.
    #[arg(long)]
    participant: Option<String>,
    /// Days after which it ends by itself.
    #[arg(long)]
    expires_in_days: Option<u32>,
}

/// Who the first administrator is.
#[derive(Debug, clap::Args)]
pub(crate) struct NewAdministrator {
    /// The name to log in by.
    #[arg(long, default_value = "admin")]
    login: String,
    /// The organisation they belong to.
    #[arg(long)]
    organisation: String,
    /// Opaque stable id; it stands in the header of everything they record. Made where it is left out.
    #[arg(long)]
    actor: Option<String>,
}

impl NewToken {
    /// Makes the token, and the row to be stored, which holds only its hash. What could not stand in the header of an
    /// event is refused here: one recorded with it would be damaged from the start.
    ///
    /// # Errors
    /// A sentence that names the option to correct.
    pub(crate) fn make(self) -> Result<(Token, TokenRow)> {
        if let Some(odd) = self.trials.iter().find(|id| id.parse::<TrialId>().is_err()) {
            bail!("--trial {odd:?} cannot be taken: this is not a valid trial id");
        }
        let granted = Granted {
            actor: self.actor,
            role: self.role,
            organisation: self.organisation,
            source_system: self.source_system,
            trials: Some(self.trials).filter(|trials| !trials.is_empty()),
            participant: self.participant,
            expires_in_days: self.expires_in_days,
        };
        granted.make(&SystemIds, SystemClock.now()).map_err(|error| anyhow!(with_options(&error)))
    }
}

/// What is wrong, with the option's name for the member's.
fn with_options(error: &InvalidGrant) -> String {
    let said = error.to_string();
    let options = [
        ("actor", "--actor"),
        ("organisation", "--organisation"),
        ("sourceSystem", "--source-system"),
        ("role", "--role"),
        ("participant", "--participant"),
        ("expiresInDays", "--expires-in-days"),
    ];
    let option = options.iter().find_map(|(member, option)| Some((option, said.strip_prefix(member)?)));
    option.map_or_else(|| said.clone(), |(option, rest)| format!("{option}{rest}"))
}

/// Revokes a token; it is refused from the next request on.
pub(crate) async fn revoke(store: &dyn Store, token: &str) -> Result<()> {
    let token: Token = Token::parse(token).context("this is no token")?;
    if !store.revoke_token(&token.hash()).await? {
        bail!("there is no such token");
    }
    Ok(())
}

/// Makes the first administrator's account; answers with the link to choose a password by.
pub(crate) async fn create_administrator(
    store: &dyn Store,
    settings: &Settings,
    new: NewAdministrator,
) -> Result<String> {
    let new = NewAccount {
        login: new.login,
        role: "admin".to_owned(),
        organisation: new.organisation,
        actor: new.actor,
        trials: None,
        participant: None,
    };
    let invited = first_administrator(store, &SystemIds, SystemClock.now(), new).await;
    Ok(link(settings, &invited.map_err(of_account)?))
}

/// Makes another link for an account.
pub(crate) async fn invite(store: &dyn Store, settings: &Settings, login: &str) -> Result<String> {
    let invited = invitation_for(store, &SystemIds, SystemClock.now(), login).await;
    Ok(link(settings, &invited.map_err(of_account)?))
}

fn of_account(error: InvalidAccount) -> anyhow::Error {
    match &error {
        InvalidAccount::Grant(grant) => anyhow!(with_options(grant)),
        InvalidAccount::Login => anyhow!("--{error}"),
        _ => error.into(),
    }
}

fn link(settings: &Settings, invited: &Invited) -> String {
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let local = || format!("{scheme}://{}", settings.listen);
    format!("{}{}", settings.public_address.clone().unwrap_or_else(local), invited.path())
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
            participant: None,
            expires_in_days: None,
        }
    }

    #[test]
    fn what_no_header_can_hold_is_refused_by_its_option() {
        for odd in ["", " ", "a\0b", "two\nlines", "\u{85}", &"a".repeat(201)] {
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
        let role = NewToken { role: "boss".into(), ..new("person-17", "CRO", None, &[]) }.make();
        assert!(role.unwrap_err().to_string().starts_with("--role is one of"));
        assert_eq!(new("person-17", "CRO", None, &[]).make().unwrap().1.trials, None);
    }
}
