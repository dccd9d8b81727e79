//! Where the record refuses, found in the text of its source, and how that reads with one of these places switched off.
//!
//! A rule is asked at a place of its own, or by a check that others call (`known(state)?;`). Both kinds are places: a check
//! that one caller forgets is still noticed in the others.

use std::mem;
use std::ops::Range;

/// A line of the table of rules.
pub(super) struct Rule {
    constant: String,
    /// Its stable id.
    pub(super) id: String,
}

/// A place at which a command is refused.
pub(super) struct Place {
    /// Counted from one.
    pub(super) line: usize,
    pub(super) what: What,
    /// What is replaced to switch it off, and by what.
    part: Range<usize>,
    instead: String,
}

/// What stands at a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// The rule of this id.
    Rule(String),
    /// A call of this check.
    Call(String),
}

impl Place {
    /// The text without what this place refuses.
    pub(super) fn switched_off(&self, text: &str) -> String {
        let mut text = text.to_owned();
        text.replace_range(self.part.clone(), &self.instead);
        text
    }
}

/// The rules of the table in `rules.rs`.
pub(super) fn rules(table: &str) -> Vec<Rule> {
    let (_, lines) = table.split_once("\nrules! {").unwrap_or_default();
    let rule = |line: &str| {
        let mut words = line.split_whitespace();
        let (constant, id) = (words.next()?, words.next()?);
        let id = id.strip_prefix('"')?.strip_suffix('"')?;
        constant.chars().all(is_of_constant).then(|| Rule { constant: constant.into(), id: id.into() })
    };
    lines.lines().filter_map(rule).collect()
}

/// The places of a text, in its order.
pub(super) fn places(text: &str, rules: &[Rule]) -> Vec<Place> {
    let mut places: Vec<Place> = asked(text, rules).chain(called(text)).collect();
    places.sort_by_key(|place| place.part.start);
    places
}

fn asked<'a>(text: &'a str, rules: &'a [Rule]) -> impl Iterator<Item = Place> + 'a {
    rules.iter().flat_map(move |rule| {
        let found = text.match_indices(&rule.constant);
        found.filter_map(move |(start, _)| asked_at(text, start, rule, rules))
    })
}

/// `NAME.require(met, …)` is made to be met. A refusal by `NAME.refuse(…)` cannot be gone past, as there is no value to go on
/// with, so it is made by another rule.
fn asked_at(text: &str, start: usize, rule: &Rule, rules: &[Rule]) -> Option<Place> {
    if text[..start].ends_with(is_of_constant) {
        return None;
    }
    let end = start + rule.constant.len();
    let chained = text[end..].trim_start();
    let (part, instead) = if chained.starts_with(".require(") {
        let arguments = end + text[end..].find('(')? + 1;
        (arguments..arguments, "true || ".to_owned())
    } else if chained.starts_with(".refuse(") {
        let other = rules.iter().find(|other| other.constant != rule.constant)?;
        (start..end, format!("crate::rules::{}", other.constant))
    } else {
        return None;
    };
    Some(Place { line: line_of(text, start), what: What::Rule(rule.id.clone()), part, instead })
}

fn called(text: &str) -> impl Iterator<Item = Place> {
    let statements = text.match_indices([';', '{', '}']).scan(0, |begun, (end, mark)| {
        let start = mem::replace(begun, end + mark.len());
        Some((start..end, mark))
    });
    statements.filter_map(|(statement, mark)| called_in(text, statement, mark))
}

/// Of `check(…)?;`, and of `check(…)` as the last of a check, the answer is thrown away.
fn called_in(text: &str, statement: Range<usize>, mark: &str) -> Option<Place> {
    let code = without_comments(&text[statement.clone()]);
    let name = called_name(code)?;
    let (call, rest) = match mark {
        ";" => (code.strip_suffix('?')?, ""),
        "}" if ends_a_check(text, &statement) => (code, "; Ok(())"),
        _ => return None,
    };
    let start = statement.start + text[statement].find(code)?;
    Some(Place {
        line: line_of(text, start),
        what: What::Call(name.to_owned()),
        part: start..start + code.len(),
        instead: format!("let _ = {call}{rest}"),
    })
}

/// What is called, where a statement is nothing but a call.
fn called_name(code: &str) -> Option<&str> {
    let (name, _) = code.split_once('(')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.:".contains(c));
    (is_name && code.trim_end_matches('?').ends_with(')')).then_some(name)
}

/// Whether the statement is the last of a function that answers with nothing but a refusal.
fn ends_a_check(text: &str, statement: &Range<usize>) -> bool {
    let before = &text[..statement.start];
    let function = before.rfind("fn ").map_or("", |start| &before[start..]);
    let is_check =
        function.split('{').next().is_some_and(|signature| signature.contains("-> Result<(), Refusal>"));
    is_check && text[..statement.end].ends_with('\n')
}

