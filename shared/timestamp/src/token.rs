//! What an authority answered.

use der::Decode;
use der::asn1::OctetStringRef;
use trialseal_seal::hash::Hash;
use trialseal_seal::time::Timestamp;
use x509_cert::ext::Extension;

use crate::algorithms::SHA_256;
use crate::authorities::Authorities;
use crate::certificate::Certified;
use crate::refused::{Refused, Result};
use crate::signer::Signer;
use crate::structures::{
    Accuracy, ContentInfo, SIGNED_DATA, SignedData, TST_INFO, TimeStampResp, TstInfo, elements,
};

/// The largest answer that is read. A token with a chain of certificates has some 6 KB.
pub const MAX_REPLY_BYTES: usize = 64 << 10;

/// PKI statuses with which a token is given: granted, and granted with modifications.
const GRANTED: [u8; 2] = [0, 1];

/// A timestamp token as an authority gave it, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    reply: Vec<u8>,
}

/// What an authority states, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// When the authority saw the hash. A fraction beyond microseconds is cut off.
    pub time: Timestamp,
    /// By how many microseconds the time may be off, both ways, where the authority says.
    pub accuracy: Option<u64>,
    /// The serial number of the token, in lower-case hex.
    pub serial: String,
    /// The authority's policy, as an object identifier with dots.
    pub policy: String,
    /// The subject of the certificate that signed, as RFC 4514 writes names.
    pub authority: String,
    /// The nonce of the request in big-endian bytes without zeros in front; empty where it had none.
    pub nonce: Vec<u8>,
}

impl Token {
    /// Reads a `TimeStampResp`.
    ///
    /// # Errors
    /// [`Refused::NotGranted`] where the authority refused; [`Refused::Malformed`] where it is none.
    pub fn parse(reply: &[u8]) -> Result<Self> {
        if reply.len() > MAX_REPLY_BYTES {
            return Err(Refused::TooLarge);
        }
        signed_data(reply)?;
        Ok(Self { reply: reply.to_vec() })
    }

    /// Checks that one of `authorities` stamped the bytes whose SHA-256 is `imprint`.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn verify(&self, imprint: Hash, authorities: &Authorities) -> Result<Stated> {
        let signed = signed_data(&self.reply)?;
        let content = signed.content.content.as_bytes();
        let info = TstInfo::from_der(content).map_err(|_| Refused::Malformed("the token's content"))?;
        let certificates = Certified::all(&signed)?;
        let signer = Signer::only(&signed)?;
        let certificate = signer.certificate(&certificates)?;
        signer.verify(content, certificate)?;
        let stated = stated(&info, imprint, certificate)?;
        let seconds = u64::try_from(stated.time.seconds()).map_err(|_| Refused::Malformed("its time"))?;
        authorities.vouch_for(certificate, &certificates, seconds)?;
        Ok(stated)
    }
}

/// Takes an answer apart, down to what is signed.
fn signed_data(reply: &[u8]) -> Result<SignedData<'_>> {
    let response = TimeStampResp::from_der(reply).map_err(|_| Refused::Malformed("the response"))?;
    if !GRANTED.contains(&response.status.status) {
        return Err(Refused::NotGranted(response.status.status));
    }
    let ContentInfo { content_type, content } = response.token.ok_or(Refused::Malformed("the token"))?;
    let signed: SignedData<'_> = content.decode_as().map_err(|_| Refused::Malformed("the signed data"))?;
    let right = content_type == SIGNED_DATA && signed.content.content_type == TST_INFO && signed.version == 3;
    if right { Ok(signed) } else { Err(Refused::Malformed("the kind of its content")) }
}

/// What the signed content says, where it is about these bytes.
fn stated(info: &TstInfo<'_>, imprint: Hash, certificate: &Certified<'_>) -> Result<Stated> {
    if info.version != 1 {
        return Err(Refused::Malformed("the version of its content"));
    }
    let (algorithm, hash) = (info.imprint.algorithm.oid, info.imprint.hash);
    if algorithm != SHA_256 || OctetStringRef::as_bytes(hash) != imprint.as_bytes() {
        return Err(Refused::OtherImprint);
    }
    for extension in elements(info.extensions.map_or(&[], |list| list.0)).map_err(|_| EXTENSION)? {
        if Extension::from_der(extension).map_err(|_| EXTENSION)?.critical {
            return Err(Refused::Unsupported("a critical extension"));
        }
    }
    Ok(Stated {
        time: time(info.time.0).ok_or(Refused::Malformed("its time"))?,
        accuracy: info.accuracy.as_ref().map(micros),
        serial: hex(info.serial.as_bytes()),
        policy: info.policy.to_string(),
        authority: certificate.subject(),
        nonce: info.nonce.map_or_else(Vec::new, |nonce| without_zeros(nonce.as_bytes())),
    })
}

const EXTENSION: Refused = Refused::Malformed("an extension");

/// `YYYYMMDDhhmmss[.f…]Z`, in which no zero ends a fraction (RFC 3161, section 2.4.2).
fn time(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let ends = text.contains('.') && fraction.ends_with('0');
    if whole.len() != 14 || fraction.is_empty() || ends || !digits(whole) || !digits(fraction) {
        return None;
    }
    let [year, month, day] = [whole.get(..4)?, whole.get(4..6)?, whole.get(6..8)?];
    let [hour, minute, second] = [whole.get(8..10)?, whole.get(10..12)?, whole.get(12..)?];
    let fraction = fraction.get(..6).unwrap_or(fraction);
    format!("{year}-{month}-{day}T{hour}:{minute}:{second}.{fraction:0<6}Z").parse().ok()
}

/// A number without what only says that it is not negative.
pub(crate) fn without_zeros(number: &[u8]) -> Vec<u8> {
    number.iter().copied().skip_while(|byte| *byte == 0).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn micros(accuracy: &Accuracy) -> u64 {
    let part = |value: Option<u64>| value.unwrap_or_default();
    part(accuracy.seconds.map(u64::from)) * 1_000_000
        + part(accuracy.millis.map(u64::from)) * 1_000
        + part(accuracy.micros.map(u64::from))
}
