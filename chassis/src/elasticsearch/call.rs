//! One request to Elasticsearch, put together by the operation that makes it.

use ::elasticsearch::http::Method;
use ::elasticsearch::http::headers::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use bytes::Bytes;

pub(super) const JSON: &str = "application/json";
pub(super) const NDJSON: &str = "application/x-ndjson";

pub(super) struct Call<'a> {
    pub(super) operation: &'static str,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
}

impl<'a> Call<'a> {
    pub(super) fn new(operation: &'static str, method: Method, path: impl Into<String>) -> Self {
        let body = Bytes::new();
        Self {
            operation,
            method,
            path: path.into(),
            query: &[],
            content_type: JSON,
            body,
        }
    }

    pub(super) fn query(self, query: &'a [(&'a str, &'a str)]) -> Self {
        Self { query, ..self }
    }

    pub(super) fn json(self, body: &serde_json::Value) -> Self {
        Self {
            body: body.to_string().into(),
            ..self
        }
    }

    pub(super) fn body(self, content_type: &'static str, body: Bytes) -> Self {
        Self {
            content_type,
            body,
            ..self
        }
    }
}

/// Answers come as they are: compressing them costs more than the loopback or a rack saves.
pub(super) fn headers(content_type: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers
}
