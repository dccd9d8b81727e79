//! Who does something, and in what role.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::date::Date;
use crate::signature::Answered;
use crate::submission::Signed;

/// The role in which something is done: the header's `actorrole` (section 4 of the format specification).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Takes responsibility for the trial: registers it, submits its protocol and its results.
    Sponsor,
    /// Conducts the trial at a site and owns what is recorded about its participants.
    Investigator,
    /// Works at a site for the investigator, and records what they delegated.
    SiteStaff,
    /// The institutional review board, or ethics committee.
    Irb,
    /// Checks the trial's conduct and its record; records nothing of the trial itself.
    Monitor,
    /// Inspects the trial for a regulator; records nothing.
    Inspector,
    /// Audits the service: that the record is sound and who had access to it, and nothing of participants. Records nothing.
    Auditor,
    /// Knows who is given what, and so has no other part in the trial: hands out the allocation, or watches over safety.
    Unblinded,
    /// Reads what participants agreed to share.
    Researcher,
    /// Takes part in the trial: reads what is recorded of themselves, and of nobody else.
    Participant,
    /// Runs the service; has no say in any trial.
    Admin,
    /// The service itself.
    System,
}

/// A text that names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such role")]
pub struct UnknownRole;

impl Role {
    /// Every role.
    pub const ALL: [Self; 12] = [
        Self::Sponsor,
        Self::Investigator,
        Self::SiteStaff,
        Self::Irb,
        Self::Monitor,
        Self::Inspector,
        Self::Auditor,
        Self::Unblinded,
        Self::Researcher,
        Self::Participant,
        Self::Admin,
        Self::System,
    ];

    /// The role as headers, tokens and logs spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sponsor => "sponsor",
            Self::Investigator => "investigator",
            Self::SiteStaff => "site-staff",
            Self::Irb => "irb",
            Self::Monitor => "monitor",
            Self::Inspector => "inspector",
            Self::Auditor => "auditor",
            Self::Unblinded => "unblinded",
            Self::Researcher => "researcher",
            Self::Participant => "participant",
            Self::Admin => "admin",
            Self::System => "system",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

/// Who acts. Goes into the header of every event that comes of it, so nothing here may identify a participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Opaque stable id.
    pub id: String,
    /// The role in which this is done.
    pub role: Role,
    /// The organisation the actor acts for.
    pub organisation: String,
}

/// What a decision may know of the world besides the record. All of it is an argument, so that the same command on the
/// same record always decides the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// When the decision is made, in microseconds since 1970 (UTC).
    pub now_micros: i64,
    /// Who asks.
    pub actor: Actor,
    /// The signature of the command, where it came with one.
    pub signed: Option<Signed>,
    /// What was found about the answer of a passkey, where the command has one.
    pub answered: Option<Answered>,
    /// A fresh random id for the one thing the command may create: a site, a participant, an adverse event.
    pub new_id: Uuid,
}

impl Context {
    /// The last day a claimed date may name: tomorrow in UTC, as there is always a place where it is tomorrow already.
    pub fn latest_day(&self) -> Date {
        Date::of_micros(self.now_micros).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_one_spelling_everywhere() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert_eq!("Sponsor".parse::<Role>(), Err(UnknownRole));
    }
}
