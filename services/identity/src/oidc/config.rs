//! What an operator says of a provider, as a JSON file.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};
use trialseal_record::{Role, TrialId};
use zeroize::Zeroizing;

use super::Claims;
use crate::tokens::{name, role};

/// Furthest apart that two clocks may be, seconds.
const MAX_SKEW_SECONDS: u32 = 300;
/// And where the file does not say.
const DEFAULT_SKEW_SECONDS: u32 = 60;
/// What is asked of a person at the provider.
const DEFAULT_SCOPE: &str = "openid";

/// What an operator says of a provider.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OidcConfig {
    /// The provider's issuer, to the letter; `https`, or `http` on this machine.
    pub issuer: String,
    /// What this service is called there.
    pub client_id: String,
    /// File of the secret that it has there; a public client has none.
    pub client_secret_file: Option<PathBuf>,
    /// The secret, once it has been read.
    #[serde(skip)]
    pub(crate) client_secret: Option<Zeroizing<String>>,
    /// The audience of tokens that are taken as bearer tokens; left out, none are.
    pub audience: Option<String>,
    /// The clients whose tokens are taken as bearer tokens (`azp`, or `client_id`); left out, whichever they are.
    pub authorized_parties: Option<Vec<String>>,
    /// What is asked of people at the provider; `openid` is always among it.
    pub scope: Option<String>,
    /// Signature algorithms that are taken, of RS256, PS256, ES256 and EdDSA; left out, all four.
    pub algorithms: Option<Vec<String>>,
    /// How far the clocks may be apart.
    pub clock_skew_seconds: Option<u32>,
    /// Claims that every token must have, with this value or with it among theirs.
    #[serde(default)]
    pub required_claims: Map<String, Value>,
    /// Which claims give which role; the first that fits counts.
    pub roles: Vec<Rule>,
}

/// Which claims give a role.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Claims that a token must have, with this value or with it among theirs.
    pub claims: Map<String, Value>,
    /// The role.
    pub role: String,
    /// The organisation.
    pub organisation: Option<String>,
    /// The claim that names it instead.
    pub organisation_claim: Option<String>,
    /// The trials that it reaches; all of them where neither this nor `trialsClaim` is there.
    pub trials: Option<Vec<TrialId>>,
    /// The claim that lists them instead; whoever's token has none reaches none.
    pub trials_claim: Option<String>,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidOidc {
    /// No JSON of this shape.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// The secret's file.
    #[error("the file of clientSecretFile cannot be read: {0}")]
    Secret(#[from] std::io::Error),
    /// Something in it.
    #[error("{0}")]
    Member(&'static str),
}

/// What a person is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapped {
    pub(crate) role: Role,
    pub(crate) organisation: String,
    pub(crate) trials: Option<Vec<TrialId>>,
}

impl OidcConfig {
    /// Reads a configuration, and the secret that it names.
    ///
    /// # Errors
    /// What has to be corrected.
    pub fn read(text: &str) -> Result<Self, InvalidOidc> {
        let mut config: Self = serde_json::from_str(text)?;
        if let Some(file) = &config.client_secret_file {
            let secret = Zeroizing::new(std::fs::read_to_string(file)?);
            config.client_secret = Some(Zeroizing::new(secret.trim_end().to_owned()));
        }
        config.check().map_err(InvalidOidc::Member)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), &'static str> {
        if !is_safe(&self.issuer) {
            return Err(
                "issuer is an https address, or an http address of this machine, as the provider spells it",
            );
        }
        if self.client_id.is_empty() {
            return Err("clientId is missing");
        }
        if self.audience.as_ref().is_some_and(|audience| audience.is_empty() || *audience == self.client_id) {
            return Err("audience is that of access tokens for this service, which is not the client's id");
        }
        if self.clock_skew_seconds.is_some_and(|seconds| seconds > MAX_SKEW_SECONDS) {
            return Err("clockSkewSeconds is at most 300");
        }
        let known = |name: &String| ALGORITHMS.contains(&name.as_str());
        if self.algorithms.as_ref().is_some_and(|names| names.is_empty() || !names.iter().all(known)) {
            return Err("algorithms are of RS256, PS256, ES256 and EdDSA");
        }
        self.roles.iter().try_for_each(Rule::check)
    }

    pub(crate) fn skew_seconds(&self) -> i64 {
        self.clock_skew_seconds.unwrap_or(DEFAULT_SKEW_SECONDS).into()
    }

    pub(crate) fn takes(&self, algorithm: &str) -> bool {
        let taken = self.algorithms.as_ref().is_none_or(|names| names.iter().any(|name| name == algorithm));
        taken && ALGORITHMS.contains(&algorithm)
    }

    pub(crate) fn scope(&self) -> String {
        let scope = self.scope.as_deref().unwrap_or(DEFAULT_SCOPE);
        if scope.split(' ').any(|part| part == DEFAULT_SCOPE) {
            return scope.to_owned();
        }
        format!("{DEFAULT_SCOPE} {scope}")
    }

    /// What somebody with these claims is here; `None` where no rule fits.
    pub(crate) fn map(&self, claims: &Claims) -> Option<Mapped> {
        self.roles.iter().find(|rule| have_all(claims, &rule.claims)).and_then(|rule| rule.map(claims))
    }
}

