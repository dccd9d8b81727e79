//! Results beside what the protocol had said would be reported.

use serde::{Deserialize, Serialize};

use super::ProtocolVersionView;
use crate::text::{Name, Text, Version};
use crate::values::{ProtocolOutcome, ReportedOutcome};

/// Results compared with one version of the protocol. It hides nothing and judges nothing: a change can have its good
/// reason, which the change summaries of the protocol versions give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Comparison {
    /// The protocol version.
    pub version: Version,
    /// What this version was, at the time the results were submitted.
    pub standing: Vec<Standing>,
    /// Each outcome of that version, primary ones first; then what was reported and is not in it.
    pub outcomes: Vec<ComparedOutcome>,
}

/// The versions of a protocol that results are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Standing {
    /// The first one.
    FirstSubmitted,
    /// The newest one when the first participant was enrolled.
    AtFirstEnrolment,
    /// The newest one.
    Newest,
}

/// An outcome as it was specified, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ComparedOutcome {
    /// The outcome's id; absent where results name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Name>,
    /// Primary or secondary; absent for what the version does not specify.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<Rank>,
    /// What is measured: as specified, or as reported where it is new.
    pub measure: Text,
    /// What became of it.
    pub finding: Finding,
    /// In what the report differs, where it is changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// How much weight an outcome has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = OutcomeRank))]
pub enum Rank {
    /// The question the trial is about.
    Primary,
    /// A further question.
    Secondary,
}

/// What became of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = OutcomeFinding))]
pub enum Finding {
    /// It is reported as it was specified.
    Reported,
    /// It is reported, and not as it was specified.
    Changed,
    /// It is not reported.
    Missing,
    /// It is reported and was not specified.
    New,
}

/// In what a report differs from what was specified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = OutcomeChange))]
pub enum Change {
    /// What was measured.
    Measure,
    /// Over what time.
    TimeFrame,
}

/// Compares what is reported with the first protocol version, the one under which enrolment began, and the newest: each
/// version once, however many of the three it is.
pub(super) fn compare(
    versions: &[ProtocolVersionView],
    at_first_enrolment: Option<&Version>,
    reported: &[ReportedOutcome],
) -> Vec<Comparison> {
    let (first, newest) = (versions.first(), versions.last());
    let is = |other: Option<&ProtocolVersionView>, one: &ProtocolVersionView| {
        other.is_some_and(|other| other.trialseq == one.trialseq)
    };
    let comparisons = versions.iter().map(|version| {
        let standing = [
            (Standing::FirstSubmitted, is(first, version)),
            (Standing::AtFirstEnrolment, at_first_enrolment == Some(&version.version)),
            (Standing::Newest, is(newest, version)),
        ];
        let standing = standing.into_iter().filter_map(|(standing, is)| is.then_some(standing)).collect();
        Comparison { version: version.version.clone(), standing, outcomes: outcomes(version, reported) }
    });
    comparisons.filter(|comparison| !comparison.standing.is_empty()).collect()
}

fn outcomes(version: &ProtocolVersionView, reported: &[ReportedOutcome]) -> Vec<ComparedOutcome> {
    let primary = version.outcomes.primary.iter().map(|outcome| (Rank::Primary, outcome));
    let secondary = version.outcomes.secondary.iter().map(|outcome| (Rank::Secondary, outcome));
    let specified: Vec<_> = primary.chain(secondary).collect();
    let is_new = |report: &&ReportedOutcome| {
        specified.iter().all(|(_, outcome)| report.outcome.as_ref() != Some(&outcome.id))
    };
    let new = reported.iter().filter(is_new).map(|report| ComparedOutcome {
        outcome: report.outcome.clone(),
        rank: None,
        measure: report.measure.clone(),
        finding: Finding::New,
        changes: Vec::new(),
    });
    specified.iter().map(|(rank, outcome)| judge(*rank, outcome, reported)).chain(new).collect()
}

/// An outcome may be reported more than once, for several populations: then every report counts.
fn judge(rank: Rank, outcome: &ProtocolOutcome, reported: &[ReportedOutcome]) -> ComparedOutcome {
    let reports = || reported.iter().filter(|report| report.outcome.as_ref() == Some(&outcome.id));
    let differences = [
        (Change::Measure, reports().any(|report| report.measure != outcome.measure)),
        (Change::TimeFrame, reports().any(|report| report.time_frame != outcome.time_frame)),
    ];
    let changes: Vec<_> =
        differences.into_iter().filter_map(|(change, differs)| differs.then_some(change)).collect();
    let finding = match (reports().next(), changes.is_empty()) {
        (None, _) => Finding::Missing,
        (Some(_), true) => Finding::Reported,
        (Some(_), false) => Finding::Changed,
    };
    ComparedOutcome {
        outcome: Some(outcome.id.clone()),
        rank: Some(rank),
        measure: outcome.measure.clone(),
        finding,
        changes,
    }
}
