//! What every answer carries, whichever layer made it.

use std::time::Instant;

use actix_web::dev::Service;
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
use schemas::id::Epoch;
use schemas::lane::{Lane, Position};
use schemas::tidemark::{Keyring, Presented as Opened, Tidemark};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::*;
use crate::auth::Principal;
use crate::config::{DEVELOPMENT_JWT_SECRET, DEVELOPMENT_TIDEMARK_KEYS};
use crate::extract::{Json, Query};
use crate::tidemark::{EpochHandle, Presented, Session, TIDEMARK};

const EPOCH: Epoch = Epoch(7);

fn keyring() -> Keyring {
    DEVELOPMENT_TIDEMARK_KEYS.parse().unwrap()
}

fn bolts(epoch: Option<Epoch>) -> Bolts {
    let handle = EpochHandle::default();
    epoch.map(|epoch| handle.set(epoch)).transpose().unwrap();
    Bolts {
        tides: Some(Tides::new(keyring(), handle)),
        verifier: Some(Verifier::new(&DEVELOPMENT_JWT_SECRET.into()).unwrap()),
        openapi: Some(OpenApi::default()),
        ..Bolts::new(Health::default(), Metrics::detached())
    }
}

fn position(lane: u8, seq: u64) -> Position {
    Position {
        lane: Lane::try_from(lane).unwrap(),
        seq,
    }
}

fn token(epoch: Epoch, position: Position) -> String {
    let mut tidemark = Tidemark::new(epoch);
    tidemark.raise(position);
    keyring().sign(&tidemark)
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[expect(dead_code, reason = "only read to be refused")]
    limit: u8,
}

fn routes(config: &mut ServiceConfig) {
    async fn write(session: Session, body: Json<Value>) -> HttpResponse {
        session.raise(position(3, 9));
        HttpResponse::Created().json(body.0)
    }
    async fn presented(presented: Presented) -> HttpResponse {
        let foreign = !presented.foreign.is_empty();
        HttpResponse::Ok().json(json!({"tokens": presented.tokens, "foreign": foreign}))
    }
    async fn heads(session: Session) -> HttpResponse {
        session.raise(position(3, 9));
        session.settle();
        HttpResponse::Ok().finish()
    }
    async fn refuse(session: Session) -> Result<HttpResponse, ApiError> {
        session.raise(position(3, 9));
        let error = ApiError::new(ProblemType::InsufficientStock, "only 2 are left");
        Err(error.caused_by("a secret of the log"))
    }
    async fn panic() -> HttpResponse {
        panic!("on purpose")
    }
    config
        .service(
            web::resource("/things")
                .route(web::post().to(write))
                .route(web::get().to(presented)),
        )
        .service(web::resource("/things/{id}").to(async |_: web::Path<Uuid>| HttpResponse::Ok()))
        .service(web::resource("/pages").to(async |_: Query<Page>| HttpResponse::Ok()))
        .service(web::resource("/me").to(async |_: Principal| HttpResponse::Ok()))
        .service(web::resource("/heads").to(heads))
        .service(web::resource("/refusal").to(refuse))
        .service(web::resource("/panic").to(panic));
}

struct Answer {
    status: StatusCode,
    headers: actix_web::http::header::HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    fn tidemark(&self) -> Tidemark {
        match keyring().open(self.header("Tidemark"), EPOCH) {
            Ok(Opened::Ours(tidemark)) => tidemark,
            other => panic!("no tidemark of ours: {other:?} in {:?}", self.headers),
        }
    }

    fn problem(&self) -> &str {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            self.body
        );
        self.body["type"].as_str().unwrap()
    }
}

async fn ask_with(bolts: Bolts, request: TestRequest) -> Answer {
    let app = init_service(app(bolts, routes)).await;
    let request = request
        .insert_header(("Origin", "https://shop.example"))
        .to_request();
    let response = match app.call(request).await {
        Ok(response) => response.map_into_boxed_body().into_parts().1,
        Err(error) => error.error_response(),
    };
    let (status, headers) = (response.status(), response.headers().clone());
    let body = actix_web::body::to_bytes(response.into_body())
        .await
        .unwrap();
    Answer {
        status,
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    }
}

