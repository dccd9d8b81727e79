//! Bearer tokens: what may be granted, and to whom.

use serde::Deserialize;
use trialseal_access::Token;
use trialseal_record::{ParticipantId, Role, TrialId};
use trialseal_runtime::ids::Ids;
use trialseal_store::{Known, TokenRow};

/// Longest name of an actor, an organisation or a system, in characters: they stand in the header of every event that
/// comes of it.
const MAX_NAME: usize = 200;

/// Who a new token is for.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewToken {
    /// Opaque stable id of the person or system; it stands in the header of everything they record.
    pub actor: String,
    /// sponsor, investigator, site-staff, irb, monitor, inspector, auditor, unblinded, researcher, participant or admin.
    pub role: String,
    /// The organisation they act for.
    pub organisation: String,
    /// The system they send from, for tokens of systems.
    pub source_system: Option<String>,
    /// The trials it reaches; left out, all of them.
    #[schema(value_type = Option<Vec<String>>)]
    pub trials: Option<Vec<String>>,
    /// The participant who holds it, by id: for the role participant, which reaches one trial, and for no other.
    pub participant: Option<String>,
    /// Days after which it ends by itself; left out, it ends when it is revoked.
    pub expires_in_days: Option<u32>,
}

/// What cannot be granted, named by its member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGrant {
    /// A text that could not stand in a header.
    #[error("{0} takes 1 to 200 characters, not all of them spaces and none a control character")]
    Name(&'static str),
    /// An unknown role, or the service's own.
    #[error(
        "role is one of sponsor, investigator, site-staff, irb, monitor, inspector, auditor, unblinded, \
         researcher, participant and admin"
    )]
    Role,
    /// No id of a trial.
    #[error("trials holds ids of trials, such as DEMO-1")]
    Trial,
    /// A list without any: it would be no access at all, or all.
    #[error("trials names at least one; left out, it is all of them")]
    NoTrial,
    /// A participant without an id or with more than one trial, or somebody else with one.
    #[error(
        "participant is the id of a participant of the one trial in trials, for the role participant alone"
    )]
    Participant,
    /// A time beyond what is told apart from for ever.
    #[error("expiresInDays is a whole number from 1 to 3650")]
    Expires,
}

impl NewToken {
    /// Makes the token, and the row to be stored, which holds only its hash. `now` in microseconds.
    ///
    /// # Errors
    /// Whatever could not stand in the header of an event: one recorded with it would be damaged from the start.
    pub fn make(self, ids: &dyn Ids, now: i64) -> Result<(Token, TokenRow), InvalidGrant> {
        let role = role(&self.role)?;
        let trials = reached(self.trials)?;
        let participant = participant(role, self.participant, trials.as_deref())?;
        let mut random = [0; 32];
        ids.fill(&mut random);
        let token = Token::generate(&random);
        let mut id = [0; 16];
        ids.fill(&mut id);
        let row = TokenRow {
            hash: token.hash(),
            id: uuid::Builder::from_random_bytes(id).into_uuid(),
            actor: name("actor", self.actor)?,
            role: role.as_str().to_owned(),
            organisation: name("organisation", self.organisation)?,
            source_system: self.source_system.map(|system| name("sourceSystem", system)).transpose()?,
            trials,
            participant,
            expires: self.expires_in_days.map(|days| end_in(days, now)).transpose()?,
            revoked: false,
            known: Known::Not,
        };
        Ok((token, row))
    }
}

/// The role of that name, which a person or a system can have.
pub(crate) fn role(text: &str) -> Result<Role, InvalidGrant> {
    text.parse().ok().filter(|role| *role != Role::System).ok_or(InvalidGrant::Role)
}

/// A name that can stand in a header.
pub(crate) fn name(member: &'static str, name: String) -> Result<String, InvalidGrant> {
    let fits =
        !name.trim().is_empty() && name.chars().count() <= MAX_NAME && !name.chars().any(char::is_control);
    if fits { Ok(name) } else { Err(InvalidGrant::Name(member)) }
}

/// The trials that are named; `None` where nothing is said of them, which reaches all.
pub(crate) fn reached(ids: Option<Vec<String>>) -> Result<Option<Vec<TrialId>>, InvalidGrant> {
    let Some(ids) = ids else { return Ok(None) };
    if ids.is_empty() {
        return Err(InvalidGrant::NoTrial);
    }
    let trials = ids.iter().map(|id| id.parse().map_err(|_| InvalidGrant::Trial));
    trials.collect::<Result<_, _>>().map(Some)
}

/// The participant who is to hold a role, of the one trial that it reaches; none where the role is another.
pub(crate) fn participant(
    role: Role,
    id: Option<String>,
    trials: Option<&[TrialId]>,
) -> Result<Option<ParticipantId>, InvalidGrant> {
    match (role, id, trials) {
        (Role::Participant, Some(id), Some([_])) => {
            id.parse().map(Some).map_err(|_| InvalidGrant::Participant)
        }
        (Role::Participant, ..) | (_, Some(_), _) => Err(InvalidGrant::Participant),
        (_, None, _) => Ok(None),
    }
}

