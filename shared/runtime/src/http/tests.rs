use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use actix_web::body::BodySize;
use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::test::{self, TestRequest};
use actix_web::{App, HttpServer, Responder, get, post};
use futures_util::stream;
use serde::Deserialize;
use serde_json::Value;
use utoipa::OpenApi as _;

use super::*;
use crate::clock::SystemClock;
use crate::ids::SystemIds;
use crate::request_log::RequestLog;

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

async fn refused_page() -> HttpResponse {
    crate::html::page_of(actix_web::http::StatusCode::FORBIDDEN, "Refused", "ledger", "<p>No</p>")
}

async fn teapot() -> HttpResponse {
    HttpResponse::ImATeapot().insert_header(("x-kept", "yes")).body("panicked at src/secret.rs")
}

#[utoipa::path(responses((status = 200)))]
#[get("/files/{path:.*}")]
async fn file() -> impl Responder {
    "content"
}

#[utoipa::path(responses((status = 200)))]
#[get("/things/{id}")]
async fn thing() -> impl Responder {
    "thing"
}

#[utoipa::path(responses((status = 200)))]
#[post("/things/{id}")]
async fn change() -> impl Responder {
    "changed"
}

/// Ends never.
#[get("/live")]
async fn live() -> HttpResponse {
    HttpResponse::Ok().streaming(stream::pending::<Result<web::Bytes, Error>>())
}

#[get("/panics")]
async fn panics() -> HttpResponse {
    panic!("Jane Doe has no weight")
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(file, thing, change))]
struct Api;

fn methods() -> web::Data<Methods> {
    web::Data::new(Methods::of(&Api::openapi()).and(&[("/live", "GET"), ("/panics", "GET")]))
}

fn guarded(app: &mut ServiceConfig) {
    app.app_data(methods()).service(file).service(thing).service(change).service(live).service(panics);
}

async fn ask(request: TestRequest) -> (u16, Value, actix_web::http::header::HeaderMap) {
    let app = test::init_service(
        App::new()
            .configure(|app| configure(app, 64))
            .configure(guarded)
            .route("/visits", web::post().to(take))
            .service(web::resource("/list").route(web::get().to(list)))
            .route("/one/{id}", web::get().to(one))
            .route("/broken", web::get().to(broken))
            .route("/teapot", web::get().to(teapot))
            .route("/refused", web::get().to(refused_page))
            .wrap(from_fn(only_problems))
            .wrap(from_fn(head_as_get))
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
async fn a_page_that_refuses_stays_a_page() {
    let (status, _, headers) = ask(TestRequest::get().uri("/refused")).await;
    assert_eq!(
        (status, headers.get("content-type").unwrap().to_str().unwrap()),
        (403, "text/html; charset=utf-8")
    );
}

#[actix_web::test]
async fn what_goes_right_is_left_alone_and_has_the_headers() {
    let (status, body, headers) = ask(json(r#"{"day": 3}"#)).await;
    assert_eq!((status, body), (200, Value::from(3)));
    for name in ["x-content-type-options", "content-security-policy", "cache-control", "referrer-policy"] {
        assert!(headers.contains_key(name), "{name}");
    }
}

#[actix_web::test]
async fn another_method_is_told_which_ones_there_are() {
    let cases = [
        (Method::DELETE, "/things/1", "GET, HEAD, POST"),
        (Method::PUT, "/files/a/b", "GET, HEAD"),
        (Method::OPTIONS, "/live", "GET, HEAD"),
    ];
    for (method, uri, allow) in cases {
        let (status, body, headers) = ask(TestRequest::default().method(method).uri(uri)).await;
        assert_eq!(
            (status, &body["type"]),
            (405, &Value::from("urn:trialseal:problem:method-not-allowed")),
            "{uri}"
        );
        assert_eq!(headers.get("allow").unwrap(), allow, "{uri}");
        assert_eq!(headers.get("content-type").unwrap(), CONTENT, "{uri}");
    }
    for uri in ["/things", "/things/1/2", "/nowhere"] {
        let (status, _, headers) = ask(TestRequest::delete().uri(uri)).await;
        assert_eq!((status, headers.contains_key("allow")), (404, false), "{uri}");
    }
}

#[actix_web::test]
async fn head_is_get_without_the_body() {
    let head = |uri| TestRequest::default().method(Method::HEAD).uri(uri);
    let app = test::init_service(App::new().configure(guarded).wrap(from_fn(head_as_get))).await;
    let response = test::call_service(&app, head("/things/1").to_request()).await;
    assert_eq!((response.status().as_u16(), response.response().body().size()), (200, BodySize::Sized(5)));
    assert!(test::read_body(response).await.is_empty());
    assert_eq!(test::call_service(&app, head("/nowhere").to_request()).await.status(), 404);
    // Only GET stands in for HEAD.
    let (status, _, headers) = ask(head("/visits")).await;
    assert_eq!((status, headers.contains_key("allow")), (404, false));
}

/// The whole answer to a request, as it comes over the wire.
fn speak(address: SocketAddr, request: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[actix_web::test]
async fn head_and_a_panic_are_answered_over_the_wire() {
    let make = || {
        App::new()
            .configure(|app| configure(app, 64))
            .configure(guarded)
            .wrap(from_fn(only_problems))
            .wrap(from_fn(head_as_get))
            .wrap(security_headers())
            .wrap(RequestLog::new(Arc::new(SystemClock), Arc::new(SystemIds)))
    };
    let server = HttpServer::new(make).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    let requests = ["HEAD /live", "HEAD /things/1", "GET /panics", "GET /things/1"];
    let answers = web::block(move || requests.map(|request| speak(address, request))).await.unwrap();
    handle.stop(false).await;
    let [endless, head, panicked, got] = answers;
    for (answer, status, end) in [
        (&endless, "200", "\r\n\r\n"),
        (&head, "200", "\r\n\r\n"),
        (&panicked, "500", "}"),
        (&got, "200", "thing"),
    ] {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with(end), "{answer}");
        assert!(answer.contains("x-request-id: ") && answer.contains("x-frame-options: DENY"), "{answer}");
    }
    assert!(head.contains("content-length: 5"), "{head}");
    assert!(panicked.contains(CONTENT) && !panicked.contains("Jane"), "{panicked}");
}