/// What providers sign with that is taken: nothing symmetric, nothing with SHA-1, nothing unsigned.
const ALGORITHMS: [&str; 4] = ["RS256", "PS256", "ES256", "EdDSA"];

impl Rule {
    fn check(&self) -> Result<(), &'static str> {
        // Which participant somebody is, a provider does not know.
        if role(&self.role).map_or(true, |role| role == Role::Participant) {
            return Err(
                "the role of a rule is one of sponsor, investigator, site-staff, irb, monitor, inspector, auditor, \
                 researcher and admin",
            );
        }
        if self.claims.is_empty() {
            return Err("a rule without claims would give its role to everybody the provider knows");
        }
        if self.organisation.is_some() == self.organisation_claim.is_some() {
            return Err("a rule has either organisation or organisationClaim");
        }
        if self.trials.is_some() && self.trials_claim.is_some() {
            return Err("a rule has trials or trialsClaim, not both");
        }
        Ok(())
    }

    fn map(&self, claims: &Claims) -> Option<Mapped> {
        let claimed = |claim: &String| claims.get(claim)?.as_str().map(str::to_owned);
        let organisation =
            self.organisation.clone().or_else(|| claimed(self.organisation_claim.as_ref()?))?;
        let trials = match &self.trials_claim {
            None => self.trials.clone(),
            // What is no id of a trial reaches nothing.
            // In an order of their own: that of the claim, or a trial named twice, makes no other role.
            Some(claim) => {
                let ids: BTreeSet<_> = listed(claims.get(claim)).filter_map(|id| id.parse().ok()).collect();
                Some(ids.into_iter().collect())
            }
        };
        Some(Mapped {
            role: role(&self.role).ok()?,
            organisation: name("organisation", organisation).ok()?,
            trials,
        })
    }
}

/// The texts of a claim: one, parted by blanks, or a list.
fn listed(claim: Option<&Value>) -> impl Iterator<Item = &str> {
    let list = claim.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let text = claim.and_then(Value::as_str).into_iter().flat_map(str::split_whitespace);
    list.chain(text)
}

/// Whether claims have all these values: each is that value, or a list with it.
pub(crate) fn have_all(claims: &Claims, wanted: &Map<String, Value>) -> bool {
    wanted.iter().all(|(name, value)| {
        claims.get(name).is_some_and(|claim| {
            claim == value || claim.as_array().is_some_and(|values| values.contains(value))
        })
    })
}

/// Whether an address may be asked: over TLS, or on this machine.
pub(crate) fn is_safe(url: &str) -> bool {
    if url.bytes().any(|b| b.is_ascii_control() || b == b' ' || b == b'#' || b == b'@') {
        return false;
    }
    let host = |rest: &str| rest.split(['/', '?']).next().unwrap_or_default().to_owned();
    match url.split_once("://") {
        Some(("https", rest)) => !host(rest).is_empty(),
        Some(("http", rest)) => {
            let host = host(rest);
            let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
            matches!(name, "localhost" | "127.0.0.1" | "[::1]")
        }
        _ => false,
    }
}
