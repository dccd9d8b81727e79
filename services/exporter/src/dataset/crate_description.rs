//! `ro-crate-metadata.json`: who, when, what and on which terms (RO-Crate 1.1). It says nothing that changes from one
//! export of a seal to the next.

use serde_json::{Value, json};
use trialseal_seal::dataset::RO_CRATE;
use trialseal_seal::proof::HeadProof;

use crate::status::Shown;

/// Describes the dataset of a head, made of `files`.
pub(super) fn describe(proof: &HeadProof, shown: Shown, files: &[String]) -> Value {
    let (head, seal) = (&proof.head, &proof.seal);
    let access = match shown {
        Shown::All => "The data of all events are shown, but for what was erased.",
        Shown::Consented => "Data are shown of participants who agreed to share them with research.",
    };
    let parts: Vec<_> = files.iter().map(|name| json!({ "@id": name })).collect();
    let mut graph = vec![
        json!({
            "@id": RO_CRATE,
            "@type": "CreativeWork",
            "conformsTo": { "@id": "https://w3id.org/ro/crate/1.1" },
            "about": { "@id": "./" },
        }),
        json!({
            "@id": "./",
            "@type": "Dataset",
            "name": format!("Record of trial {}", head.trial),
            "description": format!(
                "The {} events of trial {} in the ledger {}, complete as of its seal {}. {access}",
                head.size, head.trial, seal.ledger, seal.seal
            ),
            "datePublished": seal.time,
            "publisher": { "@id": "#ledger" },
            "license": { "@id": "#terms" },
            "conditionsOfAccess": access,
            "hasPart": parts,
        }),
        json!({ "@id": "#ledger", "@type": "Organization", "name": seal.ledger }),
        json!({
            "@id": "#terms",
            "@type": "CreativeWork",
            "name": "Terms of use",
            "description": "No licence comes with this file: the consents and the agreement under which it was given rule.",
        }),
    ];
    graph.extend(
        files.iter().map(|name| json!({ "@id": name, "@type": "File", "encodingFormat": media_type(name) })),
    );
    json!({ "@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph })
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("json") => "application/json",
        Some("ndjson") => "application/x-ndjson",
        _ => "text/plain",
    }
}
