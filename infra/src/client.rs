//! A client as a shop front would write it: it hands back the tidemark of the last answer, and
//! goes to another replica with every request. Stories and the demo use it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::operation::rest::TIDEMARK;

/// One session. All its requests carry what it has written and seen.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    commands: Replicas,
    queries: Replicas,
    authorization: Option<HeaderValue>,
    tidemark: Mutex<Option<HeaderValue>>,
    prefer: Option<HeaderValue>,
}

/// Addresses that are asked by turns. Each kind has turns of its own: a session that writes and
/// reads by turns still reads from every replica.
#[derive(Debug)]
struct Replicas {
    urls: Vec<String>,
    turn: AtomicUsize,
}

impl Replicas {
    fn new(urls: &[String]) -> Self {
        Self {
            urls: urls.to_vec(),
            turn: AtomicUsize::new(0),
        }
    }

    fn next(&self) -> &str {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        &self.urls[turn % self.urls.len()]
    }
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
    /// Until the last byte.
    pub took: Duration,
}

impl Client {
    /// `bearer` is a token of the role that the session acts in; none is anonymous.
    pub fn new(commands: &[String], queries: &[String], bearer: Option<&str>) -> Result<Self> {
        let authorization = bearer
            .map(|token| format!("Bearer {token}").parse())
            .transpose()?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(20))
            .connect_timeout(Duration::from_secs(2))
            .build()?;
        Ok(Self {
            http,
            commands: Replicas::new(commands),
            queries: Replicas::new(queries),
            authorization,
            tidemark: Mutex::new(None),
            prefer: None,
        })
    }

    /// Every read asks for this, such as `wait=5`.
    pub fn preferring(mut self, prefer: &'static str) -> Self {
        self.prefer = Some(HeaderValue::from_static(prefer));
        self
    }

    /// The tidemark of the last answer.
    pub fn tidemark(&self) -> Option<HeaderValue> {
        self.tidemark.lock().expect("no holder panics").clone()
    }

    /// From now on this session is as fresh as the other one, too: the next request carries both
    /// tokens, and its answer merges them.
    pub fn adopt(&self, other: Option<HeaderValue>) {
        let mut tidemark = self.tidemark.lock().expect("no holder panics");
        let both = match (tidemark.take(), other) {
            (Some(own), Some(other)) => {
                let both = [own.as_bytes(), other.as_bytes()].join(&b", "[..]);
                Some(HeaderValue::from_bytes(&both).expect("tokens are base64url"))
            }
            (own, other) => own.or(other),
        };
        *tidemark = both;
    }

    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Answer> {
        self.command(Method::POST, path, body, &[]).await
    }

    pub async fn put(&self, path: &str, body: &impl Serialize) -> Result<Answer> {
        self.command(Method::PUT, path, body, &[]).await
    }

    pub async fn patch(&self, path: &str, body: &impl Serialize) -> Result<Answer> {
        self.command(Method::PATCH, path, body, &[]).await
    }

    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.command(Method::DELETE, path, &Value::Null, &[]).await
    }

    /// A command to the next replica of command-svc, with extra headers.
    pub async fn command(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
        headers: &[(HeaderName, &str)],
    ) -> Result<Answer> {
        let body = serde_json::to_vec(body)?;
        let url = format!("{}{path}", self.commands.next());
        let mut request = self
            .http
            .request(method, &url)
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = if body == b"null" {
            request
        } else {
            request.body(body)
        };
        self.send(request)
            .await
            .with_context(|| format!("command to {url}"))
    }

    /// A read from the next replica of query-svc.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        let url = format!("{}{path}", self.queries.next());
        self.get_from(&url).await
    }

    /// A read from this very address.
    pub async fn get_from(&self, url: &str) -> Result<Answer> {
        let mut request = self.http.get(url);
        if let Some(prefer) = &self.prefer {
            request = request.header("prefer", prefer);
        }
        self.send(request)
            .await
            .with_context(|| format!("read of {url}"))
    }

    /// A read that follows Retry-After, as every client should, until this time is up.
    pub async fn get_within(&self, path: &str, limit: Duration) -> Result<Answer> {
        let deadline = Instant::now() + limit;
        loop {
            let answer = self.get(path).await?;
            if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                return Ok(answer);
            }
            let pause = answer.retry_after().context("a 503 without Retry-After")?;
            ensure!(
                Instant::now() + pause < deadline,
                "not in {limit:?}: {answer:?}"
            );
            tokio::time::sleep(pause).await;
        }
    }

    async fn send(&self, mut request: reqwest::RequestBuilder) -> Result<Answer> {
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        if let Some(tidemark) = self.tidemark() {
            request = request.header(TIDEMARK, tidemark);
        }
        let started = Instant::now();
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await?;
        let took = started.elapsed();
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes)?
        };
        if let Some(tidemark) = headers.get(TIDEMARK) {
            *self.tidemark.lock().expect("no holder panics") = Some(tidemark.clone());
        }
        Ok(Answer {
            status,
            headers,
            body,
            took,
        })
    }
}

impl Answer {
    /// The answer, if it has this status; else an error that shows it.
    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(
            self.status.as_u16() == status,
            "{status} was expected: {self:?}"
        );
        Ok(self)
    }

    pub fn id(&self) -> Result<Uuid> {
        let id = self.body["id"].as_str().context("the answer has no id")?;
        Ok(id.parse()?)
    }

    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(serde_json::from_value(self.body.clone())?)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Which step of the read ladder answered.
    pub fn served(&self) -> Option<&str> {
        self.header("tidemark-served")
    }

    pub fn retry_after(&self) -> Option<Duration> {
        let exact = self.body["retry_after_ms"]
            .as_u64()
            .map(Duration::from_millis);
        exact.or_else(|| {
            self.header("retry-after")?
                .parse()
                .ok()
                .map(Duration::from_secs)
        })
    }

    /// The last part of the problem's type.
    pub fn problem(&self) -> Option<&str> {
        self.body["type"].as_str()?.strip_prefix("/problems/")
    }

    /// Ids of the hits of a page.
    pub fn ids(&self) -> Vec<Uuid> {
        let items = self.body["items"].as_array().into_iter().flatten();
        items
            .filter_map(|item| item["id"].as_str()?.parse().ok())
            .collect()
    }
}