async fn ask(request: TestRequest) -> Answer {
    ask_with(bolts(Some(EPOCH)), request).await
}

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path)
}

#[actix_web::test]
async fn every_answer_carries_tidemark_vary_request_id_and_cors() {
    let preflight = TestRequest::default()
        .method(Method::OPTIONS)
        .uri("/things")
        .insert_header(("Access-Control-Request-Method", "POST"));
    let mut requests = vec![preflight, TestRequest::patch().uri("/things")];
    let paths = [
        "/livez", "/readyz", "/metrics", "/things", "/nowhere", "/refusal", "/panic",
    ];
    requests.extend(paths.map(get));
    requests.push(get("/things/no-uuid"));
    requests.push(get("/things").insert_header(("Tidemark", "garbage")));
    for request in requests {
        let answer = ask(request).await;
        answer.tidemark();
        let vary: Vec<_> = answer.headers.get_all("vary").collect();
        assert!(vary.iter().any(|value| *value == "Tidemark"), "{vary:?}");
        assert!(!answer.header("x-request-id").is_empty());
        assert_eq!(
            answer.header("access-control-allow-origin"),
            "*",
            "{}",
            answer.status
        );
    }
}

#[actix_web::test]
async fn scripts_may_read_our_headers() {
    let exposed = ask(get("/things"))
        .await
        .header("access-control-expose-headers")
        .to_lowercase();
    for name in EXPOSED_HEADERS {
        assert!(
            exposed.contains(&name.to_lowercase()),
            "{name} is missing in {exposed}"
        );
    }
}

#[actix_web::test]
async fn an_answer_says_what_was_presented_and_what_was_shown() {
    let write = TestRequest::post()
        .uri("/things")
        .insert_header(("Tidemark", token(EPOCH, position(1, 5))))
        .set_json(json!({}));
    let answer = ask(write).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let entries: Vec<Position> = answer.tidemark().entries().collect();
    assert_eq!(entries, [position(1, 5), position(3, 9)]);
    assert_eq!(answer.header("cache-control"), "private, no-cache");
}

#[actix_web::test]
async fn a_refusal_says_what_it_was_decided_on() {
    let answer = ask(get("/refusal")).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(answer.problem(), "/problems/insufficient-stock");
    assert_eq!(answer.body["instance"], "/refusal");
    assert_eq!(
        answer.tidemark().entries().collect::<Vec<_>>(),
        [position(3, 9)]
    );
    assert!(!answer.body.to_string().contains("secret"));
}

#[actix_web::test]
async fn a_request_without_a_tidemark_may_be_cached_as_its_handler_says() {
    assert_eq!(ask(get("/things")).await.header("cache-control"), "");
}

#[actix_web::test]
async fn a_panic_is_a_problem_and_not_an_ended_connection() {
    let token = token(EPOCH, position(1, 5));
    let answer = ask(get("/panic").insert_header(("Tidemark", token))).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.problem(), "/problems/internal");
    assert_eq!(answer.body["instance"], "/panic");
    assert!(!answer.body.to_string().contains("purpose"));
    assert_eq!(
        answer.tidemark().entries().collect::<Vec<_>>(),
        [position(1, 5)]
    );
}

#[rstest::rstest]
#[case::unknown_path("/nowhere", 404, "/problems/not-found")]
#[case::no_uuid("/things/no-uuid", 404, "/problems/not-found")]
#[case::bad_parameter("/pages?limit=x", 422, "/problems/validation")]
#[case::not_ready("/refusal/below", 404, "/problems/not-found")]
#[actix_web::test]
async fn errors_of_the_framework_are_problems(
    #[case] path: &str,
    #[case] status: u16,
    #[case] name: &str,
) {
    let answer = ask(get(path)).await;
    assert_eq!((answer.status.as_u16(), answer.problem()), (status, name));
    assert_eq!(answer.body["status"], status);
}

#[actix_web::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let answer = ask(TestRequest::patch().uri("/things")).await;
    assert_eq!(answer.problem(), "/problems/method-not-allowed");
    assert_eq!(answer.header("allow"), "POST, GET");
}

