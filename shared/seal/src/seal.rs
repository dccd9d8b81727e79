//! The seal: one hash over the whole ledger as of a moment, and an entry of the public log (section 5 of the format).

use serde_json::{Value, json};

use crate::canonical::to_vec;
use crate::hash::{Hash, Sha2, TreeHash};
use crate::members::Members;
use crate::note::check_key_name;
use crate::refused::{At, Code, Result};
use crate::time::Timestamp;

const FORMAT: &str = "trialseal/seal/v1";

/// One seal. Its entry in the public log stands at the index that is its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The ledger's origin.
    pub ledger: String,
    /// Its number, from 0 without gaps.
    pub seal: u64,
    /// When it was made, by the ledger's word.
    pub time: Timestamp,
    /// The events of all trials together.
    pub events: u64,
    /// The trials in the map.
    pub trials: u64,
    /// The root of the trial map.
    pub root: Hash,
    /// SHA-256 of the newest checkpoint note that met the publication policy; [`Hash::ZERO`] while there is none.
    pub prior: Hash,
}

impl Seal {
    /// Reads a seal: exactly its members, and the format's name.
    pub fn parse(value: &Value) -> Result<Self> {
        let names = ["format", "ledger", "seal", "time", "events", "trials", "root", "prior"];
        let members = Members::of(value, &names, &[])?;
        members.exactly("format", FORMAT)?;
        let ledger = members.text("ledger")?;
        check_key_name(ledger)
            .map_err(|refused| refused.renamed(Code::KeyName, Code::MemberType))
            .at("ledger")?;
        Ok(Self {
            ledger: ledger.into(),
            seal: members.number("seal")?,
            time: members.read("time")?,
            events: members.number("events")?,
            trials: members.number("trials")?,
            root: members.read("root")?,
            prior: members.read("prior")?,
        })
    }

    /// The seal as a JSON object.
    pub fn to_value(&self) -> Value {
        json!({
            "format": FORMAT,
            "ledger": self.ledger,
            "seal": self.seal,
            "time": self.time,
            "events": self.events,
            "trials": self.trials,
            "root": self.root,
            "prior": self.prior,
        })
    }

    /// `JCS(seal)`: the entry of the public log.
    pub fn entry(&self) -> Vec<u8> {
        to_vec(&self.to_value())
    }

    /// The entry's leaf hash in the public log, which `afterseal` names.
    pub fn leaf(&self) -> Hash {
        Sha2::leaf(&[&self.entry()])
    }
}
