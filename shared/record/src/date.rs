//! When something is said to have happened: a day, or a partial ISO 8601 date as CDISC uses it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Days, NaiveDate, NaiveTime};
use serde::{Deserialize, Serialize, Serializer};

/// A text that is not such a date. It never carries the text, which may be participant data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not {0}")]
pub struct InvalidDate(&'static str);

/// A calendar day, `YYYY-MM-DD`. Used where a rule depends on the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(value_type = String, format = Date, example = "2026-01-15")
)]
#[serde(try_from = "String", into = "String")]
pub struct Date(NaiveDate);

impl Date {
    /// The day (UTC) of a time in microseconds since 1970. A time that no calendar can hold counts as the first day
    /// there is, so that everything claimed is later than it, and refused.
    pub fn of_micros(micros: i64) -> Self {
        Self(DateTime::from_timestamp_micros(micros).map_or(NaiveDate::MIN, |time| time.date_naive()))
    }

    /// The day after; the last day there is has none and stays.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add_days(Days::new(1)).unwrap_or(self.0))
    }

    /// Year, month and day must have their full width.
    fn parse(text: &str) -> Option<Self> {
        let shaped = text.len() == 10
            && text
                .bytes()
                .enumerate()
                .all(|(i, b)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
        let number = |place| text.get(place).and_then(|digits: &str| digits.parse().ok());
        let month_or_day = |place| number(place).and_then(|number| u32::try_from(number).ok());
        shaped.then_some(())?;
        NaiveDate::from_ymd_opt(number(0..4)?, month_or_day(5..7)?, month_or_day(8..10)?).map(Self)
    }
}

impl FromStr for Date {
    type Err = InvalidDate;

    fn from_str(text: &str) -> Result<Self, InvalidDate> {
        Self::parse(text).ok_or(InvalidDate("a date such as 2026-01-15"))
    }
}

impl TryFrom<String> for Date {
    type Error = InvalidDate;

    fn try_from(text: String) -> Result<Self, InvalidDate> {
        text.parse()
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.to_string()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.format("%Y-%m-%d").fmt(f)
    }
}

/// A date as well as it is known: `2026`, `2026-01`, `2026-01-15`, `2026-01-15T09:30` or `2026-01-15T09:30:05`. Kept
/// as received; a missing part is unknown, never filled in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, example = "2026-01"))]
#[serde(try_from = "String")]
pub struct PartialDate(Claimed);

/// The days stand beside the text so that comparing needs no parsing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Claimed {
    text: String,
    earliest: Date,
    latest: Date,
}

impl PartialDate {
    /// The date as received.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The first day it can mean.
    pub fn earliest(&self) -> Date {
        self.0.earliest
    }

    /// The last day it can mean.
    pub fn latest(&self) -> Date {
        self.0.latest
    }

    fn days(text: &str) -> Option<(Date, Date)> {
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        if time.is_some_and(|time| !is_time(time)) {
            return None;
        }
        match (date.len(), time) {
            (4, None) => {
                Some((Date::parse(&format!("{date}-01-01"))?, Date::parse(&format!("{date}-12-31"))?))
            }
            (7, None) => {
                let first = Date::parse(&format!("{date}-01"))?;
                let last = (28..=31).rev().find_map(|day| Date::parse(&format!("{date}-{day}")))?;
                Some((first, last))
            }
            (10, _) => Date::parse(date).map(|day| (day, day)),
            _ => None,
        }
    }
}

/// `hh:mm` or `hh:mm:ss`. No leap seconds: nothing people write down about a participant has one.
fn is_time(text: &str) -> bool {
    let digits = text
        .bytes()
        .enumerate()
        .all(|(i, b)| if matches!(i, 2 | 5) { b == b':' } else { b.is_ascii_digit() });
    let format = match text.len() {
        5 => "%H:%M",
        8 if !text.ends_with("60") => "%H:%M:%S",
        _ => return false,
    };
    digits && NaiveTime::parse_from_str(text, format).is_ok()
}

impl TryFrom<String> for PartialDate {
    type Error = InvalidDate;

    fn try_from(text: String) -> Result<Self, InvalidDate> {
        let invalid = InvalidDate("a date such as 2026, 2026-01, 2026-01-15 or 2026-01-15T09:30");
        let (earliest, latest) = Self::days(&text).ok_or(invalid)?;
        Ok(Self(Claimed { text, earliest, latest }))
    }
}

impl FromStr for PartialDate {
    type Err = InvalidDate;

    fn from_str(text: &str) -> Result<Self, InvalidDate> {
        text.to_owned().try_into()
    }
}

impl Serialize for PartialDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.text)
    }
}

impl From<PartialDate> for String {
    fn from(date: PartialDate) -> Self {
        date.0.text
    }
}

impl From<Date> for PartialDate {
    fn from(date: Date) -> Self {
        Self(Claimed { text: date.to_string(), earliest: date, latest: date })
    }
}

impl fmt::Display for PartialDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(text: &str) -> (String, String) {
        let date: PartialDate = text.parse().unwrap();
        assert_eq!(date.to_string(), text, "kept as received");
        (date.earliest().to_string(), date.latest().to_string())
    }

    #[test]
    fn a_partial_date_spans_the_days_it_can_mean() {
        assert_eq!(days("2024"), ("2024-01-01".into(), "2024-12-31".into()));
        assert_eq!(days("2024-02"), ("2024-02-01".into(), "2024-02-29".into()));
        assert_eq!(days("2025-02"), ("2025-02-01".into(), "2025-02-28".into()));
        assert_eq!(days("2024-02-29T11:45"), ("2024-02-29".into(), "2024-02-29".into()));
        assert_eq!(days("2024-02-29T11:45:59"), ("2024-02-29".into(), "2024-02-29".into()));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        let bad = [
            "",
            "24",
            "2024-1",
            "2024-13",
            "2024-02-30",
            "2024-2-03",
            "2024-02-29T",
            "2024-02-29T24:00",
            "2024-02-29T1:00",
            "2024-02-29T11:45:60",
            "2024-02-29T11:45Z",
            "2024T11:45",
            "2024-02-29 11:45",
            "+2024",
            "٢٠٢٤",
        ];
        for text in bad {
            assert!(text.parse::<PartialDate>().is_err(), "{text}");
        }
        for text in ["2024", "2024-2-03", "2024-02-30", "2024-02-03T10:00"] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_day_of_a_time_is_that_of_utc() {
        assert_eq!(Date::of_micros(1_767_225_599_999_999).to_string(), "2025-12-31");
        assert_eq!(Date::of_micros(1_767_225_600_000_000).to_string(), "2026-01-01");
        assert_eq!(Date::of_micros(1_767_225_600_000_000).next().to_string(), "2026-01-02");
        assert_eq!(Date::of_micros(-1).to_string(), "1969-12-31");
    }
}
