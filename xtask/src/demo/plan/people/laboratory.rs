//! The file that the central laboratory sends: one test of a stored sample of everybody who was enrolled.

use super::super::{TRIAL, date};
use super::{Fate, People, Person, decimal};
use crate::dataset_json::{Column, Dataset, text};
use crate::rng::Rng;

const COLUMNS: &[Column] = &[
    ("STUDYID", "Study Identifier", "string"),
    ("DOMAIN", "Domain Abbreviation", "string"),
    ("USUBJID", "Unique Subject Identifier", "string"),
    ("LBSEQ", "Sequence Number", "integer"),
    ("LBTESTCD", "Lab Test or Examination Short Name", "string"),
    ("LBTEST", "Lab Test or Examination Name", "string"),
    ("LBORRES", "Result or Finding in Original Units", "string"),
    ("LBORRESU", "Original Units", "string"),
    ("LBSTRESN", "Numeric Result/Finding in Standard Units", "double"),
    ("LBDTC", "Date/Time of Specimen Collection", "string"),
];

impl People {
    /// The file. The one who withdrew is in it with a sample taken later: the service takes the row, and marks it.
    pub(in crate::demo::plan) fn laboratory_file(&self, rng: &mut Rng) -> String {
        let enrolled = self.0.iter().filter(|person| person.fate.visits() > 0);
        let rows: Vec<Vec<String>> = enrolled.map(|person| row(person, rng)).collect();
        let dataset = Dataset {
            study: TRIAL,
            name: "LB",
            label: "Laboratory Test Results",
            columns: COLUMNS,
            records: rows.len() as u64,
        };
        dataset.to_text(rows)
    }
}

fn row(person: &Person, rng: &mut Rng) -> Vec<String> {
    let last = person.last_day();
    let taken = if person.fate == Fate::Withdraws { last + 30 } else { last };
    let result = decimal(rng.between(1350, 1450));
    vec![
        text(TRIAL),
        text("LB"),
        text(&person.number),
        "1".to_owned(),
        text("SODIUM"),
        text("Sodium"),
        text(&result),
        text("mmol/L"),
        result,
        text(&date(taken)),
    ]
}
