//! `GET /v1/trials/{trial}/participants/{participant}/signatures`

use std::sync::Arc;

use actix_web::get;
use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use trialseal_access::http::Reader;
use trialseal_record::ids::{StreamId, TrialId};
use trialseal_record::values::{Meaning, Reading};
use trialseal_record::{Base64Url, Event, Name, Sha3Hex};
use trialseal_runtime::problem::Problem;
use trialseal_seal::event::Header;
use trialseal_seal::hash::Hash;
use trialseal_seal::signature::{FORMAT, RecordDigest};
use trialseal_store::EventRow;
use trialseal_store::access_log::Whose;
use utoipa::ToSchema;

use crate::Query;
use crate::problems::store;

/// Events of a record that are read at once.
const PAGE: u32 = 500;

/// The signatures on a participant's record, and what the next one is to be over.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignatureList {
    pub(crate) statement: SigningStatement,
    pub(crate) signatures: Vec<Signature>,
    /// Present where the participant's data were erased: the signatures went with them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) erased: Option<bool>,
}

/// What you would sign, but for what you add: `name`, `meaning`, `credential`, `at`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SigningStatement {
    pub(crate) format: &'static str,
    /// The ledger's origin.
    pub(crate) ledger: String,
    /// The trial.
    pub(crate) trial: String,
    /// The record: the name of its stream.
    pub(crate) record: String,
    /// How many events it has.
    pub(crate) version: u64,
    /// The digest over their leaves.
    #[schema(value_type = String)]
    pub(crate) digest: Hash,
    /// You, as the record names you.
    pub(crate) signer: String,
}

/// A signature on a version of a record.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Signature {
    /// 0-based place in the trial: names the event for its receipt.
    pub(crate) trialseq: u32,
    /// The signer's name as it is printed.
    pub(crate) name: Name,
    /// The actor who signed.
    pub(crate) signer: String,
    /// In what role.
    pub(crate) signer_role: String,
    /// What the signature means.
    pub(crate) meaning: Meaning,
    /// When it was recorded.
    #[schema(example = "2026-01-01T12:00:00.000000Z")]
    pub(crate) time: String,
    /// When it was made by the signer's clock, in seconds since 1970 (UTC).
    pub(crate) at: u64,
    /// The id of the passkey.
    pub(crate) credential: Base64Url,
    /// How many events the record had.
    pub(crate) version: u64,
    /// The digest over their leaves.
    pub(crate) digest: Sha3Hex,
    /// What changed the record since, so that the signature is on an older version of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) superseded: Option<RecordChange>,
}

/// What changed a record after it was signed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct RecordChange {
    /// 0-based place in the trial.
    pub(crate) trialseq: u32,
    /// What happened, such as `data.corrected`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// When it was recorded.
    pub(crate) time: String,
}

/// Who has signed a participant's record, which version of it, and whether it is still that; and what the
/// statement of the next signature says.
#[utoipa::path(
    tag = "Record",
    security(("bearer" = [])),
    params(
        ("trial" = String, Path, description = "The trial's id"),
        ("participant" = String, Path, description = "The participant's id"),
    ),
    responses(
        (status = 200, body = SignatureList),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials/{trial}/participants/{participant}/signatures")]
pub(crate) async fn list(
    query: Data<Query>,
    reader: Reader,
    path: Path<(String, String)>,
) -> Result<Json<SignatureList>, Problem> {
    let (trial, id) = path.into_inner();
    query.signatures_for(&reader, &trial, &id).await.map(Json)
}

impl Query {
    /// The signatures on the record of this participant, for somebody who may see them; it is recorded that they did.
    pub(crate) async fn signatures_for(
        self: &Arc<Self>,
        reader: &Reader,
        trial: &str,
        id: &str,
    ) -> Result<SignatureList, Problem> {
        let (trial, _) = self.trial(&reader.principal, trial).await?;
        let participant = self.participant(&reader.principal, &trial, id).await?;
        let stream = StreamId::participant(participant);
        let signatures = self.signatures(&trial, stream, &reader.principal.actor).await?;
        if !signatures.signatures.is_empty() {
            let whose = Whose::Of(vec![participant]);
            self.record_reading(reader, &trial, Reading::Signatures, whose, None).await?;
        }
        Ok(signatures)
    }

    async fn signatures(
        self: &Arc<Self>,
        trial: &TrialId,
        stream: StreamId,
        signer: &str,
    ) -> Result<SignatureList, Problem> {
        let (mut signatures, mut digest) = (Vec::new(), RecordDigest::default());
        let mut erased = false;
        loop {
            let from = digest.version();
            let rows = self.parts.events.of_stream(trial, &stream, from, PAGE).await.map_err(store)?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                digest.push(&row.leaf);
            }
            for (header, event) in self.aside(async move |query| query.signatures_among(rows).await).await? {
                match event {
                    Some(event) => signatures.extend(Signature::of(header, event)),
                    None if header.kind == KIND => erased = true,
                    None => supersede(&mut signatures, &header),
                }
            }
        }
        Ok(SignatureList {
            statement: SigningStatement {
                format: FORMAT,
                ledger: self.parts.events.origin().to_owned(),
                trial: trial.to_string(),
                record: stream.to_string(),
                version: digest.version(),
                digest: digest.digest(),
                signer: signer.to_owned(),
            },
            signatures,
            erased: erased.then_some(true),
        })
    }

    /// The headers of these events, and of signatures the data as well, unless they are gone.
    async fn signatures_among(&self, rows: Vec<EventRow>) -> Result<Vec<(Header, Option<Event>)>, Problem> {
        let mut among = Vec::new();
        for row in rows {
            let header = row.checked_header().map_err(store)?;
            let event = if header.kind == KIND { self.event_of(&row, &header).await? } else { None };
            among.push((header, event));
        }
        Ok(among)
    }
}

/// The type of the event that a signature is.
const KIND: &str = "signature.applied";

/// A signature supersedes none before it.
fn supersede(signatures: &mut [Signature], header: &Header) {
    let change =
        RecordChange { trialseq: header.trialseq, kind: header.kind.clone(), time: header.time.to_string() };
    for signature in signatures.iter_mut().filter(|signature| signature.superseded.is_none()) {
        signature.superseded = Some(change.clone());
    }
}

impl Signature {
    fn of(header: Header, event: Event) -> Option<Self> {
        let Event::SignatureApplied(event) = event else { return None };
        Some(Self {
            trialseq: header.trialseq,
            name: event.name,
            signer: header.actor,
            signer_role: header.actorrole,
            meaning: event.meaning,
            time: header.time.to_string(),
            at: event.at,
            credential: event.credential,
            version: event.version,
            digest: event.digest,
            superseded: None,
        })
    }
}
