use trialseal_record::Role;
use trialseal_record::event::PolicyChanged;
use trialseal_record::policy;
use trialseal_record::values::PermissionPolicy;

/// A door of the service. What lies behind it is still bounded by the trials that the token reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Event headers, receipts, growth, the overview and seals: nothing about any one participant but random ids.
    ReadRecord,
    /// The data of events: forms, timelines, adverse events.
    ReadParticipantData,
    /// Proofs that there is no trial of a name, which can show another's: for roles that may see which trials there are.
    /// The list of trials is no such thing; it shows to each what their token reaches, whatever the role.
    ReadTrialList,
    /// Datasets, each value shown only where its participant's consent covers it.
    Export,
    /// Datasets with all values.
    ExportAll,
    /// Commands; which ones, and when, is decided by the rules of the trial.
    Submit,
    /// Whole files of events.
    Import,
    /// The service's metrics.
    Metrics,
    /// Giving roles to others, and taking them back.
    ManageAccess,
    /// Who has, or had, access.
    ReadAccess,
    /// What investigators have delegated to whom. It tells nothing of participants.
    ReadDelegations,
    /// What participants are given, which all others are blinded to.
    ReadBlinded,
    /// What is recorded of the participant who holds the role, and who has read it.
    ReadOwnRecord,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 13] = [
        Self::ReadRecord,
        Self::ReadParticipantData,
        Self::ReadTrialList,
        Self::Export,
        Self::ExportAll,
        Self::Submit,
        Self::Import,
        Self::Metrics,
        Self::ManageAccess,
        Self::ReadAccess,
        Self::ReadDelegations,
        Self::ReadBlinded,
        Self::ReadOwnRecord,
    ];

    /// The permission as it stands in the record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadRecord => "read-record",
            Self::ReadParticipantData => "read-participant-data",
            Self::ReadTrialList => "read-trial-list",
            Self::Export => "export",
            Self::ExportAll => "export-all",
            Self::Submit => "submit",
            Self::Import => "import",
            Self::Metrics => "metrics",
            Self::ManageAccess => "manage-access",
            Self::ReadAccess => "read-access",
            Self::ReadDelegations => "read-delegations",
            Self::ReadBlinded => "read-blinded",
            Self::ReadOwnRecord => "read-own-record",
        }
    }

    /// Whether `role` has it, by [`MATRIX`].
    pub fn is_of(self, role: Role) -> bool {
        MATRIX.iter().any(|(permission, roles)| *permission == self && roles.contains(&role))
    }
}

/// The roles that have each permission; all others do not. Which trials it holds for is the token's matter.
///
/// - A sponsor answers for the trial and exports all of it, but neither sees which trials there are out of the token's
///   reach nor runs the service.
/// - An investigator records and reads the participants of the trial.
/// - Site staff do so for the investigator, as far as it is delegated to them, and take no file in or away.
/// - The IRB, monitors and inspectors see everything and export everything; of the trial itself the IRB alone records
///   something, its decisions.
/// - An auditor sees that a record is sound, which trials there are and who had access, and no participant's data.
/// - Who is unblinded sees the data of participants and the arms, records the arms, and takes no file in or away.
/// - A researcher sees that a record is sound, and of its values what participants agreed to share.
/// - A participant reads what is recorded of themselves. Of the record they see what is about nobody, and no events of others.
/// - An administrator runs the service, gives roles to others, and sees no participant's data.
/// - The system itself acts inside the service and comes through no door.
pub const MATRIX: &[(Permission, &[Role])] = {
    use Role::{
        Admin, Auditor, Inspector, Investigator, Irb, Monitor, Participant, Researcher, SiteStaff, Sponsor,
        Unblinded,
    };
    &[
        (
            Permission::ReadRecord,
            &[
                Sponsor,
                Investigator,
                SiteStaff,
                Irb,
                Monitor,
                Inspector,
                Auditor,
                Unblinded,
                Researcher,
                Participant,
                Admin,
            ],
        ),
        (
            Permission::ReadParticipantData,
            &[Sponsor, Investigator, SiteStaff, Irb, Monitor, Inspector, Unblinded],
        ),
        (Permission::ReadTrialList, &[Irb, Monitor, Inspector, Auditor, Admin]),
        (Permission::Export, &[Sponsor, Irb, Monitor, Inspector, Researcher]),
        (Permission::ExportAll, &[Sponsor, Irb, Monitor, Inspector]),
        (Permission::Submit, &[Sponsor, Investigator, SiteStaff, Irb, Unblinded]),
        (Permission::Import, &[Sponsor, Investigator]),
        (Permission::Metrics, &[Admin]),
        (Permission::ManageAccess, &[Admin]),
        (Permission::ReadAccess, &[Irb, Monitor, Inspector, Auditor, Admin]),
        (
            Permission::ReadDelegations,
            &[Sponsor, Investigator, SiteStaff, Irb, Monitor, Inspector, Auditor, Unblinded, Admin],
        ),
        (Permission::ReadBlinded, &[Unblinded]),
        (Permission::ReadOwnRecord, &[Participant]),
    ]
};

