//! Problem details (RFC 9457): the one form in which the HTTP API says that something did not work.

mod kinds;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub use kinds::{ProblemKind, UnknownProblem};

/// The media type of a [`Problem`].
pub const CONTENT: &str = "application/problem+json";

/// What went wrong, for the caller's eyes: no internals, no tokens, and no participant data beyond what the caller
/// just sent. One pointer wide, so that a `Result` with it costs little where all is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Problem(Box<Members>);

/// The members of a problem (RFC 9457 section 3), and ours beside them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct Members {
    /// The address of the kind of problem: `urn:trialseal:problem:<name>`.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "urn:trialseal:problem:rule-refused")]
    pub kind: ProblemKind,
    /// The kind of problem in a few words.
    #[schema(value_type = String)]
    pub title: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time.
    pub detail: String,
    /// What the caller can do about it.
    pub hint: Cow<'static, str>,
    /// The id of the rule that refused, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Each part of the content that is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemPart>,
    /// After how many seconds asking again makes sense; equally in the `Retry-After` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

/// One wrong part of a request's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemPart {
    /// Where: a JSON pointer (RFC 6901) into the body, or the name of a parameter.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

impl Problem {
    /// A problem of one kind; `detail` says what went wrong this time, in one sentence.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self(Box::new(Members {
            kind,
            title: Cow::Borrowed(kind.title()),
            status: kind.status(),
            detail: detail.into(),
            hint: Cow::Borrowed(kind.remedy()),
            rule: None,
            errors: Vec::new(),
            retry_after_seconds: None,
        }))
    }

    /// An [`ProblemKind::Internal`] problem: `cause` goes to the log and not to the caller. It must not hold
    /// participant data.
    pub fn internal(cause: &dyn fmt::Display) -> Self {
        tracing::error!(error = %cause, "a request failed for a reason of ours");
        Self::new(
            ProblemKind::Internal,
            "The request failed for a reason that the operator finds in the log.",
        )
    }

    /// Names the rule that refused.
    #[must_use]
    pub fn with_rule(mut self, rule: impl Into<String>) -> Self {
        self.rule = Some(rule.into());
        self
    }

    /// Says better than the kind's own remedy what the caller can do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Adds one wrong part of the content.
    #[must_use]
    pub fn with_error(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(ProblemPart { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// Adds wrong parts of the content.
    #[must_use]
    pub fn with_errors(mut self, errors: impl IntoIterator<Item = ProblemPart>) -> Self {
        self.errors.extend(errors);
        self
    }

    /// Says after how many seconds to ask again.
    #[must_use]
    pub fn with_retry_after_seconds(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }
}

impl Deref for Problem {
    type Target = Members;

    fn deref(&self) -> &Members {
        &self.0
    }
}

impl DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut Members {
        &mut self.0
    }
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        Members::schema()
    }
}

impl ToSchema for Problem {
    fn name() -> Cow<'static, str> {
        Members::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Members::schemas(schemas);
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((CONTENT_TYPE, CONTENT));
        if let Some(seconds) = self.retry_after_seconds {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if self.kind == ProblemKind::Unauthenticated {
            response.insert_header((actix_web::http::header::WWW_AUTHENTICATE, "Bearer"));
        }
        response.json(&*self.0)
    }
}
