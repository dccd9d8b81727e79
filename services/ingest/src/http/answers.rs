//! The answers that the routes share.

use std::collections::BTreeMap;

use trialseal_runtime::problem::CONTENT;
use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// What every route here can answer with besides what it is for, as the API description lists it.
pub(super) struct Problems;

const PROBLEMS: [(&str, &str); 9] = [
    ("400", "The request cannot be read, or the Idempotency-Key is missing"),
    ("401", "No valid token"),
    ("403", "The role may not do this; `rule` names the rule where one says so"),
    ("404", "There is no such thing, or the token does not reach it"),
    ("409", "A rule refuses this now, or the Idempotency-Key was used for other content"),
    ("413", "The body is too large"),
    ("415", "The body is not application/json"),
    ("500", "Something is wrong on the side of the service"),
    ("503", "Too much to do, or the database cannot be reached; try again with the same Idempotency-Key"),
];

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let answer = |(status, description): (&str, &str)| {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            let response = ResponseBuilder::new().description(description).content(CONTENT, content).build();
            (status.to_owned(), RefOr::T(response))
        };
        PROBLEMS.into_iter().map(answer).collect()
    }
}