fn end_in(days: u32, now: i64) -> Result<i64, InvalidGrant> {
    const DAY_MICROS: i64 = 86_400_000_000;
    if !(1..=3650).contains(&days) {
        return Err(InvalidGrant::Expires);
    }
    Ok(now + i64::from(days) * DAY_MICROS)
}

#[cfg(test)]
mod tests {
    use trialseal_runtime::ids::SeededIds;

    use super::*;

    fn new(actor: &str, organisation: &str, system: Option<&str>, trials: &[&str]) -> NewToken {
        NewToken {
            actor: actor.to_owned(),
            role: "monitor".to_owned(),
            organisation: organisation.to_owned(),
            source_system: system.map(str::to_owned),
            trials: Some(trials.iter().map(|&trial| trial.to_owned()).collect::<Vec<_>>())
                .filter(|trials| !trials.is_empty()),
            participant: None,
            expires_in_days: None,
        }
    }

    #[test]
    fn a_list_of_no_trials_is_not_taken_for_all_of_them() {
        assert_eq!(reached(None), Ok(None));
        assert_eq!(reached(Some(Vec::new())), Err(InvalidGrant::NoTrial));
    }

    fn make(new: NewToken) -> Result<(Token, TokenRow), InvalidGrant> {
        new.make(&SeededIds::new(1), 1_000)
    }

    #[test]
    fn a_token_is_made_for_whom_it_names() {
        let longest = "ä".repeat(MAX_NAME);
        let (token, row) = make(new("person-17", &longest, Some("edc"), &["ABC-1", "ABC-2"])).unwrap();
        assert_eq!((row.hash, row.actor.as_str(), row.role.as_str()), (token.hash(), "person-17", "monitor"));
        assert_eq!((row.organisation, row.source_system.as_deref()), (longest, Some("edc")));
        assert_eq!(row.trials.unwrap().len(), 2);
        let whole = make(NewToken { expires_in_days: Some(2), ..new("p", "CRO", None, &[]) }).unwrap().1;
        assert_eq!((whole.trials, whole.expires), (None, Some(172_800_001_000)));
    }

    #[test]
    fn a_participant_has_one_trial_and_nobody_else_is_one() {
        let id = "0190aaaa-0000-7000-8000-000000000001";
        let new = |role: &str, participant: Option<&str>, trials: &[&str]| NewToken {
            role: role.to_owned(),
            participant: participant.map(str::to_owned),
            ..new("p", "H", None, trials)
        };
        let row = make(new("participant", Some(id), &["ABC-1"])).unwrap().1;
        assert_eq!(row.participant, Some(id.parse().unwrap()));
        let odd: [(&str, Option<&str>, &[&str]); 5] = [
            ("participant", None, &["ABC-1"]),
            ("participant", Some("101-001"), &["ABC-1"]),
            ("participant", Some(id), &[]),
            ("participant", Some(id), &["ABC-1", "ABC-2"]),
            ("monitor", Some(id), &["ABC-1"]),
        ];
        for (role, participant, trials) in odd {
            let refused = make(new(role, participant, trials)).unwrap_err();
            assert_eq!(refused, InvalidGrant::Participant, "{role} {participant:?} {trials:?}");
        }
    }

    #[test]
    fn what_no_header_can_hold_is_refused_by_its_member() {
        let long = "a".repeat(MAX_NAME + 1);
        for odd in ["", " ", "a\0b", "two\nlines", "\u{85}", &long] {
            assert_eq!(make(new(odd, "CRO", None, &[])).unwrap_err(), InvalidGrant::Name("actor"));
            assert_eq!(make(new("p", odd, None, &[])).unwrap_err(), InvalidGrant::Name("organisation"));
            let system = make(new("p", "CRO", Some(odd), &[]));
            assert_eq!(system.unwrap_err(), InvalidGrant::Name("sourceSystem"));
            assert_eq!(make(new("p", "CRO", None, &["ABC-1", odd])).unwrap_err(), InvalidGrant::Trial);
        }
    }

    #[test]
    fn nobody_acts_as_the_service_and_roles_and_ends_are_bounded() {
        for role in ["system", "", "boss"] {
            let new = NewToken { role: role.to_owned(), ..new("p", "CRO", None, &[]) };
            assert_eq!(make(new).unwrap_err(), InvalidGrant::Role);
        }
        for known in Role::ALL.into_iter().filter(|role| !matches!(role, Role::System | Role::Participant)) {
            let new = NewToken { role: known.to_string(), ..new("p", "CRO", None, &[]) };
            assert_eq!(make(new).unwrap().1.role, known.as_str());
            assert!(InvalidGrant::Role.to_string().contains(known.as_str()), "{known} is not named");
        }
        for days in [0, 3651, u32::MAX] {
            let new = NewToken { expires_in_days: Some(days), ..new("p", "CRO", None, &[]) };
            assert_eq!(make(new).unwrap_err(), InvalidGrant::Expires);
        }
    }
}
