//! Between a projector and the real Elasticsearch: passes everything on at once, but can hold back
//! the answers to refreshes of products, so that a refresh stays in flight while more is written.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use tokio::sync::watch;

const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

/// Ends when it is dropped.
pub struct HeldRefreshes {
    pub url: String,
    gate: Data<Gate>,
    server: ServerHandle,
}

struct Gate {
    elasticsearch: String,
    http: reqwest::Client,
    refreshes: watch::Sender<Refreshes>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Refreshes {
    /// Executed by Elasticsearch.
    executed: u64,
    /// Their answers may pass; all of them with none.
    answered_up_to: Option<u64>,
}

impl HeldRefreshes {
    pub fn start(elasticsearch: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let gate = Data::new(Gate {
            elasticsearch: elasticsearch.to_owned(),
            http,
            refreshes: watch::Sender::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let data = Data::clone(&gate);
        let app = move || {
            let large = PayloadConfig::new(MAX_BODY_BYTES);
            let app = App::new().app_data(Data::clone(&data)).app_data(large);
            app.default_service(web::to(pass))
        };
        let server = HttpServer::new(app).workers(1).disable_signals();
        let server = server.listen(listener).unwrap().run();
        let handle = server.handle();
        tokio::spawn(server);
        Self {
            url,
            gate,
            server: handle,
        }
    }

    /// From now on Elasticsearch's answers to refreshes wait.
    pub fn hold(&self) {
        self.gate.refreshes.send_modify(|refreshes| {
            refreshes.answered_up_to = Some(refreshes.executed);
        });
    }

    /// Waits until Elasticsearch has executed a refresh whose answer is held.
    pub async fn one_is_held(&self, limit: Duration) {
        let mut refreshes = self.gate.refreshes.subscribe();
        let held = refreshes.wait_for(|now| Some(now.executed) > now.answered_up_to);
        let held = tokio::time::timeout(limit, held).await;
        drop(held.expect("a refresh is sent in time").unwrap());
    }

    /// Lets the answer of one refresh pass, the first that waits or comes.
    pub fn answer_one(&self) {
        self.gate.refreshes.send_modify(|refreshes| {
            refreshes.answered_up_to = refreshes.answered_up_to.map(|number| number + 1);
        });
    }

    pub fn answer_all(&self) {
        self.gate
            .refreshes
            .send_modify(|refreshes| refreshes.answered_up_to = None);
    }
}

impl Drop for HeldRefreshes {
    fn drop(&mut self) {
        // Sends the command at once; what it answers is when all has ended.
        drop(self.server.stop(false));
    }
}

impl Gate {
    async fn forward(&self, request: &HttpRequest, body: Bytes) -> reqwest::Result<HttpResponse> {
        let url = format!("{}{}", self.elasticsearch, request.uri());
        let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes());
        let mut forwarded = self.http.request(method.unwrap(), url).body(body);
        if let Some(content_type) = request.headers().get("content-type") {
            forwarded = forwarded.header("content-type", content_type.to_str().unwrap());
        }
        let answer = forwarded.send().await?;
        let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
        let body = answer.bytes().await?;
        Ok(HttpResponse::build(status)
            .insert_header(("x-elastic-product", "Elasticsearch"))
            .content_type("application/json")
            .body(body))
    }

    /// Waits where the answer to this refresh is held.
    async fn hold(&self) {
        let mut number = 0;
        self.refreshes.send_modify(|refreshes| {
            refreshes.executed += 1;
            number = refreshes.executed;
        });
        let mut refreshes = self.refreshes.subscribe();
        let passes = refreshes.wait_for(|now| now.answered_up_to.is_none_or(|most| number <= most));
        drop(passes.await.unwrap());
    }
}

async fn pass(request: HttpRequest, body: Bytes, gate: Data<Gate>) -> HttpResponse {
    let answer = gate.forward(&request, body).await.unwrap();
    let path = request.path();
    if path.ends_with("/_refresh") && path.contains("products") {
        gate.hold().await;
    }
    answer
}