/// All that says who may do what, as a ledger records it.
pub fn policy() -> PolicyChanged {
    let permissions = MATRIX.iter().map(|(permission, roles)| PermissionPolicy {
        permission: permission.as_str().to_owned(),
        roles: roles.to_vec(),
    });
    PolicyChanged { permissions: permissions.collect(), commands: policy::commands().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written out a second time, role by role, so that a slip in the table does not pass unseen.
    fn expected(role: Role) -> Vec<Permission> {
        use Permission::{
            Export, ExportAll, Import, ManageAccess, Metrics, ReadAccess, ReadBlinded, ReadDelegations,
            ReadOwnRecord, ReadParticipantData, ReadRecord, ReadTrialList, Submit,
        };
        match role {
            Role::Sponsor => {
                vec![ReadRecord, ReadParticipantData, Export, ExportAll, Submit, Import, ReadDelegations]
            }
            Role::Investigator => vec![ReadRecord, ReadParticipantData, Submit, Import, ReadDelegations],
            Role::SiteStaff => vec![ReadRecord, ReadParticipantData, Submit, ReadDelegations],
            Role::Irb => vec![
                ReadRecord,
                ReadParticipantData,
                ReadTrialList,
                Export,
                ExportAll,
                Submit,
                ReadAccess,
                ReadDelegations,
            ],
            Role::Monitor | Role::Inspector => vec![
                ReadRecord,
                ReadParticipantData,
                ReadTrialList,
                Export,
                ExportAll,
                ReadAccess,
                ReadDelegations,
            ],
            Role::Auditor => vec![ReadRecord, ReadTrialList, ReadAccess, ReadDelegations],
            Role::Unblinded => vec![ReadRecord, ReadParticipantData, Submit, ReadDelegations, ReadBlinded],
            Role::Researcher => vec![ReadRecord, Export],
            Role::Participant => vec![ReadRecord, ReadOwnRecord],
            Role::Admin => {
                vec![ReadRecord, ReadTrialList, Metrics, ManageAccess, ReadAccess, ReadDelegations]
            }
            Role::System => vec![],
        }
    }

    #[test]
    fn every_role_has_its_permissions_and_no_other() {
        for role in Role::ALL {
            let has: Vec<_> =
                Permission::ALL.into_iter().filter(|permission| permission.is_of(role)).collect();
            assert_eq!(has, expected(role), "{role}");
        }
    }

    #[test]
    fn the_matrix_has_one_line_a_permission() {
        let lines: Vec<_> = MATRIX.iter().map(|(permission, _)| *permission).collect();
        assert_eq!(lines, Permission::ALL);
    }

    #[test]
    fn what_a_ledger_records_is_the_matrix() {
        let recorded = policy().permissions;
        let names: std::collections::BTreeSet<_> = recorded.iter().map(|line| &line.permission).collect();
        assert_eq!((names.len(), recorded.len()), (Permission::ALL.len(), Permission::ALL.len()));
        for (line, permission) in recorded.iter().zip(Permission::ALL) {
            assert_eq!(line.permission, permission.as_str());
            assert!(Role::ALL.into_iter().all(|role| permission.is_of(role) == line.roles.contains(&role)));
        }
    }

    #[test]
    fn what_no_role_may_ever_combine() {
        for role in Role::ALL {
            let may = |permission: Permission| permission.is_of(role);
            assert!(!may(Permission::ExportAll) || may(Permission::ReadParticipantData), "{role}");
            assert!(!may(Permission::ExportAll) || may(Permission::Export), "{role}");
            assert!(!may(Permission::Metrics) || !may(Permission::ReadParticipantData), "{role}");
            assert!(!may(Permission::Metrics) || !may(Permission::Submit), "{role}");
            assert!(!may(Permission::ManageAccess) || !may(Permission::ReadParticipantData), "{role}");
            assert!(!may(Permission::ManageAccess) || !may(Permission::Submit), "{role}");
            assert!(!may(Permission::ManageAccess) || !may(Permission::Export), "{role}");
            assert!(!may(Permission::Import) || may(Permission::Submit), "{role}");
            assert!(!may(Permission::ReadBlinded) || !may(Permission::Export), "{role}");
            assert!(!may(Permission::ReadBlinded) || !may(Permission::ManageAccess), "{role}");
        }
    }

    #[test]
    fn whoever_looks_over_others_shoulders_records_nothing() {
        for role in [Role::Monitor, Role::Inspector, Role::Auditor, Role::Participant] {
            for permission in [Permission::Submit, Permission::Import, Permission::ManageAccess] {
                assert!(!permission.is_of(role), "{role} {permission:?}");
            }
        }
    }
}
