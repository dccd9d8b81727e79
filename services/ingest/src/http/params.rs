//! The parameters that the routes share, as the API description names them.

use utoipa::IntoParams;
use uuid::Uuid;

/// Where in the address the trial stands.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes what `Sent` reads")]
pub(super) struct TrialPath {
    /// The trial's id.
    trial: String,
}

/// Where in the address the participant stands.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes what `Sent` reads")]
pub(super) struct ParticipantPath {
    /// The participant's id.
    participant: Uuid,
}

/// The headers of every command.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what `Sent` reads")]
pub(super) struct CommandKey {
    /// Your own name for this command, 1 to 255 visible ASCII characters. Send the same again when you repeat the
    /// request, and you get the same answer.
    #[param(rename = "Idempotency-Key", pattern = "^[!-~]{1,255}$")]
    key: String,
    /// A detached JWS by Ed25519 over the command, where its sender signs. Needed where the trial asks for it.
    #[param(rename = "Submission-Signature")]
    signature: Option<String>,
}

/// The parameter of every command.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `Sent` reads")]
pub(super) struct Wait {
    /// `sealed`: answer once a seal that the log has signed covers the events; `witnessed`: once its witnesses have cosigned
    /// that. After a while the answer's `level` says how far they have come.
    wait: Option<String>,
}
