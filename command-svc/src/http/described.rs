//! What the OpenAPI document says of every command besides its body: headers, problems, the bearer
//! token.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{IntoParams, IntoResponses, Modify, ToSchema};

/// Headers that every command takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only described; `request` reads the headers")]
pub struct CommandHeaders {
    /// The same key gives the same answer again, for 24 hours.
    #[param(rename = "Idempotency-Key", max_length = 255)]
    idempotency_key: Option<String>,
    /// ETag of the representation that is changed; `*` for any.
    #[param(rename = "If-Match", example = "\"3\"")]
    if_match: Option<String>,
    /// Tidemarks that the answer's shall include; up to 8, comma-separated.
    #[param(rename = "Tidemark")]
    tidemark: Option<String>,
}

/// RFC 9457.
#[derive(Serialize, ToSchema)]
pub struct ProblemBody {
    /// `/problems/<name>`, stable.
    #[serde(rename = "type")]
    #[schema(example = "/problems/validation")]
    type_uri: String,
    title: String,
    status: u16,
    detail: String,
    instance: Option<String>,
    /// Members of the type: `errors`, `current_version`, `retry_after_ms` …
    #[serde(flatten)]
    members: BTreeMap<String, Value>,
}

/// What every command may answer beside its success.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described")]
pub enum Problems {
    /// Body, header or tidemark that cannot be read.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(#[to_schema] ProblemBody),
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(#[to_schema] ProblemBody),
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(#[to_schema] ProblemBody),
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(#[to_schema] ProblemBody),
    /// A refusal of the business; its type says which.
    #[response(status = 409, content_type = "application/problem+json")]
    Refused(#[to_schema] ProblemBody),
    /// Has `current_version`.
    #[response(status = 412, content_type = "application/problem+json")]
    VersionMismatch(#[to_schema] ProblemBody),
    #[response(status = 413, content_type = "application/problem+json")]
    BodyTooLarge(#[to_schema] ProblemBody),
    #[response(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(#[to_schema] ProblemBody),
    /// Has `errors`, each at a JSON pointer; or the idempotency key was used for another request.
    #[response(status = 422, content_type = "application/problem+json")]
    Validation(#[to_schema] ProblemBody),
    /// Only where the operator requires If-Match.
    #[response(status = 428, content_type = "application/problem+json")]
    PreconditionRequired(#[to_schema] ProblemBody),
    /// Has Retry-After.
    #[response(status = 429, content_type = "application/problem+json")]
    TooManyRequests(#[to_schema] ProblemBody),
    /// Has Retry-After; `outcome-unknown` where the connection was lost while committing.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] ProblemBody),
}

/// The security scheme of all routes.
pub struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}
