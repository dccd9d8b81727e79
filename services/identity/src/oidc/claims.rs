//! From a signed token to its claims, or to why it is not taken (RFC 7519, OpenID Connect Core 1.0 section 3.1.3.7, RFC 8725).

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;
use trialseal_access::http::Refused;

use super::config::have_all;
use super::{Claims, NotVouched, Provider};

/// Longest subject, in bytes (OpenID Connect Core 1.0 section 2).
const MAX_SUBJECT_BYTES: usize = 255;

/// What a token is shown as.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Use<'a> {
    /// A bearer token.
    Access,
    /// The answer to a login that was begun with this nonce.
    Login { nonce: &'a str },
}

impl Provider {
    /// The claims of a token, whose signature and claims have been checked.
    pub(crate) async fn claims(&self, jwt: &str, shown: Use<'_>) -> Result<Claims, NotVouched> {
        // An algorithm that is not known, `none` among them, makes the header unreadable.
        let header = decode_header(jwt).map_err(|_| Refused("its header or algorithm is not taken"))?;
        let algorithm = name_of(header.alg).filter(|name| self.config.takes(name));
        let algorithm = algorithm.ok_or(Refused("its header or algorithm is not taken"))?;
        if header.crit.is_some() {
            return Err(Refused("it asks for something that is not known here").into());
        }
        let validation = self.validation(header.alg, shown)?;
        let key = self.keys.key(header.kid.as_deref(), algorithm).await?;
        let key = key.ok_or(Refused("the provider has no such key"))?;
        let key = DecodingKey::from_jwk(&key).map_err(|_| Refused("the provider's key cannot be used"))?;
        let claims = decode::<Claims>(jwt, &key, &validation);
        let claims = claims.map_err(|error| of_error(error.kind()))?.claims;
        self.check_times(&claims)?;
        self.check_parties(&claims, header.typ.as_deref(), shown)?;
        if !have_all(&claims, &self.config.required_claims) {
            return Err(Refused("it lacks a claim that is required").into());
        }
        Ok(claims)
    }

    fn validation(&self, algorithm: Algorithm, shown: Use<'_>) -> Result<Validation, Refused> {
        let audience = match shown {
            Use::Login { .. } => &self.config.client_id,
            Use::Access => {
                self.config.audience.as_ref().ok_or(Refused("tokens of the provider are not taken here"))?
            }
        };
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
        // Its clock is the system's; ours is the service's, which tests set.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(validation)
    }

    fn check_times(&self, claims: &Claims) -> Result<(), Refused> {
        let (now, skew) = (self.clock.now().div_euclid(1_000_000), self.config.skew_seconds());
        let second = |name: &str, value: &Value| {
            whole_seconds(value).ok_or(match name {
                "exp" => Refused("its end is no time"),
                _ => Refused("its beginning is no time"),
            })
        };
        let at = |name: &str| claims.get(name).map(|value| second(name, value)).transpose();
        if at("exp")?.is_none_or(|end| end.saturating_add(skew) <= now) {
            return Err(Refused("it has ended"));
        }
        for begins in ["nbf", "iat"] {
            if at(begins)?.is_some_and(|begin| begin.saturating_sub(skew) > now) {
                return Err(Refused("it does not count yet"));
            }
        }
        Ok(())
    }

    fn check_parties(&self, claims: &Claims, kind: Option<&str>, shown: Use<'_>) -> Result<(), Refused> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let names = |subject: &str| {
            (1..=MAX_SUBJECT_BYTES).contains(&subject.len()) && !subject.chars().any(char::is_control)
        };
        if !text("sub").is_some_and(names) {
            return Err(Refused("it names nobody"));
        }
        match shown {
            Use::Login { nonce } => {
                let several = claims.get("aud").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
                let party = text("azp");
                if party.is_some_and(|party| party != self.config.client_id) || (several && party.is_none()) {
                    return Err(Refused("it was made for another client"));
                }
                if text("nonce") != Some(nonce) {
                    return Err(Refused("it answers another login"));
                }
            }
            Use::Access => {
                // RFC 9068 section 2.1; many providers say JWT, or nothing.
                let kind = kind.map(str::to_ascii_lowercase);
                let kinds = [None, Some("at+jwt"), Some("application/at+jwt"), Some("jwt")];
                if !kinds.contains(&kind.as_deref()) || claims.contains_key("nonce") {
                    return Err(Refused("it is no access token"));
                }
                let party = text("azp").or_else(|| text("client_id")).unwrap_or_default();
                let parties = self.config.authorized_parties.as_ref();
                if parties.is_some_and(|parties| parties.iter().all(|one| one != party)) {
                    return Err(Refused("it was made for another client"));
                }
            }
        }
        Ok(())
    }
}

/// When claims were issued, in seconds; 0, before all others, where they do not say.
pub(super) fn issued(claims: &Claims) -> i64 {
    claims.get("iat").and_then(whole_seconds).unwrap_or_default()
}

/// A `NumericDate` (RFC 7519 section 2), which may have a fraction.
fn whole_seconds(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "a float beyond i64 becomes its end")]
    value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64))
}

fn name_of(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::RS256 => Some("RS256"),
        Algorithm::PS256 => Some("PS256"),
        Algorithm::ES256 => Some("ES256"),
        Algorithm::EdDSA => Some("EdDSA"),
        _ => None,
    }
}

fn of_error(kind: &ErrorKind) -> Refused {
    match kind {
        ErrorKind::InvalidSignature => Refused("its signature is wrong"),
        ErrorKind::InvalidIssuer => Refused("it comes from another issuer"),
        ErrorKind::InvalidAudience => Refused("it was made for another audience"),
        ErrorKind::MissingRequiredClaim(_) => Refused("it lacks one of iss, aud, exp and sub"),
        _ => Refused("it cannot be read"),
    }
}
