//! What an authority is asked.

use der::Encode;
use der::asn1::{AnyRef, OctetStringRef, UintRef};
use trialseal_seal::hash::Hash;
use x509_cert::spki::AlgorithmIdentifierRef;

use crate::algorithms::SHA_256;
use crate::authorities::Authorities;
use crate::refused::{Refused, Result};
use crate::structures::{MessageImprint, TimeStampReq};
use crate::token::{Stated, Token, without_zeros};

/// A request: version 1, a SHA-256 imprint, a nonce, and the authority's certificates with the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    imprint: Hash,
    nonce: [u8; 8],
}

impl Request {
    /// Asks about the bytes with this SHA-256. The nonce is random, and another one each time.
    pub fn new(imprint: Hash, nonce: [u8; 8]) -> Self {
        Self { imprint, nonce }
    }

    /// The bytes to send as `application/timestamp-query`: a `TimeStampReq` in DER.
    ///
    /// # Errors
    /// None that can occur with members of these sizes; what the encoder could say otherwise.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let encoded = || {
            TimeStampReq {
                version: 1,
                imprint: MessageImprint {
                    algorithm: AlgorithmIdentifierRef { oid: SHA_256, parameters: Some(AnyRef::NULL) },
                    hash: OctetStringRef::new(self.imprint.as_bytes())?,
                },
                nonce: UintRef::new(&self.nonce)?,
                cert_req: true,
            }
            .to_der()
        };
        encoded().map_err(|_| Refused::Malformed("the request"))
    }

    /// Checks an answer as [`Token::verify`] does, and that it answers this very request.
    ///
    /// # Errors
    /// [`Refused::OtherNonce`] where it answers another, else those of [`Token`].
    pub fn verify(&self, reply: &[u8], authorities: &Authorities) -> Result<Stated> {
        let stated = Token::parse(reply)?.verify(self.imprint, authorities)?;
        if stated.nonce == without_zeros(&self.nonce) { Ok(stated) } else { Err(Refused::OtherNonce) }
    }
}
