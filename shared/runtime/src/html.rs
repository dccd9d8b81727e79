//! Pages for people: what all of them have in common, whichever service makes them.

use std::fmt::Display;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

/// Own style sheet and own forms, and nothing else: no script runs, whatever a text in the record says.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Besides, the script files of our own, which ask nobody but this service. None that stands in a page runs.
const POLICY_WITH_SCRIPT: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'";

/// A text as it stands in HTML, between tags or in a quoted attribute.
pub fn escape(text: impl Display) -> String {
    let text = text.to_string();
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A number with thin spaces between its thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join("\u{202f}")
}

/// A point in time, as the formats write it, for people: to the second.
pub fn time(time: impl Display) -> String {
    let time = time.to_string();
    let (date, clock) = time.split_once('T').unwrap_or((&time, ""));
    let clock = clock.split('.').next().unwrap_or(clock);
    format!("<time datetime=\"{}\">{} {} UTC</time>", escape(&time), escape(date), escape(clock))
}

/// A whole page; `title` and `origin` are plain text, `main` is HTML.
pub fn page(title: &str, origin: &str, main: &str) -> HttpResponse {
    page_of(StatusCode::OK, title, origin, main)
}

/// Marks an answer that is a page, whatever its status: a response extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IsPage;

/// As [`page`], with another status than 200.
pub fn page_of(status: StatusCode, title: &str, origin: &str, main: &str) -> HttpResponse {
    answer(status, POLICY, "", (title, origin, main))
}

/// As [`page`], with a script file of our own; `script` is its address.
pub fn page_with_script(title: &str, origin: &str, main: &str, script: &str) -> HttpResponse {
    page_of_with_script(StatusCode::OK, (title, origin, main), script)
}

/// As [`page_with_script`], of another status than 200; the page is its title, the origin and what it holds.
pub fn page_of_with_script(status: StatusCode, page: (&str, &str, &str), script: &str) -> HttpResponse {
    let script = format!("<script type=\"module\" src=\"{}\"></script>", escape(script));
    answer(status, POLICY_WITH_SCRIPT, &script, page)
}

fn answer(status: StatusCode, policy: &str, head: &str, page: (&str, &str, &str)) -> HttpResponse {
    let (title, origin, main) = page;
    let (title, origin) = (escape(title), escape(origin));
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title} · {origin}</title>\
         <link rel=\"stylesheet\" href=\"/style.css\">{head}</head><body>\
         <a class=\"skip\" href=\"#main\">Skip to the content</a>\
         <header><div class=\"wide\"><a class=\"brand\" href=\"/\">trialseal</a>\
         <nav aria-label=\"Pages\"><a href=\"/\">Integrity</a><a href=\"/api\">API</a>\
         <a href=\"/v1/trust\">Keys</a><a href=\"/log/checkpoint\">Log</a></nav></div></header>\
         <main id=\"main\" class=\"wide\">{main}</main>\
         <footer><div class=\"wide\">Ledger <code>{origin}</code></div></footer></body></html>\n"
    );
    let mut response = HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, policy))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(html);
    response.extensions_mut().insert(IsPage);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(escape("<b a=\"x\" b='y'>&"), "&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;");
    }

    #[test]
    fn numbers_and_times_are_for_people() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(grouped),
            ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]
        );
        assert!(time("2026-01-02T03:04:05.678901Z").contains(">2026-01-02 03:04:05 UTC<"));
    }
}
