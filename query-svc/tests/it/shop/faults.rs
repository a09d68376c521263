//! Between a replica and the real Elasticsearch: passes everything on, and fails what it is told to.

use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::dev::ServerHandle;
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Ends when it is dropped.
pub struct Faults {
    pub url: String,
    rules: Data<Rules>,
    server: ServerHandle,
}

struct Rules {
    server: String,
    http: reqwest::Client,
    /// Requests fail whose path ends so.
    failing_path: Mutex<Option<&'static str>>,
    /// Requests fail that name one of these points in time.
    broken: Mutex<Vec<String>>,
    opened: Mutex<Vec<String>>,
    failed: AtomicUsize,
    /// Requests wait whose body contains this.
    held_text: watch::Sender<Option<&'static str>>,
    held: AtomicUsize,
    searches: Mutex<Vec<Value>>,
}

impl Faults {
    pub fn start(server: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let rules = Data::new(Rules {
            server: server.to_owned(),
            http,
            failing_path: Mutex::default(),
            broken: Mutex::default(),
            opened: Mutex::default(),
            failed: AtomicUsize::new(0),
            held_text: watch::Sender::new(None),
            held: AtomicUsize::new(0),
            searches: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let data = Data::clone(&rules);
        let app = move || {
            let app = App::new().app_data(Data::clone(&data));
            app.default_service(web::to(pass))
        };
        let server = HttpServer::new(app).workers(1).disable_signals();
        let server = server.listen(listener).unwrap().run();
        let handle = server.handle();
        tokio::spawn(server);
        Self {
            url,
            rules,
            server: handle,
        }
    }

    /// From now on requests whose path ends so are answered 503; none fail with none.
    pub fn fail(&self, path: Option<&'static str>) {
        *self.rules.failing_path.lock().unwrap() = path;
    }

    /// Whatever asks one of the points in time that are open by now is answered 503.
    pub fn break_points(&self) {
        let opened = self.rules.opened.lock().unwrap().clone();
        *self.rules.broken.lock().unwrap() = opened;
    }

    /// From now on requests whose body contains this wait; with none, all go on.
    pub fn hold(&self, text: Option<&'static str>) {
        self.rules.held_text.send_replace(text);
    }

    /// How many requests have been held so far.
    pub fn held(&self) -> usize {
        self.rules.held.load(Ordering::SeqCst)
    }

    /// Bodies of the searches so far.
    pub fn searches(&self) -> Vec<Value> {
        self.rules.searches.lock().unwrap().clone()
    }

    /// How many points in time have been opened so far.
    pub fn points_opened(&self) -> usize {
        self.rules.opened.lock().unwrap().len()
    }

    /// How many requests have failed so far.
    pub fn failed(&self) -> usize {
        self.rules.failed.load(Ordering::SeqCst)
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        // Sends the command at once; what it answers is when all has ended.
        drop(self.server.stop(false));
    }
}

impl Rules {
    fn is_failing(&self, path: &str, body: &[u8]) -> bool {
        let failing = self.failing_path.lock().unwrap();
        let names = |point: &String| String::from_utf8_lossy(body).contains(point.as_str());
        failing.is_some_and(|failing| path.ends_with(failing))
            || self.broken.lock().unwrap().iter().any(names)
    }

    async fn hold(&self, body: &[u8]) {
        let body = String::from_utf8_lossy(body);
        let is_held = |text: &Option<&str>| text.is_some_and(|text| body.contains(text));
        let mut text = self.held_text.subscribe();
        if is_held(&text.borrow()) {
            self.held.fetch_add(1, Ordering::SeqCst);
            text.wait_for(|text| !is_held(text)).await.unwrap();
        }
    }

    async fn forward(&self, request: &HttpRequest, body: Bytes) -> reqwest::Result<(u16, Bytes)> {
        let url = format!("{}{}", self.server, request.uri());
        let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes());
        let mut forwarded = self.http.request(method.unwrap(), url).body(body);
        if let Some(content_type) = request.headers().get("content-type") {
            forwarded = forwarded.header("content-type", content_type.to_str().unwrap());
        }
        let answer = forwarded.send().await?;
        Ok((answer.status().as_u16(), answer.bytes().await?))
    }
}

async fn pass(request: HttpRequest, body: Bytes, rules: Data<Rules>) -> HttpResponse {
    if rules.is_failing(request.path(), &body) {
        rules.failed.fetch_add(1, Ordering::SeqCst);
        let error = json!({"error": {"type": "unavailable", "reason": "on purpose"}});
        return HttpResponse::ServiceUnavailable().json(error);
    }
    if request.path().ends_with("/_search") {
        let search = serde_json::from_slice(&body).unwrap();
        rules.searches.lock().unwrap().push(search);
    }
    rules.hold(&body).await;
    let (status, answer) = rules.forward(&request, body).await.unwrap();
    if request.path().ends_with("/_pit") {
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let ids = answer["id"].as_str().map(str::to_owned);
        rules.opened.lock().unwrap().extend(ids);
    }
    let status = actix_web::http::StatusCode::from_u16(status).unwrap();
    HttpResponse::build(status)
        .insert_header(("x-elastic-product", "Elasticsearch"))
        .content_type("application/json")
        .body(answer)
}
