use trialseal_record::{Actor, ParticipantId, Role, StreamId, TrialId};

use crate::permission::Permission;

/// Who asks: what a valid token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Opaque stable id, as it goes into event headers.
    pub actor: String,
    /// The role in which it acts.
    pub role: Role,
    /// The organisation it acts for.
    pub organisation: String,
    /// The system it sends from, where the token belongs to one.
    pub source_system: Option<String>,
    /// The trials it reaches; `None` for all of the ledger.
    pub trials: Option<Vec<TrialId>>,
    /// The participant who asks, in that role; they are of the one trial that it reaches.
    pub participant: Option<ParticipantId>,
}

impl Principal {
    /// Whether the token's scope takes in `trial`. For one that it does not, answer as if the trial were not there.
    pub fn reaches(&self, trial: &TrialId) -> bool {
        self.trials.as_ref().is_none_or(|trials| trials.contains(trial))
    }

    /// The one who acts, as the record names them.
    pub fn as_actor(&self) -> Actor {
        Actor { id: self.actor.clone(), role: self.role, organisation: self.organisation.clone() }
    }

    /// Whether data of this participant may be read: everybody's by the role, or their own.
    pub fn may_read(&self, participant: ParticipantId) -> bool {
        self.may(Permission::ReadParticipantData)
            || self.may(Permission::ReadOwnRecord) && self.participant == Some(participant)
    }

    /// Whether the events of a stream may be seen. Participants see those about themselves: already the headers of others tell
    /// who else takes part, and when something happened to them.
    pub fn may_see(&self, stream: StreamId) -> bool {
        let of_others = self.role != Role::Participant;
        self.may(Permission::ReadRecord)
            && (of_others || self.participant.is_some_and(|own| stream.is_of(own)))
    }

    /// Whether the role has a permission.
    pub fn may(&self, permission: Permission) -> bool {
        permission.is_of(self.role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(trials: Option<&[&str]>) -> Principal {
        Principal {
            actor: "person-1".to_owned(),
            role: Role::Monitor,
            organisation: "CRO".to_owned(),
            source_system: None,
            trials: trials.map(|ids| ids.iter().map(|id| id.parse().unwrap()).collect()),
            participant: None,
        }
    }

    #[test]
    fn a_token_reaches_its_trials_and_no_other() {
        let (one, two): (TrialId, TrialId) = ("DEMO-1".parse().unwrap(), "DEMO-2".parse().unwrap());
        assert!(principal(None).reaches(&one) && principal(None).reaches(&TrialId::ledger()));
        assert!(principal(Some(&["DEMO-1"])).reaches(&one));
        assert!(!principal(Some(&["DEMO-1"])).reaches(&two));
        assert!(!principal(Some(&["DEMO-1"])).reaches(&TrialId::ledger()));
        assert!(!principal(Some(&[])).reaches(&one));
    }

    #[test]
    fn participants_see_what_is_about_themselves() {
        let [own, other]: [ParticipantId; 2] =
            ["0190aaaa-0000-7000-8000-000000000001", "0190aaaa-0000-7000-8000-000000000002"]
                .map(|id| id.parse().unwrap());
        let trial: TrialId = "DEMO-1".parse().unwrap();
        let bound =
            Principal { role: Role::Participant, participant: Some(own), ..principal(Some(&["DEMO-1"])) };
        assert!(bound.may_read(own) && !bound.may_read(other));
        for stream in
            [StreamId::participant, StreamId::access_to, StreamId::erasure_of, StreamId::redactions_of]
        {
            assert!(bound.may_see(stream(own)) && !bound.may_see(stream(other)));
        }
        for stream in [StreamId::trial(&trial), StreamId::access_to_trial(&trial)] {
            assert!(!bound.may_see(stream) && principal(None).may_see(stream));
        }
        // Whoever is bound to nobody reads of nobody.
        let unbound = Principal { participant: None, ..bound };
        assert!(!unbound.may_read(own) && !unbound.may_see(StreamId::participant(own)));
        assert!(principal(None).may_read(own) && principal(None).may_see(StreamId::participant(own)));
    }

    #[test]
    fn it_may_what_its_role_may() {
        assert!(principal(None).may(Permission::ExportAll));
        assert!(!principal(None).may(Permission::Submit));
    }
}
