//! A client that keeps its tidemark, as `docs/tidemark.md` asks of clients.

use std::sync::Mutex;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

pub struct Client {
    http: reqwest::Client,
    url: String,
    tidemark: Mutex<Option<String>>,
    headers: HeaderMap,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// Null where there is no JSON.
    pub body: Value,
}

impl Client {
    pub fn new(url: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy();
        Self {
            http: http.timeout(super::LIMIT).build().unwrap(),
            url: url.to_owned(),
            tidemark: Mutex::default(),
            headers: HeaderMap::new(),
        }
    }

    /// Another that has seen nothing, over the same connections.
    pub fn stranger(&self) -> Self {
        Self {
            http: self.http.clone(),
            url: self.url.clone(),
            tidemark: Mutex::default(),
            headers: self.headers.clone(),
        }
    }

    /// Has seen or written what this token says.
    pub fn holding(self, token: impl Into<String>) -> Self {
        *self.tidemark.lock().unwrap() = Some(token.into());
        self
    }

    /// Sends this header with every request.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    pub fn tidemark(&self) -> Option<String> {
        self.tidemark.lock().unwrap().clone()
    }

    pub async fn get(&self, path: &str) -> Answer {
        let mut request = self.http.get(format!("{}{path}", self.url));
        request = request.headers(self.headers.clone());
        if let Some(tidemark) = self.tidemark() {
            request = request.header("tidemark", tidemark);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let answer = Answer {
            status,
            headers,
            body,
        };
        if let Some(tidemark) = answer.header("tidemark") {
            *self.tidemark.lock().unwrap() = Some(tidemark.to_owned());
        }
        answer
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The step of the ladder.
    pub fn served(&self) -> &str {
        self.header("tidemark-served").unwrap_or("nothing")
    }

    /// The last part of the problem's type.
    pub fn problem(&self) -> &str {
        let uri = self.body["type"].as_str().unwrap_or_default();
        uri.strip_prefix("/problems/").unwrap_or_default()
    }
}
