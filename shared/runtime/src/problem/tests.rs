use std::collections::HashSet;

use actix_web::body::to_bytes;
use serde_json::{Value, json};

use super::*;

async fn answered(problem: &Problem) -> (HttpResponse<()>, Value) {
    let (head, body) = problem.error_response().into_parts();
    let bytes = to_bytes(body).await.unwrap();
    (head, serde_json::from_slice(&bytes).unwrap())
}

#[actix_web::test]
async fn an_answer_has_the_status_the_content_type_and_all_members() {
    let problem = Problem::new(ProblemKind::RuleRefused, "No consent is in force.")
        .with_rule("consent.in-force")
        .with_hint("Record the consent first.")
        .with_error("/items/0", "has no consent");
    let (head, body) = answered(&problem).await;
    assert_eq!(head.status(), 409);
    assert_eq!(head.headers().get("content-type").unwrap(), "application/problem+json");
    assert!(!head.headers().contains_key("retry-after"));
    assert_eq!(
        body,
        json!({
            "type": "urn:trialseal:problem:rule-refused",
            "title": "A rule of the trial refuses this now",
            "status": 409,
            "detail": "No consent is in force.",
            "hint": "Record the consent first.",
            "rule": "consent.in-force",
            "errors": [{"pointer": "/items/0", "detail": "has no consent"}],
        })
    );
    assert_eq!(serde_json::from_value::<Problem>(body).unwrap(), problem);
}

#[actix_web::test]
async fn retry_after_stands_in_the_header_and_in_the_body() {
    let problem = Problem::new(ProblemKind::NotYetSealed, "Wait.").with_retry_after_seconds(2);
    let (head, body) = answered(&problem).await;
    assert_eq!(head.headers().get("retry-after").unwrap(), "2");
    assert_eq!(body["retry_after_seconds"], 2);
}

#[actix_web::test]
async fn who_is_not_known_is_told_how_to_say_it() {
    let (head, _) = answered(&Problem::new(ProblemKind::Unauthenticated, "No token.")).await;
    assert_eq!(head.headers().get("www-authenticate").unwrap(), "Bearer");
}

#[actix_web::test]
async fn the_cause_of_an_internal_problem_is_not_told() {
    let problem = Problem::internal(&"connection to 10.1.2.3 as user seal refused");
    let (head, body) = answered(&problem).await;
    assert_eq!(head.status(), 500);
    assert!(!body.to_string().contains("10.1.2.3") && !problem.to_string().contains("10.1.2.3"));
}

#[test]
fn the_table_is_sound() {
    let names: HashSet<_> = ProblemKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), ProblemKind::ALL.len(), "two kinds share a name");
    for &kind in ProblemKind::ALL {
        assert!((400..600).contains(&kind.status()), "{}", kind.name());
        assert!(kind.name().chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", kind.name());
        assert!(kind.remedy().ends_with('.') && !kind.title().ends_with('.'), "{}", kind.name());
        assert_eq!(ProblemKind::try_from(kind.uri()), Ok(kind));
        let same = ProblemKind::for_status(kind.status());
        assert_eq!(same.status(), kind.status(), "{} has a status that no bare answer maps to", kind.name());
    }
}

#[test]
fn foreign_types_are_not_taken_for_ours() {
    for uri in ["about:blank", "urn:trialseal:problem:", "internal", "urn:trialseal:problem:Internal"] {
        assert_eq!(ProblemKind::try_from(uri.to_owned()), Err(UnknownProblem), "{uri}");
    }
}

#[test]
fn the_api_description_names_every_member() {
    let schema = serde_json::to_value(Problem::schema()).unwrap();
    let members = ["type", "title", "status", "detail", "hint", "rule", "errors", "retry_after_seconds"];
    for member in members {
        assert!(schema["properties"].get(member).is_some(), "{member} in {schema}");
    }
    assert_eq!(Problem::name(), "Problem");
    let mut parts = Vec::new();
    Problem::schemas(&mut parts);
    assert!(parts.iter().any(|(name, _)| name == "ProblemPart"));
}
