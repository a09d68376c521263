//! Extractors whose refusals are problems: `Json` and `Body` for bodies, `Query` for parameters.
//!
//! Unreadable input is 400 `malformed`; readable input of the wrong shape is 422 `validation`,
//! which names the place. Text never holds NUL, which PostgreSQL cannot keep.

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{FromRequest, HttpRequest};
use bytes::{Bytes, BytesMut};
use futures::future::{LocalBoxFuture, Ready, ready};
use futures::{FutureExt, StreamExt};
use schemas::problem::{Problem, ProblemType, Violation};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serde_path_to_error::Segment;

use crate::problem::ApiError;

/// The largest body that is taken at once. Imports stream theirs.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// A JSON body as its raw bytes, for those who need a fingerprint of it; `parse` reads it.
#[derive(Debug, Clone)]
pub struct Body(pub Bytes);

/// A JSON body, read into `T`. `T` should deny unknown fields.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

/// The query string, read into `T`. `T` should deny unknown fields.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl Body {
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        parse_json(&self.0)
    }
}

impl FromRequest for Body {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let acceptable = check_headers(request);
        let payload = payload.take();
        async move {
            acceptable?;
            read(payload).await.map(Self)
        }
        .boxed_local()
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = Body::from_request(request, payload);
        async move { body.await?.parse().map(Self) }.boxed_local()
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse_query(request.query_string()).map(Self))
    }
}

/// Reads a JSON object whose texts hold no NUL.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let text = utf8(bytes)?;
    let value = parse_object(text)?;
    if text.contains("\\u0000") {
        refuse_nul(text)?;
    }
    Ok(value)
}

/// The same for a line of an import, whose reader cleans all texts, of NUL too.
pub fn parse_json_line<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    parse_object(utf8(bytes)?)
}

fn utf8(bytes: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(bytes).map_err(|error| malformed("the body is not UTF-8").caused_by(error))
}

fn parse_object<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    if text.trim().is_empty() {
        return Err(malformed("the body is empty"));
    }
    if text.trim_start().starts_with('[') {
        // A derived struct would also read its members in order from an array.
        return Err(ApiError::validation(&[Violation::new(
            "",
            "expected an object",
        )]));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = pointer(error.path());
        refuse_json(path, error.into_inner())
    })?;
    deserializer
        .end()
        .map_err(|error| refuse_json(String::new(), error))?;
    Ok(value)
}

/// Reads a query string; a refusal names the parameter.
pub fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    if let Some((name, _)) = pairs.into_iter().find(|(_, value)| value.contains('\0')) {
        return Err(refuse_parameter(&name, "text must not hold NUL"));
    }
    let deserializer = serde_urlencoded::Deserializer::new(pairs);
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        let message = error.inner().to_string();
        let name = quoted(&message).filter(|_| path == ".").unwrap_or(&path);
        refuse_parameter(name, &message)
    })
}

fn check_headers(request: &HttpRequest) -> Result<(), ApiError> {
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let refused = |detail: &str| Err(ApiError::new(ProblemType::UnsupportedMediaType, detail));
    let essence = header(CONTENT_TYPE)
        .and_then(|value| value.split(';').next())
        .unwrap_or("");
    let essence = essence.trim().to_ascii_lowercase();
    if essence != "application/json"
        && !(essence.starts_with("application/") && essence.ends_with("+json"))
    {
        return refused("send application/json");
    }
    if header(CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return refused("send the body without a content coding");
    }
    let length = header(CONTENT_LENGTH).and_then(|value| value.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_BODY_BYTES) {
        Err(too_large())
    } else {
        Ok(())
    }
}

async fn read(mut payload: Payload) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk
            .map_err(|error| malformed("the body ended too early").caused_by(error.to_string()))?;
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn malformed(detail: impl Into<String>) -> ApiError {
    ApiError::new(ProblemType::Malformed, detail)
}

fn too_large() -> ApiError {
    let detail = format!("a body is at most {MAX_BODY_BYTES} bytes");
    Problem::new(ProblemType::BodyTooLarge, detail)
        .with("limit_bytes", MAX_BODY_BYTES)
        .into()
}

fn refuse_json(mut pointer: String, error: serde_json::Error) -> ApiError {
    let message = error.to_string();
    if !error.is_data() {
        return malformed(format!("the body is not JSON: {message}"));
    }
    let message = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(text, _)| text);
    if (message.starts_with("missing field") || message.starts_with("duplicate field"))
        && let Some(field) = quoted(message)
    {
        push_segment(&mut pointer, field);
    }
    ApiError::validation(&[Violation::new(pointer, message)])
}

fn refuse_parameter(name: &str, message: &str) -> ApiError {
    Problem::new(
        ProblemType::Validation,
        format!("query parameter {name} is not acceptable"),
    )
    .with("errors", json!([{"parameter": name, "message": message}]))
    .into()
}

/// The first name in backquotes, as in "missing field `sku`".
fn quoted(message: &str) -> Option<&str> {
    message.split('`').nth(1)
}

/// RFC 6901.
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => push_segment(&mut pointer, &index.to_string()),
            Segment::Map { key } => push_segment(&mut pointer, key),
            Segment::Enum { variant } => push_segment(&mut pointer, variant),
            Segment::Unknown => {}
        }
    }
    pointer
}

fn push_segment(pointer: &mut String, segment: &str) {
    pointer.push('/');
    pointer.push_str(&segment.replace('~', "~0").replace('/', "~1"));
}

fn refuse_nul(text: &str) -> Result<(), ApiError> {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let mut violations = Vec::new();
    find_nul(&value, &mut String::new(), &mut violations);
    if violations.is_empty() {
        Ok(())
    } else {
        Err(ApiError::validation(&violations))
    }
}

fn find_nul(value: &Value, pointer: &mut String, found: &mut Vec<Violation>) {
    let at = pointer.len();
    let refuse = |pointer: &str| Violation::new(pointer, "text must not hold NUL");
    match value {
        Value::String(text) if text.contains('\0') => found.push(refuse(pointer)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                push_segment(pointer, &index.to_string());
                find_nul(item, pointer, found);
                pointer.truncate(at);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                push_segment(pointer, name);
                if name.contains('\0') {
                    found.push(refuse(pointer));
                }
                find_nul(member, pointer, found);
                pointer.truncate(at);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
