//! One client's session over REST: it hands back the tidemark of the last answer, as any shop front
//! would, and times what it is answered.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use serde_json::Value;

use super::rest;

/// How long a read may wait to be fresh.
const PREFER: &str = "wait=5";

#[derive(Debug)]
pub struct Session {
    client: Client,
    bearer: String,
    tidemark: Option<String>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
    /// Which step of the read ladder answered; none for commands.
    pub served: Option<String>,
    /// Until the last byte.
    pub took: Duration,
}

impl Session {
    pub fn new(bearer: String) -> Result<Self> {
        Ok(Self {
            client: rest::client()?,
            bearer,
            tidemark: None,
        })
    }

    /// What this client has written and seen so far.
    pub fn tidemark(&self) -> Option<&str> {
        self.tidemark.as_deref()
    }

    pub async fn get(&mut self, url: &str) -> Result<Answer> {
        self.ask(Method::GET, url, None).await
    }

    pub async fn send(&mut self, method: Method, url: &str, body: &Value) -> Result<Answer> {
        self.ask(method, url, Some(body)).await
    }

    async fn ask(&mut self, method: Method, url: &str, body: Option<&Value>) -> Result<Answer> {
        let mut request = self.client.request(method, url).bearer_auth(&self.bearer);
        if let Some(tidemark) = &self.tidemark {
            request = request.header(rest::TIDEMARK, tidemark);
        }
        request = match body {
            Some(body) => request.json(body),
            None => request.header("prefer", PREFER),
        };
        let started = Instant::now();
        let answer = request.send().await;
        let answer = rest::success(answer.with_context(|| format!("asking {url}"))?).await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.json().await;
        let took = started.elapsed();
        if let Some(tidemark) = text(&headers, rest::TIDEMARK) {
            self.tidemark = Some(tidemark);
        }
        Ok(Answer {
            status,
            body: body.with_context(|| format!("reading the answer of {url}"))?,
            served: text(&headers, "tidemark-served"),
            took,
        })
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}
