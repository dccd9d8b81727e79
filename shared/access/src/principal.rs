use trialseal_record::{Actor, Role, TrialId};

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
    fn it_may_what_its_role_may() {
        assert!(principal(None).may(Permission::ExportAll));
        assert!(!principal(None).may(Permission::Submit));
    }
}
