use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::test::{self, TestRequest};
use actix_web::{App, Responder};
use serde::Deserialize;
use serde_json::Value;

use super::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Visit {
    day: u32,
}

#[derive(Deserialize)]
struct Page {
    limit: u32,
}

async fn take(body: web::Json<Visit>) -> impl Responder {
    body.day.to_string()
}

async fn list(page: web::Query<Page>) -> impl Responder {
    page.limit.to_string()
}

async fn one(id: web::Path<u32>) -> impl Responder {
    id.to_string()
}

async fn broken(_: web::Data<Vec<u8>>) -> impl Responder {
    "never"
}

async fn teapot() -> HttpResponse {
    HttpResponse::ImATeapot().insert_header(("x-kept", "yes")).body("panicked at src/secret.rs")
}

async fn ask(request: TestRequest) -> (u16, Value, actix_web::http::header::HeaderMap) {
    let app = test::init_service(
        App::new()
            .configure(|app| configure(app, 64))
            .route("/visits", web::post().to(take))
            .service(web::resource("/list").route(web::get().to(list)))
            .route("/one/{id}", web::get().to(one))
            .route("/broken", web::get().to(broken))
            .route("/teapot", web::get().to(teapot))
            .wrap(from_fn(only_problems))
            .wrap(security_headers()),
    )
    .await;
    let response = test::call_service(&app, request.to_request()).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, serde_json::from_slice(&test::read_body(response).await).unwrap_or(Value::Null), headers)
}

fn json(body: &'static str) -> TestRequest {
    TestRequest::post().uri("/visits").insert_header(("content-type", "application/json")).set_payload(body)
}

#[actix_web::test]
async fn whatever_goes_wrong_is_a_problem_of_the_right_kind() {
    let cases = [
        (json("{"), 400, "malformed"),
        (json(r#"{"day": "Jane Doe"}"#), 422, "invalid"),
        (TestRequest::post().uri("/visits").set_payload("{}"), 415, "unsupported-media-type"),
        (
            json(r#"{"day": 1, "padding": "0123456789012345678901234567890123456789"}"#),
            413,
            "payload-too-large",
        ),
        (TestRequest::get().uri("/list?limit=many"), 400, "malformed"),
        (TestRequest::get().uri("/one/two"), 404, "not-found"),
        (TestRequest::get().uri("/nowhere"), 404, "not-found"),
        (TestRequest::default().method(Method::DELETE).uri("/list"), 405, "method-not-allowed"),
        (TestRequest::get().uri("/broken"), 500, "internal"),
        (TestRequest::get().uri("/teapot"), 418, "malformed"),
    ];
    for (request, status, name) in cases {
        let (answered, body, headers) = ask(request).await;
        assert_eq!((answered, &body["status"]), (status, &Value::from(status)), "{name}: {body}");
        assert_eq!(body["type"], format!("urn:trialseal:problem:{name}"), "{body}");
        assert_eq!(headers.get("content-type").unwrap(), CONTENT, "{name}");
    }
}

#[actix_web::test]
async fn what_was_sent_is_not_repeated() {
    let cases = [
        (r#"{"day": "Jane Doe"}"#, "expected u32."),
        (r#"{"Jane Doe": 1}"#, "expected `day`."),
        (r#"{"day": "a, expected Jane Doe"}"#, "expected u32."),
        (r#"{"day": -7}"#, "expected u32."),
        ("{}", "missing field `day`."),
    ];
    for (body, end) in cases {
        let (_, answer, _) = ask(json(body)).await;
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.ends_with(end), "{detail}");
        assert!(!answer.to_string().contains("Jane") && !answer.to_string().contains("-7"), "{answer}");
    }
    let (_, answer, _) = ask(TestRequest::get().uri("/list?limit=Jane")).await;
    assert!(!answer.to_string().contains("Jane"), "{answer}");
    assert_eq!(
        super::sentence("It", "the name Jane, expected none"),
        "It does not fit what this route takes."
    );
}

#[actix_web::test]
async fn internals_stay_inside_and_headers_are_kept() {
    let (_, body, headers) = ask(TestRequest::get().uri("/teapot")).await;
    assert!(!body.to_string().contains("secret"), "{body}");
    assert_eq!(headers.get("x-kept").unwrap(), "yes");
    let (_, body, _) = ask(TestRequest::get().uri("/broken")).await;
    assert!(!body.to_string().contains("Vec") && !body.to_string().contains("App"), "{body}");
}

#[actix_web::test]
async fn what_goes_right_is_left_alone_and_has_the_headers() {
    let (status, body, headers) = ask(json(r#"{"day": 3}"#)).await;
    assert_eq!((status, body), (200, Value::from(3)));
    for name in ["x-content-type-options", "content-security-policy", "cache-control", "referrer-policy"] {
        assert!(headers.contains_key(name), "{name}");
    }
}
