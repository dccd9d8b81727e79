//! Why a witness did not cosign.

use trialseal_seal::Refused;

/// Why a request was not answered with a cosignature; each is another status of C2SP tlog-witness.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// 400: the body is no request, or its old size is larger than the checkpoint's.
    #[error("the request cannot be read: {0}")]
    Malformed(Refused),
    /// 404: the witness does not cosign for this log.
    #[error("this witness does not cosign for the log")]
    UnknownLog,
    /// 403: no trusted key of the log signed the checkpoint, or one signed it wrongly.
    #[error("the checkpoint is not signed as it has to be: {0}")]
    Signature(Refused),
    /// 409 with the size: the old size is not that of the newest cosigned checkpoint.
    #[error("the newest cosigned checkpoint has size {0}")]
    Conflict(u64),
    /// 409: the newest cosigned checkpoint has this very size and another root. The log shows two histories.
    #[error("the newest cosigned checkpoint has this size, {0}, and another root")]
    OtherRoot(u64),
    /// 422: the proof does not show that the log only grew.
    #[error("the consistency proof does not hold: {0}")]
    Inconsistent(Refused),
    /// 503: more requests wait than are taken.
    #[error("too many requests are waiting")]
    Busy,
    /// 503: the clock was put back, or was never set.
    #[error("the witness's clock is wrong")]
    Clock,
    /// 503: the witness is ending, most likely because it could not store what it cosigned.
    #[error("the witness cannot store what it cosigns")]
    Unavailable,
}
