//! What a passkey answered: held against the statement that its holder is to have agreed to.

use trialseal_record::command::{RegisterSigningKey, SignRecord};
use trialseal_record::ids::{ParticipantId, StreamId};
use trialseal_record::signature::Answered;
use trialseal_record::values::{Passkey, PasskeyAnswer};
use trialseal_record::{Command, TrialState};
use trialseal_runtime::problem::Problem;
use trialseal_seal::Refused;
use trialseal_seal::assertion::Answer;
use trialseal_seal::signature::{Registering, Signing};
use trialseal_store::record_digest;

use crate::submit::Submission;
use crate::{Ingest, refusal};

impl Ingest {
    /// What is found about the answer of a passkey, where the command has one. Whether the passkey may be used is for the
    /// record's rules to say.
    pub(crate) async fn answered(
        &self,
        submission: &Submission,
        trial: &TrialState,
    ) -> Result<Option<Answered>, Problem> {
        match &submission.command {
            Command::RegisterSigningKey(body) => self.answered_by_new(submission, body).map(Some),
            Command::SignRecord(participant, body) => {
                self.answered_to_record(submission, *participant, body, trial).await
            }
            _ => Ok(None),
        }
    }

    fn answered_by_new(
        &self,
        submission: &Submission,
        body: &RegisterSigningKey,
    ) -> Result<Answered, Problem> {
        let passkey = serde_json::to_value(&body.passkey).map_err(|error| Problem::internal(&error))?;
        let statement = Registering {
            ledger: self.events.origin(),
            trial: submission.trial.as_str(),
            signer: &submission.principal.actor,
            name: body.name.as_str(),
            passkey: &passkey,
            accepts: body.accepts.as_str(),
            at: body.at,
        };
        let checked = check(&body.passkey, &body.answer, &statement.statement());
        Ok(Answered { refused: checked.err().map(|refused| refused.to_string()), digest: None })
    }

    /// Nothing where no such passkey is in use, which the rules refuse.
    async fn answered_to_record(
        &self,
        submission: &Submission,
        participant: ParticipantId,
        body: &SignRecord,
        trial: &TrialState,
    ) -> Result<Option<Answered>, Problem> {
        let Some(key) = trial.signing_key(&body.credential) else { return Ok(None) };
        let stream = StreamId::participant(participant);
        let digest = record_digest(self.events.as_ref(), &submission.trial, &stream, body.version).await;
        let Some(digest) = digest.map_err(|error| refusal::of_store(&error))? else { return Ok(None) };
        let statement = Signing {
            ledger: self.events.origin(),
            trial: submission.trial.as_str(),
            record: &stream.to_string(),
            version: body.version,
            digest,
            signer: &submission.principal.actor,
            name: key.name.as_str(),
            meaning: body.meaning.as_str(),
            credential: body.credential.as_str(),
            at: body.at,
        };
        let checked = check(&key.passkey, &body.answer, &statement.statement());
        let digest = digest.to_string().parse().map_err(|error| Problem::internal(&error))?;
        Ok(Some(Answered { refused: checked.err().map(|refused| refused.to_string()), digest: Some(digest) }))
    }
}

fn check(passkey: &Passkey, answer: &PasskeyAnswer, statement: &[u8]) -> Result<(), Refused> {
    let answer = Answer {
        relying_party: passkey.relying_party.as_str(),
        x: passkey.key.x.as_str(),
        y: passkey.key.y.as_str(),
        authenticator_data: answer.authenticator_data.as_str(),
        client_data: answer.client_data.as_str(),
        signature: answer.signature.as_str(),
    };
    answer.verify(statement)
}