#[actix_web::test]
async fn a_bad_token_is_401_and_asks_for_a_better_one() {
    let answer = ask(get("/me").insert_header(("Authorization", "Bearer x"))).await;
    assert_eq!(answer.problem(), "/problems/unauthenticated");
    assert!(answer.header("www-authenticate").starts_with("Bearer"));
    assert_eq!(ask(get("/me")).await.status, StatusCode::OK);
}

#[actix_web::test]
async fn a_tidemark_that_is_not_ours_is_400_before_any_handler() {
    let answer = ask(get("/panic").insert_header(("Tidemark", "garbage"))).await;
    assert_eq!(answer.problem(), "/problems/tidemark-malformed");
}

#[actix_web::test]
async fn a_foreign_tidemark_is_an_error_only_where_the_request_is_strict() {
    let foreign = token(Epoch(8), position(1, 5));
    let answer = ask(get("/things").insert_header(("Tidemark", foreign.clone()))).await;
    assert_eq!(answer.body, json!({"tokens": 1, "foreign": true}));

    let strict = get("/things")
        .insert_header(("Tidemark", foreign))
        .insert_header(("Prefer", "handling=strict"));
    let answer = ask(strict).await;
    assert_eq!(answer.problem(), "/problems/history-changed");
    assert_eq!(answer.tidemark(), Tidemark::new(EPOCH));
}

#[actix_web::test]
async fn a_foreign_tidemark_comes_back_until_its_heads_are_read() {
    let foreign = token(Epoch(8), position(1, 5));
    let answer = ask(get("/things").insert_header(("Tidemark", foreign.clone()))).await;
    let returned = answer.header("tidemark").to_owned();
    assert!(returned.ends_with(&format!(", {foreign}")), "{returned}");

    let answer = ask(get("/heads").insert_header(("Tidemark", returned))).await;
    let mut settled = Tidemark::new(EPOCH);
    settled.raise(position(3, 9));
    assert_eq!(answer.tidemark(), settled);
}

