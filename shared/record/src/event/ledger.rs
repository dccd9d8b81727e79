//! Events of the ledger's own administration, in the trial `_ledger`.

use crate::actor::Role;
use crate::ids::{ParticipantId, TrialId};
use crate::text::{Name, Sha256Hex, Text};
use crate::values::{AccessMeans, CommandPolicy, KeyPurpose, PermissionPolicy, value};

value! {
    /// A key began to be used.
    pub struct KeyRegistered {
        /// Key id, as it stands in the verifier key.
        pub key_id: Name,
        /// What it is for.
        pub purpose: KeyPurpose,
        /// The verifier key.
        pub verifier_key: Text,
    }

    /// A key is no longer used.
    pub struct KeyRevoked {
        /// Key id of the key.
        pub key_id: Name,
        /// Why.
        pub reason: Text,
    }

    /// Who may do what is from now on this, all of it. Recorded by a service that decides by another policy than the one before it.
    pub struct PolicyChanged {
        /// What opens the doors of the service.
        pub permissions: Vec<PermissionPolicy>,
        /// Which commands may be given.
        pub commands: Vec<CommandPolicy>,
    }

    /// Somebody, or a system, was given a role. Its stream is the grant's.
    pub struct RoleGranted {
        /// Opaque stable id of who holds it, as it stands in the headers of what they record.
        pub actor: Text,
        /// The role.
        pub role: Role,
        /// The organisation they act for.
        pub organisation: Text,
        /// The system they send from, where it is a system's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub source_system: Option<Text>,
        /// The trials it reaches; none named reaches all of the ledger.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub trials: Option<Vec<TrialId>>,
        /// The participant who holds it, for that role.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub participant: Option<ParticipantId>,
        /// How its holder shows who they are.
        pub means: AccessMeans,
        /// When it ends by itself, in UTC.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub expires: Option<Text>,
    }

    /// A role was taken back. Its stream is the grant's.
    pub struct RoleRevoked {
        /// Why.
        pub reason: Text,
    }

    /// A link was made by which the holder of an account chooses another password. In the stream of the account's grant.
    pub struct AccountInvited {
        /// Until when it can be used, in UTC.
        pub expires: Text,
    }

    /// A password was chosen by such a link, or by the first one. In the stream of the account's grant. Whoever acts with the
    /// account from then on is whoever had the link.
    pub struct PasswordChosen {
        /// Whether the account had another one before.
        pub replaces: bool,
    }

    /// A passkey was added, by which the holder of an account logs in. In the stream of the account's grant.
    pub struct PasskeyRegistered {
        /// SHA-256 of its id.
        pub passkey: Sha256Hex,
        /// Whether that was by a link, with which everything ends that the account was logged in to by before.
        pub by_link: bool,
    }

    /// A passkey of an account was removed. In the stream of the account's grant.
    pub struct PasskeyRemoved {
        /// SHA-256 of its id.
        pub passkey: Sha256Hex,
    }

    /// Attempts to log in failed. Attempts of some time are told together, so that nobody can fill the record with them.
    pub struct LoginFailed {
        /// When the first of them was, in UTC.
        pub from: Text,
        /// When the last of them was, in UTC.
        pub until: Text,
        /// How many.
        pub attempts: u64,
        /// How many of them named no account or passkey there is, or came from a provider whose answer was not taken. Names are not
        /// kept: people type passwords there.
        pub unknown: u64,
        /// How many were refused unseen, as there had been too many before.
        pub locked_out: u64,
        /// The accounts that were tried, or the first of them.
        pub accounts: Vec<FailedAccount>,
    }

    /// How often an account was tried in vain.
    pub struct FailedAccount {
        /// The actor.
        pub actor: Text,
        /// How often.
        pub attempts: u64,
    }
}
