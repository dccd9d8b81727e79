//! What every command has in common as a request: who sends it, under which key, and its body.

use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::error::JsonPayloadError;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::web::{self, Bytes, Data};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse};
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use trialseal_access::{Permission, Principal};
use trialseal_record::Command;
use trialseal_record::command::RegisterTrial;
use trialseal_record::ids::{ParticipantId, TrialId};
use trialseal_runtime::http::json_problem;
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_runtime::request_log::RequestId;
use trialseal_seal::canonical;
use trialseal_seal::hash::sha3_256;
use trialseal_seal::submission::SubmissionSignature;

use crate::Ingest;
use crate::answer::Level;
use crate::refusal;
use crate::signed;
use crate::submit::{Submission, Submitted};

/// The header under which a caller names a command.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The header of an answer that was given before.
pub(super) const REPLAYED: &str = "idempotent-replayed";

/// Longest idempotency key, bytes: room for any UUID or hash in any spelling.
const MAX_KEY_BYTES: usize = 255;

/// A command as it was sent.
#[derive(Debug)]
pub(super) struct Sent {
    /// Who sends it.
    pub(super) principal: Principal,
    /// The caller's name for it.
    pub(super) key: Option<String>,
    /// What the caller wants to wait for.
    pub(super) wait: Level,
    /// The request's id, for `correlationid`.
    pub(super) request_id: String,
    /// The signature that it came with.
    signature: Option<SubmissionSignature>,
    trial: Option<String>,
    participant: Option<String>,
    body: Bytes,
}

/// `?wait=sealed` or `?wait=witnessed`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WaitQuery {
    wait: Option<Level>,
}

/// A body in the form it was meant for, and in its canonical form, which tells equal content from other.
#[derive(Debug)]
struct Body<T> {
    value: T,
    canonical: Vec<u8>,
}

impl Sent {
    /// Carries out the command that the body asks for.
    pub(super) async fn submit<T: DeserializeOwned>(
        self,
        ingest: &Ingest,
        route: &'static str,
        command: impl FnOnce(T) -> Command,
    ) -> Result<HttpResponse, Problem> {
        let trial = parsed(self.trial.as_deref(), "There is no such trial.")?;
        Ingest::admit(&self.principal, &trial, Permission::Submit)?;
        let key = self.key.clone().ok_or_else(key_missing)?;
        let Body { value, canonical } = self.body()?;
        self.carry_out(ingest, route, trial, &key, command(value), &canonical).await
    }

    /// The same for a command that is taken from somebody whose grant does not reach the trial. To them, a trial that refuses is as if
    /// it were not there.
    pub(super) async fn submit_from_outside<T: DeserializeOwned>(
        self,
        ingest: &Ingest,
        route: &'static str,
        command: impl FnOnce(T) -> Command,
    ) -> Result<HttpResponse, Problem> {
        let trial: TrialId = parsed(self.trial.as_deref(), "There is no such trial.")?;
        if self.principal.reaches(&trial) || trial.is_ledger() {
            return self.submit(ingest, route, command).await;
        }
        Ingest::require(&self.principal, Permission::Submit)?;
        let key = self.key.clone().ok_or_else(key_missing)?;
        let Body { value, canonical } = self.body()?;
        let answer = self.carry_out(ingest, route, trial, &key, command(value), &canonical).await;
        answer.map_err(|problem| if problem.rule.is_some() { refusal::no_such_trial() } else { problem })
    }

    /// Registers a trial: the one command without a trial in its address.
    pub(super) async fn register(self, ingest: &Ingest) -> Result<HttpResponse, Problem> {
        let Body { value, canonical } = self.body::<RegisterTrial>()?;
        let trial = value.id.clone();
        Ingest::admit(&self.principal, &trial, Permission::Submit)?;
        // Where the caller gives no key, the id stands for one; no caller's key holds a line end.
        let key = self.key.clone().unwrap_or_else(|| "\nregister".to_owned());
        self.carry_out(ingest, "trials", trial, &key, Command::RegisterTrial(value), &canonical).await
    }

    async fn carry_out(
        self,
        ingest: &Ingest,
        route: &'static str,
        trial: TrialId,
        key: &str,
        command: Command,
        canonical: &[u8],
    ) -> Result<HttpResponse, Problem> {
        let participant = self.participant.unwrap_or_default();
        let content = [
            route.as_bytes(),
            b"\n",
            trial.as_str().as_bytes(),
            b"\n",
            participant.as_bytes(),
            b"\n",
            canonical,
        ];
        let signed = match &self.signature {
            Some(signature) => {
                let path = command.path(&trial).ok_or_else(signed::not_signed)?;
                let body = serde_json::from_slice(canonical).map_err(|error| Problem::internal(&error))?;
                Some(signed::check(signature, ingest.events.origin(), &path, key, body)?)
            }
            None => None,
        };
        let submission = Submission {
            signed,
            id: ingest.command_id(&self.principal, &trial, key),
            // No line end stands in any part but the last.
            content: sha3_256(&content),
            principal: self.principal,
            trial,
            request_id: self.request_id,
            command,
            wait: self.wait,
        };
        let submitted = ingest.submit(submission).await;
        metrics::counter!("trialseal_ingest_commands_total", "route" => route, "outcome" => outcome(&submitted))
            .increment(1);
        let Submitted { recorded, replayed } = submitted?;
        let mut answer = HttpResponse::Created();
        if replayed {
            answer.insert_header((REPLAYED, "true"));
        }
        Ok(answer.json(recorded))
    }

