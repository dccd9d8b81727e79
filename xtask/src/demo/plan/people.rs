//! The people of the trial: who they are, what is measured, and what becomes of them.

mod course;
mod laboratory;

use super::{Chain, PARTICIPANTS};
use crate::rng::Rng;

/// A site.
pub(super) struct Site {
    pub(super) number: &'static str,
    pub(super) name: &'static str,
    pub(super) investigator: &'static str,
    pub(super) country: &'static str,
    language: &'static str,
}

/// The sites, in the order in which they open.
pub(super) const SITES: [Site; 3] = [
    Site { number: "101", name: "Clinic North", investigator: "Dr A. North", country: "IE", language: "en" },
    Site { number: "102", name: "Klinik Mitte", investigator: "Dr. B. Mitte", country: "DE", language: "de" },
    Site { number: "103", name: "Clinic South", investigator: "Dr C. South", country: "NZ", language: "en" },
];

/// The visits: name, and days since the first of them.
const VISITS: [(&str, u64); 5] =
    [("Baseline", 0), ("Week 2", 14), ("Week 4", 28), ("Week 8", 56), ("Week 12", 84)];

/// What becomes of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Clearly not eligible when screened; never asked to consent.
    FailsAtOnce,
    /// Consents, and is found not eligible by the laboratory.
    FailsLater,
    /// Withdraws consent after the third visit.
    Withdraws,
    /// Leaves after the fourth visit, for a reason of their own.
    Discontinues,
    Completes,
}

impl Fate {
    fn visits(self) -> usize {
        match self {
            Self::FailsAtOnce | Self::FailsLater => 0,
            Self::Withdraws => 3,
            Self::Discontinues => 4,
            Self::Completes => VISITS.len(),
        }
    }
}

/// What is measured at a visit, in units that make each of them a whole number.
#[derive(Debug, Clone, Copy)]
struct Measured {
    systolic: u32,
    diastolic: u32,
    pulse: u32,
    weight_hectograms: u32,
    glucose_tenths: u32,
    potassium_tenths: u32,
    creatinine: u32,
}

/// A participant.
struct Person {
    /// Subject number, unique in the trial.
    number: String,
    site: &'static Site,
    fate: Fate,
    /// Day of screening.
    screened: u64,
    shares_for_research: bool,
    /// One entry a visit.
    measured: Vec<Measured>,
    /// Visits at which the weight was first written down wrongly.
    mistakes: Vec<usize>,
    complaints: Vec<Complaint>,
}

/// An adverse event.
#[derive(Debug, Clone, Copy)]
struct Complaint {
    term: &'static str,
    /// Days after the first visit.
    after: u64,
    lasts: u64,
    is_serious: bool,
}

/// All of them.
pub(super) struct People(Vec<Person>);

impl People {
    pub(super) fn generate(rng: &mut Rng) -> Self {
        let mut fates =
            [vec![Fate::FailsAtOnce; 4], vec![Fate::FailsLater; 4], vec![Fate::Discontinues; 4]].concat();
        fates.push(Fate::Withdraws);
        fates.resize(PARTICIPANTS as usize, Fate::Completes);
        rng.shuffle(&mut fates);
        let mut people: Vec<Person> =
            (0_u32..).zip(fates).map(|(index, fate)| Person::generate(rng, index, fate)).collect();
        // The one serious event of the trial.
        if let Some(person) = people.iter_mut().find(|person| person.fate == Fate::Completes) {
            person.complaints =
                vec![Complaint { term: "Syncope with fall", after: 33, lasts: 4, is_serious: true }];
        }
        Self(people)
    }

    /// What is sent about each person.
    pub(super) fn chains(&self) -> Vec<Chain> {
        self.0.iter().map(Person::course).collect()
    }

    /// How many went through to the end.
    pub(super) fn completers(&self) -> usize {
        self.completing().count()
    }

    /// The primary outcome, in mmHg with one decimal.
    pub(super) fn mean_change_of_systolic_pressure(&self) -> String {
        let changes: Vec<i64> = self
            .completing()
            .filter_map(|person| {
                let (first, last) = (person.measured.first()?, person.measured.last()?);
                Some(i64::from(last.systolic) - i64::from(first.systolic))
            })
            .collect();
        let count = i64::try_from(changes.len()).unwrap_or(1).max(1);
        let tenths = changes.iter().sum::<i64>() * 10 / count;
        let sign = if tenths < 0 { "-" } else { "" };
        format!("{sign}{}", decimal(u32::try_from(tenths.abs()).unwrap_or(0)))
    }

    fn completing(&self) -> impl Iterator<Item = &Person> {
        self.0.iter().filter(|person| person.fate == Fate::Completes)
    }
}

impl Person {
    fn generate(rng: &mut Rng, index: u32, fate: Fate) -> Self {
        let site = match index % 3 {
            0 => &SITES[0],
            1 => &SITES[1],
            _ => &SITES[2],
        };
        let measured = Measured::series(rng, fate.visits());
        let mistakes = (0..measured.len()).filter(|_| rng.one_in(16)).collect();
        Self {
            number: format!("{}-{:03}", site.number, index / 3 + 1),
            site,
            fate,
            screened: u64::from(30 + index * 3 + rng.between(0, 2)),
            shares_for_research: !rng.one_in(6),
            measured,
            mistakes,
            complaints: Complaint::some(rng, fate),
        }
    }

    /// Day of a visit; people come up to two days late.
    fn visit_day(&self, visit: usize) -> u64 {
        let planned = VISITS.get(visit).map_or(0, |(_, days)| *days);
        let late =
            if visit == 0 { 0 } else { self.measured.get(visit).map_or(0, |at| u64::from(at.pulse % 3)) };
        self.screened + 7 + planned + late
    }

    /// Day of the last visit.
    fn last_day(&self) -> u64 {
        self.visit_day(self.measured.len().saturating_sub(1))
    }
}

impl Measured {
    /// One measurement a visit: a pressure that falls slowly, and the rest about the same.
    fn series(rng: &mut Rng, visits: usize) -> Vec<Self> {
        let (systolic, diastolic) = (rng.between(142, 162), rng.between(86, 99));
        let (weight, potassium) = (rng.between(580, 1080), rng.between(38, 47));
        let at_visit = |visit: u32| Self {
            systolic: systolic - visit * 2 - rng.between(0, 5) + rng.between(0, 3),
            diastolic: diastolic - visit - rng.between(0, 4),
            pulse: rng.between(58, 92),
            weight_hectograms: weight - visit * 4 + rng.between(0, 9),
            glucose_tenths: rng.between(44, 66),
            potassium_tenths: potassium + rng.between(0, 4),
            creatinine: rng.between(58, 104),
        };
        (0_u32..).take(visits).map(at_visit).collect()
    }
}

impl Complaint {
    fn some(rng: &mut Rng, fate: Fate) -> Vec<Self> {
        if fate.visits() == 0 || !rng.one_in(3) {
            return Vec::new();
        }
        let term = rng.pick(["Headache", "Muscle pain", "Dizziness", "Common cold"]);
        let after = u64::from(rng.between(2, 26));
        vec![Self { term, after, lasts: u64::from(rng.between(1, 9)), is_serious: false }]
    }
}

/// Tenths as a decimal.
fn decimal(tenths: u32) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}
