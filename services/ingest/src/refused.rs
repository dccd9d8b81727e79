//! What was refused for want of consent is itself recorded: an attempt to act without one is for the participant to see, and for
//! those who oversee the trial.

use trialseal_record::event::CommandRefused;
use trialseal_record::ids::{ParticipantId, Scope, StreamId};
use trialseal_runtime::problem::Problem;
use trialseal_store::Append;
use trialseal_store::draft::Draft;

use crate::Ingest;
use crate::prepare::{prepare, stamp};
use crate::refusal;
use crate::submit::Submission;

/// The rules that stand against what no consent covers.
const WANT_OF_CONSENT: [&str; 2] = ["consent.in-force", "consent.before-procedure"];

impl Ingest {
    /// Records a refusal, if it is one for want of consent. The command stays refused whatever becomes of this.
    pub(crate) async fn record_refusal(&self, submission: &Submission, problem: &Problem) {
        let rule = problem.rule.as_deref().filter(|rule| WANT_OF_CONSENT.contains(rule));
        let (Some(rule), Some(participant)) = (rule, submission.command.participant()) else { return };
        let recorded = match self.refusal(submission, participant, rule).await {
            Ok(append) => self.writer.append(append).await.map_err(|error| refusal::of_append(&error)),
            Err(problem) => Err(problem),
        };
        if let Err(problem) = recorded {
            let why = problem.detail.as_str();
            tracing::error!(trial = %submission.trial, rule, why, "a refusal for want of consent was not recorded");
        }
    }

    /// A command that is sent again and refused again is one refusal.
    async fn refusal(
        &self,
        submission: &Submission,
        participant: ParticipantId,
        rule: &str,
    ) -> Result<Append, Problem> {
        let (trial, stream) = (&submission.trial, StreamId::access_to(participant));
        let name = |text: &str| text.parse().map_err(|error| Problem::internal(&error));
        let event = CommandRefused { command: name(submission.command.name())?, rule: name(rule)? }.into();
        let key = self.vault.key_of(&Scope::of(trial, stream)).await;
        let draft = Draft { stream, event, key: key.map_err(|error| refusal::of_vault(&error))? };
        let stamp = stamp(&submission.principal, &submission.request_id);
        let events = prepare(&[draft], &stamp, self.ids.as_ref(), self.clock.now());
        Ok(Append {
            command: self.vault.digest(&[b"refused", &submission.id, rule.as_bytes()]),
            digest: [0; 32],
            trial: trial.clone(),
            new_trial: false,
            expected: Vec::new(),
            natural_keys: Vec::new(),
            events: events.map_err(|error| refusal::of_prepare(&error))?,
        })
    }
}