fn without_comments(statement: &str) -> &str {
    let mut code = statement.trim();
    while code.starts_with("//") {
        code = code.split_once('\n').map_or("", |(_, rest)| rest.trim_start());
    }
    code
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn is_of_constant(c: char) -> bool {
    c.is_ascii_uppercase() || c == '_'
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    const TABLE: &str = r#"
macro_rules! rules { ($name:ident) => {}; }

rules! {
    ROLE "authority.role" Forbidden
        "Each thing is done in the role that answers for it."
        "Ask somebody else."
    ORDER "time.order" Invalid
        "What ends has begun."
        "Check the days."
}
"#;

    /// Line, what stands there, and the line as it reads when it is switched off.
    fn found(text: &str) -> Vec<(usize, What, String)> {
        let of = |place: Place| {
            let off = place.switched_off(text);
            (place.line, place.what, off.lines().nth(place.line - 1).unwrap().trim().to_owned())
        };
        places(text, &rules(TABLE)).into_iter().map(of).collect()
    }

    fn rule(id: &str) -> What {
        What::Rule(id.to_owned())
    }

    fn call(name: &str) -> What {
        What::Call(name.to_owned())
    }

    #[test]
    fn what_a_rule_requires_is_met_and_what_it_refuses_is_refused_by_another() {
        let text = r#"
use crate::rules::{ORDER, ROLE};
fn check(met: bool) -> Result<(), Refusal> {
    let value = find().ok_or_else(|| ORDER.refuse("no"))?;
    DIS_ORDER.require(met, "of another table")?;
    ROLE.require(met, "no")
}
"#;
        let refused = r#"let value = find().ok_or_else(|| crate::rules::ROLE.refuse("no"))?;"#;
        assert_eq!(
            found(text),
            [
                (4, rule("time.order"), refused.to_owned()),
                (6, rule("authority.role"), r#"ROLE.require(true || met, "no")"#.to_owned()),
            ]
        );
    }

    #[test]
    fn a_rule_is_found_across_lines() {
        let text = "fn check() {\n    ORDER\n        .require(first <= second, \"no\")?;\n}\n";
        let [place] = &places(text, &rules(TABLE))[..] else { panic!("one place") };
        assert_eq!((place.line, &place.what), (2, &rule("time.order")));
        assert!(place.switched_off(text).contains(".require(true || first <= second, \"no\")?;"));
    }

    #[test]
    fn a_call_of_a_check_is_a_place_of_its_own() {
        let text = r#"
fn enrol(on: Date) -> Result<Decision, Refusal> {
    // The order matters.
    super::not_future(on, context)?;
    state.participant.map_or(Ok(()), not_erased)?;
    let participant = known(state)?;
    if let Some(until) = until {
        in_order(on, until, "no")?;
    }
    event(on)
}
fn later(on: Date) -> Result<(), Refusal> {
    let first = participant.days().any(|day| {
        is_first(day)
    });
    in_order(first, on, "no")
}
"#;
        let expected = [
            (4, "super::not_future", "let _ = super::not_future(on, context);"),
            (5, "state.participant.map_or", "let _ = state.participant.map_or(Ok(()), not_erased);"),
            (8, "in_order", r#"let _ = in_order(on, until, "no");"#),
            (16, "in_order", r#"let _ = in_order(first, on, "no"); Ok(())"#),
        ];
        assert_eq!(found(text), expected.map(|(line, name, off)| (line, call(name), off.to_owned())));
    }

    #[test]
    fn every_rule_of_the_record_has_a_place_and_no_place_is_overlooked() {
        let source = crate::repository().join(super::super::SOURCE);
        let table = rules(&fs::read_to_string(source.join("rules.rs")).unwrap());
        let ids: BTreeSet<&str> = table.iter().map(|rule| rule.id.as_str()).collect();
        assert_eq!(ids, trialseal_record::RULES.iter().map(|rule| rule.id).collect());
        let mut with_place = BTreeSet::new();
        for file in super::super::source(crate::repository()).unwrap() {
            let text = fs::read_to_string(crate::repository().join(&file)).unwrap();
            let asked: Vec<Place> = asked(&text, &table).collect();
            let written = text.matches(".require(").count() + text.matches(".refuse(").count();
            assert_eq!(asked.len(), written, "{}", file.display());
            with_place.extend(asked.into_iter().map(|place| place.what));
        }
        assert_eq!(with_place, ids.into_iter().map(rule).collect());
    }
}