#[actix_web::test]
async fn before_the_epoch_is_known_only_operational_paths_answer() {
    let answer = ask_with(bolts(None), get("/things")).await;
    assert_eq!(answer.problem(), "/problems/dependency-unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    assert!(!answer.headers.contains_key(&TIDEMARK));
    assert_eq!(
        ask_with(bolts(None), get("/livez")).await.status,
        StatusCode::OK
    );
}

#[actix_web::test]
async fn a_process_is_unready_until_its_requirements_are_met() {
    let bolts = bolts(Some(EPOCH));
    let (postgres, epoch) = (
        bolts.health.requirement("postgres"),
        bolts.health.requirement("epoch"),
    );
    epoch.up();
    let answer = ask_with(bolts.clone(), get("/readyz")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        answer.body["missing"],
        json!({"postgres": "not reached yet"})
    );
    postgres.up();
    assert_eq!(ask_with(bolts, get("/readyz")).await.status, StatusCode::OK);
}

#[actix_web::test]
async fn a_dependency_that_is_away_is_named_and_takes_nobody_away() {
    let bolts = bolts(Some(EPOCH));
    bolts.health.requirement("postgres").up();
    let kafka = bolts.health.dependency("kafka");
    kafka.down("brokers do not answer");
    let away = ask_with(bolts.clone(), get("/readyz")).await;
    assert_eq!(away.status, StatusCode::OK);
    assert_eq!(away.body["away"], json!({"kafka": "brokers do not answer"}));
    kafka.up();
    let back = ask_with(bolts.clone(), get("/readyz")).await;
    assert_eq!(back.body["away"], json!({}));
    bolts.health.requirement("postgres").down("timeout");
    kafka.down("brokers do not answer");
    let unready = ask_with(bolts, get("/readyz")).await;
    assert_eq!(unready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        unready.body["away"],
        json!({"kafka": "brokers do not answer"})
    );
}

#[actix_web::test]
async fn the_description_and_its_page_are_served() {
    let app = init_service(app(bolts(Some(EPOCH)), routes)).await;
    let description = call_service(&app, get("/openapi.json").to_request()).await;
    let description: Value = read_body_json(description).await;
    assert!(
        description["openapi"].as_str().unwrap().starts_with("3.1"),
        "{description}"
    );
    let page = call_service(&app, get("/docs/").to_request()).await;
    assert_eq!(page.status(), StatusCode::OK);
    let redirect = call_service(&app, get("/docs").to_request()).await;
    assert!(redirect.status().is_redirection());
}

/// What a socket reads for a request, to the end of the connection.
async fn exchange(address: SocketAddr, method: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Status line and headers in order, without those that differ from request to request.
fn head_of(answer: &str) -> Vec<&str> {
    let (head, _) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.lines().collect();
    lines.retain(|line| !line.starts_with("date:") && !line.starts_with("x-request-id:"));
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn head_is_answered_as_get_is_without_a_body() {
    let args = HttpArgs {
        bind: None,
        workers: 1,
        drain_seconds: 1,
    };
    let server = Server::bind(&args, 0).unwrap();
    let address = server.address();
    let shutdown = Shutdown::default();
    let ask = async {
        let paths = [
            "/livez",
            "/readyz",
            "/openapi.json",
            "/docs/",
            "/heads",
            "/nothing",
            "/things",
        ];
        let mut answers = Vec::new();
        for path in paths {
            let (get, head) = (
                exchange(address, "GET", path).await,
                exchange(address, "HEAD", path).await,
            );
            answers.push((path, get, head));
        }
        shutdown.start();
        answers
    };
    let (served, answers) = tokio::join!(server.run(bolts(Some(EPOCH)), &shutdown, routes), ask);
    served.unwrap();
    for (path, get, head) in answers {
        assert_eq!(head_of(&head), head_of(&get), "{path}");
        assert!(head.ends_with("\r\n\r\n"), "{path} has a body: {head}");
    }
}

#[tokio::test]
async fn a_server_answers_on_a_free_port_until_it_is_asked_to_end() {
    let args = HttpArgs {
        bind: None,
        workers: 1,
        drain_seconds: 1,
    };
    let server = Server::bind(&args, 0).unwrap();
    let address = server.address();
    let shutdown = Shutdown::default();
    let ask = async {
        let answers = [
            exchange(address, "GET", "/panic").await,
            exchange(address, "GET", "/livez").await,
        ];
        shutdown.start();
        answers
    };
    let (served, answers) = tokio::join!(server.run(bolts(Some(EPOCH)), &shutdown, routes), ask);
    served.unwrap();
    assert!(answers[0].starts_with("HTTP/1.1 500"), "{}", answers[0]);
    assert!(answers[0].contains("\r\ntidemark: "), "{}", answers[0]);
    assert!(
        answers[0].ends_with(r#""instance":"/panic"}"#),
        "{}",
        answers[0]
    );
    assert!(answers[1].starts_with("HTTP/1.1 200"), "{}", answers[1]);
    assert!(TcpStream::connect(address).await.is_err());
}

/// Asks on a connection that is to stay open, and reads the answer's head and body.
async fn ask_on(socket: &mut TcpStream) {
    let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    socket.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(br#"{"status":"alive"}"#) {
        assert!(socket.read_buf(&mut answer).await.unwrap() > 0, "closed");
    }
}

#[tokio::test]
async fn an_idle_connection_is_kept_for_the_next_request_and_delays_no_end() {
    let args = HttpArgs {
        bind: None,
        workers: 1,
        drain_seconds: 60,
    };
    let server = Server::bind(&args, 0).unwrap();
    let address = server.address();
    let shutdown = Shutdown::default();
    let ask = async {
        let mut socket = TcpStream::connect(address).await.unwrap();
        ask_on(&mut socket).await;
        // Longer than servers keep connections by default.
        let closed = tokio::time::timeout(Duration::from_secs(7), socket.readable()).await;
        assert!(closed.is_err(), "the connection was closed");
        ask_on(&mut socket).await;
        shutdown.start();
        (socket, Instant::now())
    };
    let (served, (_socket, stopped)) =
        tokio::join!(server.run(bolts(Some(EPOCH)), &shutdown, routes), ask);
    served.unwrap();
    let took = stopped.elapsed();
    assert!(took < Duration::from_secs(5), "ended after {took:?}");
}
