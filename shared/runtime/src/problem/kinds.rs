//! The one table of problem kinds.

use serde::{Deserialize, Serialize};

/// What all problem types begin with.
const PREFIX: &str = "urn:trialseal:problem:";

/// Writes [`ProblemKind`], the list of all kinds and the table from one entry a kind.
macro_rules! problem_kinds {
    ($($kind:ident $status:literal $name:literal $title:literal $remedy:literal;)+) => {
        /// The kinds of problem that the API answers with, each something that a caller does differently.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub enum ProblemKind {
            $(#[doc = concat!($title, " (", stringify!($status), "). ", $remedy)] $kind,)+
        }

        impl ProblemKind {
            /// All kinds, in the table's order.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The last part of the kind's `type` address.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),+ }
            }

            /// The HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$kind => $status),+ }
            }

            /// What kind of problem it is, in a few words; the same for each occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title),+ }
            }

            /// What the caller can do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$kind => $remedy),+ }
            }
        }
    };
}

problem_kinds! {
    Malformed 400 "malformed" "The request cannot be read"
        "Correct the request; sent again as it is, it fails again.";
    IdempotencyKeyMissing 400 "idempotency-key-missing" "The Idempotency-Key header is missing"
        "Send an Idempotency-Key of your own, and the same one again when you repeat the request.";
    Unauthenticated 401 "unauthenticated" "Who you are is not known"
        "Send a valid token as `Authorization: Bearer …`.";
    Forbidden 403 "forbidden" "Your role does not allow this"
        "Ask somebody whose role allows it, or have your role changed.";
    RuleForbidden 403 "rule-forbidden" "A rule of the trial does not let you do this"
        "The rule named in `rule` says who may.";
    LogSignature 403 "log-signature" "The log did not sign this as it has to"
        "Send the checkpoint as the log signed it, with a key that the witness was told of.";
    NotFound 404 "not-found" "There is no such thing, or you cannot see it"
        "Check the address, and that your token reaches the trial.";
    MethodNotAllowed 405 "method-not-allowed" "This address does not take this method"
        "Read the API description for the methods that it takes.";
    Conflict 409 "conflict" "This Idempotency-Key was used for something else"
        "Use a new key for new content; repeat a request with exactly the content that it had.";
    VersionConflict 409 "version-conflict" "Somebody else was faster"
        "Read the newest state, decide anew, and send the command with a new Idempotency-Key.";
    RuleRefused 409 "rule-refused" "A rule of the trial refuses this now"
        "The rule named in `rule` says what has to come first.";
    NotYetSealed 409 "not-yet-sealed" "The event is recorded and not yet sealed"
        "Ask again after the seconds in `Retry-After`.";
    OtherRoot 409 "other-root" "Another tree of this size was cosigned"
        "Find out why the log signed two trees of one size; asking again does not help.";
    PayloadTooLarge 413 "payload-too-large" "The request body is too large"
        "Send less at once.";
    UnsupportedMediaType 415 "unsupported-media-type" "This route does not take this kind of content"
        "Set the Content-Type that the API description names.";
    Invalid 422 "invalid" "The content is not valid"
        "Correct what `detail` and `errors` name.";
    TooManyRequests 429 "too-many-requests" "You ask more often than you may"
        "Ask again after the seconds in `Retry-After`.";
    Damaged 500 "damaged" "A stored record is damaged"
        "Tell the operator at once, and keep what `detail` names.";
    Internal 500 "internal" "Something went wrong on our side"
        "Try again; tell the operator the request id if it stays.";
    Busy 503 "busy" "There is more to do than can be done at the moment"
        "Ask again after the seconds in `Retry-After`; nothing was recorded.";
    Unavailable 503 "unavailable" "The service cannot answer at the moment"
        "Try again later, with the same Idempotency-Key.";
}

impl ProblemKind {
    /// The kind's `type` address (RFC 9457 section 3.1.1).
    pub fn uri(self) -> String {
        format!("{PREFIX}{}", self.name())
    }

    /// The kind that says most nearly what a bare HTTP status says.
    pub fn for_status(status: u16) -> Self {
        match status {
            401 => Self::Unauthenticated,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            409 => Self::VersionConflict,
            413 => Self::PayloadTooLarge,
            415 => Self::UnsupportedMediaType,
            422 => Self::Invalid,
            429 => Self::TooManyRequests,
            503 => Self::Unavailable,
            400..500 => Self::Malformed,
            _ => Self::Internal,
        }
    }
}

impl From<ProblemKind> for String {
    fn from(kind: ProblemKind) -> Self {
        kind.uri()
    }
}

impl TryFrom<String> for ProblemKind {
    type Error = UnknownProblem;

    fn try_from(uri: String) -> Result<Self, UnknownProblem> {
        let name = uri.strip_prefix(PREFIX);
        Self::ALL.iter().copied().find(|kind| name == Some(kind.name())).ok_or(UnknownProblem)
    }
}

/// A `type` address that this table does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a problem type of trialseal")]
pub struct UnknownProblem;