    /// The participant in the address.
    pub(super) fn participant(&self) -> Result<ParticipantId, Problem> {
        parsed(self.participant.as_deref(), "There is no such participant.")
    }

    /// Reads the body strictly: keys that stand twice, numbers that are no plain integers and members that do not
    /// belong there are refused (section 2 of the format specification), for none of them could be recorded.
    fn body<T: DeserializeOwned>(&self) -> Result<Body<T>, Problem> {
        let value =
            canonical::parse(&self.body, canonical::MAX_DEPTH).map_err(|refused| unreadable(&refused))?;
        let canonical = canonical::to_vec(&value);
        // Read again where it does not fit, for the line and column of it.
        let typed = serde_json::from_value(value).or_else(|_| serde_json::from_slice(&self.body));
        let value = typed.map_err(|error| json_problem(&JsonPayloadError::Deserialize(error)))?;
        Ok(Body { value, canonical })
    }
}

impl FromRequest for Sent {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = web::Payload::from_request(&request, payload);
        Box::pin(async move {
            let head = Head::of(&request).await?;
            require_json(request.headers())?;
            let ingest = request
                .app_data::<Data<Ingest>>()
                .ok_or_else(|| Problem::internal(&"no ingest in the app"))?;
            let limit = ingest.limits.body_bytes;
            let payload = payload.await.map_err(|_| interrupted())?;
            let body = payload.to_bytes_limited(limit).await.map_err(|_| {
                Problem::new(ProblemKind::PayloadTooLarge, format!("This route takes at most {limit} bytes."))
            })?;
            let body = body.map_err(|_| interrupted())?;
            let part = |name: &str| request.match_info().get(name).map(str::to_owned);
            let (trial, participant) = (part("trial"), part("participant"));
            let signature = signed::signature(request.headers())?;
            let Head { principal, key, request_id } = head;
            let wait = wait(&request, ingest)?;
            Ok(Self { principal, key, wait, request_id, signature, trial, participant, body })
        })
    }
}

/// What stands in the head of every request that records something.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) principal: Principal,
    pub(super) key: Option<String>,
    pub(super) request_id: String,
}

impl Head {
    pub(super) async fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let principal = Principal::extract(request).await?;
        let id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
        let request_id = id.ok_or_else(|| Problem::internal(&"the request log is not in the app"))?;
        Ok(Self { principal, key: idempotency_key(request.headers())?, request_id })
    }
}

/// The caller's name for the command, which a retry repeats.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    if (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(Some(key.to_owned()));
    }
    let detail = format!("An Idempotency-Key has 1 to {MAX_KEY_BYTES} visible ASCII characters.");
    Err(Problem::new(ProblemKind::Malformed, detail))
}

/// The trial in the address; a text that is no trial id names no trial.
pub(super) fn trial_of(request: &HttpRequest) -> Result<TrialId, Problem> {
    parsed(request.match_info().get("trial"), "There is no such trial.")
}

/// What became of a command, in the label of a metric.
fn outcome(submitted: &Result<Submitted, Problem>) -> &'static str {
    match submitted {
        Ok(Submitted { replayed: true, .. }) => "replayed",
        Ok(_) => "recorded",
        Err(problem) if problem.status < 500 => "refused",
        Err(_) => "failed",
    }
}

/// The problem of a request that needs a key and has none.
pub(super) fn key_missing() -> Problem {
    Problem::new(ProblemKind::IdempotencyKeyMissing, "This command needs an Idempotency-Key.")
}

/// Refuses a body that does not say that it is JSON.
pub(super) fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::UnsupportedMediaType, "This route takes application/json."))
}

fn wait(request: &HttpRequest, ingest: &Ingest) -> Result<Level, Problem> {
    let query = web::Query::<WaitQuery>::from_query(request.query_string()).map_err(|_| {
        let detail = "The only parameter that this route takes is wait, which is sealed or witnessed.";
        Problem::new(ProblemKind::Malformed, detail)
    })?;
    match query.wait.unwrap_or(Level::Recorded) {
        Level::Witnessed if !ingest.limits.witnesses => {
            let detail =
                "This ledger's publication policy asks for no witnesses, so there is none to wait for.";
            Err(Problem::new(ProblemKind::Malformed, detail).with_hint("Wait for the seal: wait=sealed."))
        }
        level => Ok(level),
    }
}

fn parsed<T: FromStr>(text: Option<&str>, otherwise: &str) -> Result<T, Problem> {
    let parsed = text.and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| Problem::new(ProblemKind::NotFound, otherwise))
}

/// Says what about the JSON is refused, and what to do about it.
fn unreadable(refused: &trialseal_seal::Refused) -> Problem {
    use trialseal_seal::Code;
    let detail = format!("The body cannot be taken: {refused}.");
    match refused.code() {
        Code::NotAnInteger => Problem::new(ProblemKind::Invalid, detail).with_hint(
            "Send a number with a fraction or an exponent as a string, with exactly the digits it has.",
        ),
        Code::DuplicateKey => {
            Problem::new(ProblemKind::Malformed, detail).with_hint("Send each member once.")
        }
        _ => Problem::new(ProblemKind::Malformed, detail),
    }
}

fn interrupted() -> Problem {
    Problem::new(ProblemKind::Malformed, "The body did not arrive whole.")
}
