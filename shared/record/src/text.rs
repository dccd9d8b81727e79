//! Short texts with a shape: names, free text, hashes and version numbers. Each is checked once, when it is made, and
//! kept as received.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

/// Longest [`Name`], in bytes: room for every identifier CDISC has, and short enough to be indexed.
pub const MAX_NAME_BYTES: usize = 200;

/// Longest [`Text`], in bytes: a reason, a title or a summary, not a document.
pub const MAX_TEXT_BYTES: usize = 8 * 1024;

/// A text without the shape it should have. It never carries the text, which may be participant data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this should be {0}")]
pub struct InvalidText(&'static str);

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $is_valid:path, $should_be:literal, $example:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, example = $example))]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text, as received.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidText;

            fn try_from(text: String) -> Result<Self, InvalidText> {
                if $is_valid(&text) { Ok(Self(text)) } else { Err(InvalidText($should_be)) }
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, InvalidText> {
                text.to_owned().try_into()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_type!(
    /// An identifier people gave: a subject number, a site number, an OID, a version label. Up to
    /// [`MAX_NAME_BYTES`], on one line, with no blank at either end.
    Name,
    is_name,
    "a name of 1 to 200 bytes on one line, without blanks at its ends",
    "1.0"
);
text_type!(
    /// Free text that says something: up to [`MAX_TEXT_BYTES`] and not blank.
    Text,
    is_text,
    "a text of 1 to 8192 bytes that is not blank",
    "Transcription error"
);
text_type!(
    /// The SHA-256 of a document, in 64 lower-case hex digits.
    Sha256Hex,
    is_sha256_hex,
    "64 lower-case hex digits",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
);

text_type!(
    /// The `x` of an Ed25519 public key as a JSON Web Key (RFC 8037): its 32 bytes in base64url without padding. Whether they are
    /// a key, only who verifies with it can tell.
    Ed25519X,
    is_ed25519_x,
    "32 bytes in base64url without padding",
    "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
);

text_type!(
    /// Bytes in base64url without padding (RFC 4648, section 5), at most some 4 kB of them: a key's coordinate, the id of a passkey, a
    /// part of what it answers.
    Base64Url,
    is_base64_url,
    "at most 4096 bytes in base64url without padding",
    "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
);
text_type!(
    /// A SHA3-256, in 64 lower-case hex digits.
    Sha3Hex,
    is_sha256_hex,
    "64 lower-case hex digits",
    "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"
);

/// What [`Base64Url`] may have of digits: for 4096 bytes.
const MAX_BASE64_DIGITS: usize = 4096 * 4 / 3;

fn is_base64_url(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    // Four digits are three bytes, so one over is none.
    (1..=MAX_BASE64_DIGITS).contains(&text.len()) && text.len() % 4 != 1 && text.bytes().all(allowed)
}

fn is_ed25519_x(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    // Of the last digit's six bits the lower two are not used, and are zero.
    text.len() == 43 && text.bytes().all(allowed) && text.ends_with(|last| "AEIMQUYcgkosw048".contains(last))
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len()) && text.trim() == text && !text.chars().any(char::is_control)
}

fn is_text(text: &str) -> bool {
    text.len() <= MAX_TEXT_BYTES && !text.trim().is_empty() && !text.contains('\0')
}

fn is_sha256_hex(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A version number that can be put in order: one to four decimal numbers of up to six digits with dots between them
/// and without leading zeros, such as `2.1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, example = "2.1"))]
#[serde(try_from = "String")]
pub struct Version(String);

impl Version {
    const SHOULD_BE: &str = "one to four numbers with dots between them, such as 2.1";

    /// The version, as received.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_valid(text: &str) -> bool {
        let is_number = |part: &str| {
            (1..=6).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_digit())
                && (part == "0" || !part.starts_with('0'))
        };
        text.split('.').count() <= 4 && text.split('.').all(is_number)
    }

    /// Without leading zeros the longer number is the larger one, and digits decide between numbers of one length.
    fn numbers(&self) -> impl Iterator<Item = (usize, &str)> {
        self.0.split('.').map(|part| (part.len(), part))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers().cmp(other.numbers())
    }
}

impl TryFrom<String> for Version {
    type Error = InvalidText;

    fn try_from(text: String) -> Result<Self, InvalidText> {
        if Self::is_valid(&text) { Ok(Self(text)) } else { Err(InvalidText(Self::SHOULD_BE)) }
    }
}

impl FromStr for Version {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        text.to_owned().try_into()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_on_one_line_without_blanks_at_the_ends() {
        for good in ["1.0", "01-701-1015", "Visit 2", "é"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", " a", "a ", "a\nb", "a\0", &"a".repeat(201)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn text_says_something() {
        assert!("two\nlines ".parse::<Text>().is_ok());
        for bad in ["", " \n\t", "a\0b", &"a".repeat(8193)] {
            assert!(bad.parse::<Text>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn hashes_are_lower_case_hex() {
        assert!("0a".repeat(32).parse::<Sha256Hex>().is_ok());
        for bad in ["0A".repeat(32), "0a".repeat(31), "0g".repeat(32)] {
            assert!(bad.parse::<Sha256Hex>().is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        let sorted = ["0.9", "1", "1.0", "1.9", "1.10", "2.0", "10.0"];
        let versions: Vec<Version> = sorted.iter().map(|v| v.parse().unwrap()).collect();
        assert!(versions.is_sorted());
        for bad in ["", ".", "1.", "v1", "01", "1.2.3.4.5", "1234567", "-1"] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_does_not_repeat_the_text() {
        let error = "Jane Doe\n".parse::<Name>().unwrap_err();
        assert!(!error.to_string().contains("Jane"));
    }
}
