//! A webhook, signed as Standard Webhooks has it (standardwebhooks.com, version 1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use trialseal_seal::time::Timestamp;

use super::{Channel, Notice, Untold};
use crate::place::Http;

const SECRET_PREFIX: &str = "whsec_";
/// Shortest and longest secret, bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A webhook.
pub struct Webhook {
    url: String,
    secret: Vec<u8>,
    http: Http,
}

impl Webhook {
    /// A webhook at an address; `secret` is `whsec_` and 24 to 64 bytes in base64. `None` where it is not.
    pub fn new(http: Http, url: &str, secret: &str) -> Option<Self> {
        let secret = STANDARD.decode(secret.trim().strip_prefix(SECRET_PREFIX)?).ok()?;
        let fits = SECRET_BYTES.contains(&secret.len());
        fits.then(|| Self { url: url.to_owned(), secret, http })
    }

    /// The value of `webhook-signature`: `v1,` and the HMAC-SHA256 of id, time and body in base64.
    fn signature(&self, id: &str, seconds: i64, body: &[u8]) -> Result<String, Untold> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.secret);
        let mut mac = mac.map_err(|error| Untold::Unusable(error.to_string()))?;
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body);
        Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

impl Channel for Webhook {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn mark(&self) -> String {
        "webhook".into()
    }

    fn whom(&self) -> String {
        "the webhook".into()
    }

    fn tell(&self, notice: &Notice, now: Timestamp) -> Result<(), Untold> {
        let body = json!({
            "type": notice.kind.name(),
            "timestamp": notice.time.to_string(),
            "data": {
                "ledger": notice.ledger,
                "code": notice.code,
                "record": notice.record,
                "message": notice.message,
                "evidence": notice.evidence,
            },
        });
        let body = body.to_string().into_bytes();
        let seconds = now.seconds();
        let signature = self.signature(&notice.id, seconds, &body)?;
        let seconds = seconds.to_string();
        let headers =
            [("webhook-id", &*notice.id), ("webhook-timestamp", &seconds), ("webhook-signature", &signature)];
        match self.http.post(&self.url, &headers, &body) {
            Ok(200..=299) => Ok(()),
            Ok(status) => Err(Untold::Refused(format!("the answer is HTTP {status}"))),
            Err(error) => Err(Untold::Unusable(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use trialseal_runtime::client::Authorities;

    use super::*;

    fn webhook(secret: &str) -> Option<Webhook> {
        Webhook::new(Http::new(&Authorities::public()), "http://a", secret)
    }

    #[test]
    fn a_signature_is_that_of_the_specification() {
        // The example of the specification's reference libraries.
        let webhook = webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            webhook.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for secret in ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!"] {
            assert!(webhook(secret).is_none(), "{secret}");
        }
    }
}
