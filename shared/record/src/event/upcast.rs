//! How data in an older schema version is read as the next one. What is stored stays as it is.

use serde_json::{Value, json};

/// The data of schema version `version` of `kind` as version `version + 1`. Data that does not have the shape of its
/// version is passed on, for the reader to refuse.
pub(super) fn to_next(kind: &str, version: u32, data: Value) -> Value {
    match (kind, version) {
        ("consent.signed", 1) => with_member(data, "sharing", json!({"research": false})),
        _ => data,
    }
}

/// What nobody was asked is not agreed to: a member that a later version added gets its most careful value.
fn with_member(mut data: Value, name: &str, value: Value) -> Value {
    if let Some(object) = data.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
    data
}
