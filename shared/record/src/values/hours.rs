//! Hours of an emergency.

use serde::{Deserialize, Serialize};

/// For how many hours a record is opened in an emergency: 1 to 72, so over a weekend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Hours(u32);

impl TryFrom<u32> for Hours {
    type Error = &'static str;

    fn try_from(hours: u32) -> Result<Self, Self::Error> {
        if (1..=72).contains(&hours) { Ok(Self(hours)) } else { Err("hours are 1 to 72") }
    }
}

impl From<Hours> for u32 {
    fn from(hours: Hours) -> Self {
        hours.0
    }
}
