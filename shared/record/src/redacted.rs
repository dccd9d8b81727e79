//! Which values can be redacted, and what stands in their place.

use crate::event::Event;
use crate::values::ImportedValue;

/// What is read where a redacted text stood. That it was redacted and nobody wrote these words, `record.redacted` tells.
pub const REDACTED: &str = "[redacted]";

/// Where in the data of an event a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ValuePlace {
    /// The item at this place of a record.
    Item(usize),
    /// The value before a correction.
    Old,
    /// The value after a correction.
    New,
    /// A column of an imported row.
    Column(String),
}

impl ValuePlace {
    /// The place that a JSON Pointer leads to, in an event that has values there; whether this one does, [`is_value`] tells.
    pub(crate) fn of(pointer: &str) -> Option<Self> {
        match pointer {
            "/old" => Some(Self::Old),
            "/new" => Some(Self::New),
            _ => {
                let below = pointer.strip_prefix("/record/")?;
                match below.split_once('/') {
                    Some(("items", item)) => item.strip_suffix("/value").and_then(index).map(Self::Item),
                    Some(_) => None,
                    None => Some(Self::Column(below.replace("~1", "/").replace("~0", "~"))),
                }
            }
        }
    }
}

/// A place in a list, as JSON Pointers spell it.
fn index(text: &str) -> Option<usize> {
    text.parse().ok().filter(|index: &usize| index.to_string() == text)
}

/// Whether a recorded, corrected or imported value stands at this JSON Pointer of the event's data.
pub fn is_value(event: &Event, pointer: &str) -> bool {
    match (event, ValuePlace::of(pointer)) {
        (Event::DataRecorded(event), Some(ValuePlace::Item(item))) => item < event.record.items.len(),
        (Event::DataCorrected(_), Some(ValuePlace::Old | ValuePlace::New)) => true,
        (Event::DataImported(event), Some(ValuePlace::Column(column))) => {
            event.record.get(&column).is_some_and(|value| *value != ImportedValue::Null)
        }
        _ => false,
    }
}

/// The JSON Pointers that are hidden in a signed submission when a value is redacted in what came of it: it repeats the value,
/// and its signature would tell a right guess from a wrong one.
pub const HIDDEN_IN_SUBMISSION: [&str; 2] = ["/body", "/signature"];
