//! Giving and revoking bearer tokens, on the server alone.

use anyhow::{Context, Result, bail};
use trialseal_access::Token;
use trialseal_record::{Role, TrialId};
use trialseal_runtime::ids::{Ids, SystemIds};
use trialseal_store::{Store, TokenRow};

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

/// Makes a token and gives it back; only its hash is stored.
pub(crate) async fn create(store: &dyn Store, new: NewToken) -> Result<Token> {
    let role: Role = new.role.parse().with_context(|| format!("there is no role {}", new.role))?;
    if role == Role::System {
        bail!("nobody can act as the service itself");
    }
    let trials: Vec<TrialId> = new.trials.iter().map(|id| id.parse()).collect::<Result<_, _>>()?;
    let mut random = [0; 32];
    SystemIds.fill(&mut random);
    let token = Token::generate(&random);
    let row = TokenRow {
        hash: token.hash(),
        actor: new.actor,
        role: role.as_str().to_owned(),
        organisation: new.organisation,
        source_system: new.source_system,
        trials: (!trials.is_empty()).then_some(trials),
        revoked: false,
    };
    store.add_token(&row).await?;
    Ok(token)
}

/// Revokes a token; it is refused from the next request on.
pub(crate) async fn revoke(store: &dyn Store, token: &str) -> Result<()> {
    let token: Token = Token::parse(token).context("this is no token")?;
    if !store.revoke_token(&token.hash()).await? {
        bail!("there is no such token");
    }
    Ok(())
}
