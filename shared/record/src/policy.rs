//! Who may do what, as data: by this table it is decided, and a ledger records it, so that an inspector can read what was in force
//! on a day.
//!
//! Who runs the service has no say in a trial, and who conducts a trial none in the keys of the ledger. A sponsor can have data kept, and has no
//! say in whether they are erased. Whoever knows the arms records them and nothing else, so that no other value comes from somebody who
//! knew.

use crate::actor::Role::{self, Admin, Investigator, Irb, SiteStaff, Sponsor, System, Unblinded};
use crate::command::Command;
use crate::values::{CommandPolicy, DelegatedTask};

/// A command, the roles in which it may be given, and what has to be delegated to site staff who give it.
pub(crate) struct Line {
    command: &'static str,
    pub(crate) roles: &'static [Role],
    pub(crate) task: Option<DelegatedTask>,
}

const fn line(command: &'static str, roles: &'static [Role]) -> Line {
    Line { command, roles, task: None }
}

const fn delegable(command: &'static str, task: DelegatedTask) -> Line {
    Line { command, roles: &[Investigator, SiteStaff], task: Some(task) }
}

/// One line a command; what has none nobody may give.
const COMMANDS: &[Line] = &[
    line("register-trial", &[Sponsor]),
    line("submit-protocol-version", &[Sponsor]),
    line("record-irb-decision", &[Irb]),
    line("activate-site", &[Sponsor]),
    line("publish-consent-version", &[Sponsor]),
    line("submit-results", &[Sponsor]),
    delegable("screen-participant", DelegatedTask::Screening),
    // One task, so that withdrawing is as easy as consenting.
    delegable("sign-consent", DelegatedTask::Consent),
    delegable("withdraw-consent", DelegatedTask::Consent),
    delegable("enrol-participant", DelegatedTask::Enrolment),
    line("randomise-participant", &[Unblinded]),
    // Who treats somebody answers for having to know.
    line("unblind-participant", &[Investigator]),
    delegable("record-visit", DelegatedTask::Visits),
    delegable("record-data", DelegatedTask::DataEntry),
    delegable("correct-data", DelegatedTask::DataEntry),
    // To sign for what one has entered belongs to entering it.
    delegable("sign-record", DelegatedTask::DataEntry),
    delegable("report-adverse-event", DelegatedTask::AdverseEvents),
    delegable("record-disposition", DelegatedTask::Disposition),
    line("request-erasure", &[Investigator]),
    line("approve-erasure", &[Irb]),
    line("request-redaction", &[Investigator]),
    line("approve-redaction", &[Irb]),
    // Whoever treats somebody, in whatever trial.
    line("open-emergency-access", &[Investigator, SiteStaff]),
    line("place-legal-hold", &[Sponsor, Irb]),
    line("release-legal-hold", &[Irb]),
    line("grant-delegation", &[Investigator]),
    line("end-delegation", &[Investigator]),
    line("start-import", &[Sponsor, Investigator]),
    line("import-row", &[Sponsor, Investigator]),
    line("complete-import", &[Sponsor, Investigator]),
    line("register-submission-key", &[Sponsor, Investigator, SiteStaff, Irb, Unblinded]),
    line("revoke-submission-key", &[Sponsor, Investigator, SiteStaff, Irb, Unblinded]),
    line("change-submission-signing", &[Sponsor]),
    line("register-signing-key", &[Investigator, SiteStaff]),
    line("revoke-signing-key", &[Investigator, SiteStaff]),
    line("register-key", &[Admin, System]),
    line("revoke-key", &[Admin, System]),
];

/// The line of a command.
pub(crate) fn of(command: &Command) -> Option<&'static Line> {
    COMMANDS.iter().find(|line| line.command == command.name())
}

/// Every command, and who may give it.
pub fn commands() -> impl Iterator<Item = CommandPolicy> {
    COMMANDS.iter().map(|line| CommandPolicy {
        command: line.command.to_owned(),
        roles: line.roles.to_vec(),
        task: line.task,
    })
}
