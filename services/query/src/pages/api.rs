//! `GET /api`: the OpenAPI description for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use serde_json::{Map, Value};
use trialseal_runtime::html::{escape, page};

use crate::Query;

/// The OpenAPI document of the whole service, as `/openapi.json` serves it.
pub struct ApiDescription(pub Value);

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

#[get("/api")]
pub(crate) async fn get(query: Data<Query>, description: Data<ApiDescription>) -> HttpResponse {
    page("API", query.parts.events.origin(), &render(&description.0))
}

fn render(document: &Value) -> String {
    let mut html = String::from("<h1>API</h1>");
    let _ = write!(
        html,
        "<p>{}</p><p>For machines: <a href=\"/openapi.json\">/openapi.json</a>. Send your token as \
         <code>Authorization: Bearer ts_…</code>. Whatever goes wrong is answered as \
         <code>application/problem+json</code>.</p>",
        escape(text(document, "/info/description"))
    );
    for (tag, operations) in by_tag(document) {
        let _ = write!(html, "<section><h2>{}</h2>", escape(tag));
        for (path, method, operation) in operations {
            html.push_str(&render_operation(path, method, operation));
        }
        html.push_str("</section>");
    }
    html.push_str("<section><h2>Bodies and answers</h2>");
    for (name, schema) in members(document, "/components/schemas") {
        let _ = write!(
            html,
            "<details id=\"{0}\"><summary><code>{0}</code> {1}</summary>{2}</details>",
            escape(name),
            escape(text(schema, "/description")),
            render_properties(schema)
        );
    }
    html.push_str("</section>");
    html
}

type Operation<'a> = (&'a str, &'static str, &'a Value);

/// The operations by their first tag, in the order of paths.
fn by_tag(document: &Value) -> BTreeMap<&str, Vec<Operation<'_>>> {
    let mut tags: BTreeMap<&str, Vec<Operation<'_>>> = BTreeMap::new();
    for (path, operations) in members(document, "/paths") {
        for method in METHODS {
            if let Some(operation) = operations.get(method) {
                let tag = operation.pointer("/tags/0").and_then(Value::as_str).unwrap_or("Other");
                tags.entry(tag).or_default().push((path, method, operation));
            }
        }
    }
    tags
}

fn render_operation(path: &str, method: &str, operation: &Value) -> String {
    let summary = text(operation, "/summary");
    let mut html = format!(
        "<details><summary><span class=\"method\">{method}</span> <code>{}</code> {}</summary><p>{}</p>",
        escape(path),
        escape(summary),
        escape(text(operation, "/description"))
    );
    let parameters = operation.get("parameters").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if !parameters.is_empty() {
        html.push_str("<dl class=\"rows\">");
        for parameter in parameters {
            let _ = write!(
                html,
                "<div><dt><code>{}</code><br>{}</dt><dd>{}</dd></div>",
                escape(text(parameter, "/name")),
                escape(text(parameter, "/in")),
                escape(text(parameter, "/description"))
            );
        }
        html.push_str("</dl>");
    }
    if let Some(body) = operation.get("requestBody") {
        let _ = write!(html, "<p>Body: {}</p>", content(body));
    }
    html.push_str(
        "<table><thead><tr><th scope=\"col\">Status</th><th scope=\"col\">Answer</th></tr></thead><tbody>",
    );
    for (status, answer) in members(operation, "/responses") {
        let description = escape(text(answer, "/description"));
        let _ =
            write!(html, "<tr><td>{}</td><td>{description} {}</td></tr>", escape(status), content(answer));
    }
    html.push_str("</tbody></table></details>");
    html
}

/// The media types of a body, each with its schema.
fn content(body: &Value) -> String {
    let mut html = String::new();
    for (media, described) in members(body, "/content") {
        let schema = described.get("schema").map(schema_name).unwrap_or_default();
        let _ = write!(html, "<code>{}</code> {schema} ", escape(media));
    }
    html
}

fn render_properties(schema: &Value) -> String {
    let mut html = String::from("<dl class=\"rows\">");
    for (name, property) in members(schema, "/properties") {
        let _ = write!(
            html,
            "<div><dt><code>{}</code></dt><dd>{} {}</dd></div>",
            escape(name),
            schema_name(property),
            escape(text(property, "/description"))
        );
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<_> = values.iter().filter_map(Value::as_str).map(escape).collect();
        let _ =
            write!(html, "<div><dt>One of</dt><dd><code>{}</code></dd></div>", values.join("</code> <code>"));
    }
    html.push_str("</dl>");
    html
}

/// A schema by its name, with a link to it, or by its type.
fn schema_name(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
        return format!("<a href=\"#{0}\"><code>{0}</code></a>", escape(name));
    }
    if let Some(items) = schema.get("items") {
        return format!("list of {}", schema_name(items));
    }
    let choices = ["oneOf", "anyOf", "allOf"].iter().find_map(|name| schema.get(name)?.as_array());
    if let Some(choices) = choices {
        let names: Vec<_> = choices.iter().map(schema_name).collect();
        return names.join(" or ");
    }
    match schema.get("type") {
        Some(Value::String(name)) => escape(name),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).map(escape).collect::<Vec<_>>().join(" or ")
        }
        _ => String::new(),
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn members<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let members = value.pointer(pointer).and_then(Value::as_object);
    members.into_iter().flat_map(Map::iter).map(|(name, member)| (name.as_str(), member))
}
