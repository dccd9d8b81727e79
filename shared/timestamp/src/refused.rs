//! Why a timestamp was refused.

/// The result of everything in this crate that can refuse.
pub(crate) type Result<T, E = Refused> = std::result::Result<T, E>;

/// Why a timestamp was refused. None repeats what the refused bytes said, but for the authority's status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// More bytes than are read here.
    #[error("it is larger than this program reads")]
    TooLarge,
    /// Not the DER of a response with a timestamp token, or a member of it that cannot be.
    #[error("it is no RFC 3161 response in DER: {0} cannot be read")]
    Malformed(&'static str),
    /// The authority answered, and gave no token.
    #[error("the authority gave no timestamp: PKI status {0}")]
    NotGranted(u8),
    /// Something that a program with more code could check.
    #[error("this program does not know {0} that it uses")]
    Unsupported(&'static str),
    /// The token is of other bytes.
    #[error("it is a timestamp of other bytes")]
    OtherImprint,
    /// The token answers another request.
    #[error("it answers another request")]
    OtherNonce,
    /// None, or several, whose signatures say different things.
    #[error("it does not have exactly one signer")]
    Signers,
    /// The signer's certificate is not there, or is not the one that was signed for.
    #[error("the certificate of its signer is not in it, or not the one that its signature names")]
    Signer,
    /// The signed attributes are not those of this content.
    #[error("its signed attributes are not those of its content")]
    Attributes,
    /// The signature is not the signer's.
    #[error("its signature does not verify")]
    Signature,
    /// The signer's certificate is for something else.
    #[error("the certificate of its signer is not one for timestamps alone (critical extended key usage)")]
    Purpose,
    /// No chain to an authority that is trusted.
    #[error("no chain of certificates that was valid then leads to an authority that you trust: {0}")]
    Chain(String),
    /// What should name the authorities does not.
    #[error("the authorities cannot be read: {0}")]
    Authorities(String),
}

impl Refused {
    /// The broken rule as programs and reports name it; stable.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "timestamp-too-large",
            Self::Malformed(_) => "timestamp-malformed",
            Self::NotGranted(_) => "timestamp-not-granted",
            Self::Unsupported(_) => "timestamp-unsupported",
            Self::OtherImprint => "timestamp-of-other-bytes",
            Self::OtherNonce => "timestamp-of-another-request",
            Self::Signers => "timestamp-signers",
            Self::Signer => "timestamp-signer",
            Self::Attributes => "timestamp-attributes",
            Self::Signature => "timestamp-signature",
            Self::Purpose => "timestamp-purpose",
            Self::Chain(_) => "timestamp-chain",
            Self::Authorities(_) => "authorities-unusable",
        }
    }

    /// Whether this only says where reading ends here: another program could find nothing wrong.
    pub const fn is_own_limit(&self) -> bool {
        matches!(self, Self::TooLarge | Self::Unsupported(_))
    }
}
