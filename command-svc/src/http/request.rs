//! What every command brings beside its body: an admin, a key, an expectation, a deadline.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, IF_MATCH};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use chassis::auth::{Principal, Role};
use chassis::clock::Deadline;
use chassis::extract::Body;
use chassis::problem::ApiError;
use chassis::server::Correlation;
use chassis::telemetry::Chain;
use chassis::tidemark::{Presented, Session};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use schemas::event::Meta;
use schemas::problem::ProblemType;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{if_match, reply};
use crate::config::{FOREIGN_TIDEMARK_TIMEOUT, MAX_IDEMPOTENCY_KEY_CHARS, REQUEST_TIMEOUT};
use crate::execute::{Commands, Context, Expected, Resource};
use crate::store::Database;
use crate::store::idempotency::IdempotencyKey;

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Rules that the operator sets.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestRules {
    /// A change of a resource has to say which version it expects.
    pub require_if_match: bool,
}

/// An admin's request, before its body is looked at.
pub struct CommandRequest {
    commands: web::Data<Commands>,
    session: Session,
    foreign: bool,
    admin: Uuid,
    correlation: Correlation,
    expected: Expected,
    key: Option<String>,
    request: HttpRequest,
    deadline: Deadline,
}

/// A JSON body that arrived within the request's budget.
pub struct CommandBody(Body);

impl FromRequest for CommandBody {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = Deadline::within(REQUEST_TIMEOUT).run(Body::from_request(request, payload));
        let late = || malformed("the body did not arrive in time");
        async move { body.await.unwrap_or_else(|_| Err(late())).map(Self) }.boxed_local()
    }
}

impl CommandBody {
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        self.0.parse()
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0.0
    }
}

impl FromRequest for CommandRequest {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(Self::read(request, payload))
    }
}

impl CommandRequest {
    fn read(request: &HttpRequest, payload: &mut Payload) -> Result<Self, ApiError> {
        let deadline = Deadline::within(REQUEST_TIMEOUT);
        let admin = Principal::from_request(request, payload)
            .into_inner()?
            .require_admin()?;
        let commands = request.app_data::<web::Data<Commands>>().cloned();
        let expected = read_if_match(request.headers())?;
        let rules = request
            .app_data::<web::Data<RequestRules>>()
            .map(|rules| ***rules);
        if rules.unwrap_or_default().require_if_match
            && expected == Expected::Nothing
            && request.method() != Method::POST
        {
            let detail = "send If-Match with the ETag of the representation that you change";
            return Err(ApiError::new(ProblemType::PreconditionRequired, detail));
        }
        let session = Session::from_request(request, payload).into_inner();
        let presented = Presented::from_request(request, payload).into_inner()?;
        let correlation = Correlation::from_request(request, payload).into_inner();
        Ok(Self {
            commands: commands.ok_or_else(|| ApiError::internal("no commands were configured"))?,
            session: session.unwrap_or_default(),
            foreign: !presented.foreign.is_empty(),
            admin,
            correlation: correlation.unwrap_or_default(),
            expected,
            key: read_key(request.headers())?,
            request: request.clone(),
            deadline,
        })
    }

    /// Executes a command, and replies.
    pub async fn execute<A: Resource>(
        self,
        id: A::Id,
        command: A::Command,
        body: &[u8],
    ) -> Result<HttpResponse, ApiError> {
        let key = self.key.as_ref().map(|key| IdempotencyKey {
            principal: principal(Role::Admin, self.admin),
            key: key.clone(),
            fingerprint: self.fingerprint(body),
        });
        let Correlation {
            request_id,
            traceparent,
        } = self.correlation;
        let meta = Meta {
            principal: Some(self.admin),
            request_id: Some(request_id),
            traceparent,
        };
        let path = self.request.path().to_owned();
        let context = Context {
            meta,
            path: path.clone(),
            expected: self.expected,
            key,
            deadline: self.deadline,
        };
        let outcome = self.commands.execute::<A>(id, command, context).await?;
        if self.foreign {
            let soon = self.deadline.at_most(FOREIGN_TIDEMARK_TIMEOUT);
            settle(self.commands.database(), &self.session, soon).await;
        }
        reply::reply(outcome, &path, &self.session)
    }

    /// The same for requests that ask the same, however their JSON is laid out.
    fn fingerprint(&self, body: &[u8]) -> Vec<u8> {
        let if_match: Vec<&[u8]> = self
            .request
            .headers()
            .get_all(IF_MATCH)
            .map(|line| line.as_bytes())
            .collect();
        let if_match = if_match.join(&b","[..]);
        let method = self.request.method().as_str().as_bytes();
        let mut digest = Sha256::new();
        for part in [
            method,
            self.request.path().as_bytes(),
            &if_match,
            &canonical(body),
        ] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().to_vec()
    }
}

/// Keys of one role and subject are separate from those of another. An admin's is the subject
/// alone, as in earlier releases, which let only admins send commands: their kept answers are still
/// found.
fn principal(role: Role, subject: Uuid) -> String {
    match role {
        Role::Admin => subject.to_string(),
        Role::Customer => format!("customer:{subject}"),
    }
}

/// A foreign tidemark is replaced by the lane heads at its arrival. If these cannot be read, the
/// client keeps it.
async fn settle(database: &Database, session: &Session, deadline: Deadline) {
    match database.heads(deadline).await {
        Ok(heads) => {
            heads.into_iter().for_each(|head| session.raise(head));
            session.settle();
        }
        Err(error) => {
            tracing::debug!(error = %Chain(&error), "failed to read the lane heads for a foreign tidemark")
        }
    }
}

fn canonical(body: &[u8]) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else {
        return body.to_vec();
    };
    value.sort_all_objects();
    serde_json::to_vec(&value).expect("a value was just read from JSON")
}

fn read_if_match(headers: &HeaderMap) -> Result<Expected, ApiError> {
    let lines: Result<Vec<&str>, _> = headers
        .get_all(IF_MATCH)
        .map(|line| line.to_str())
        .collect();
    let lines = lines.map_err(|error| malformed("If-Match is not valid text").caused_by(error))?;
    if lines.is_empty() {
        return Ok(Expected::Nothing);
    }
    if_match::parse(&lines.join(",")).map_err(|error| malformed(&error.to_string()))
}

fn read_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let key = key
        .to_str()
        .map_err(|error| malformed("Idempotency-Key is not valid text").caused_by(error))?;
    if !(1..=MAX_IDEMPOTENCY_KEY_CHARS).contains(&key.len()) {
        let detail =
            format!("Idempotency-Key must have 1 to {MAX_IDEMPOTENCY_KEY_CHARS} characters");
        return Err(malformed(&detail));
    }
    Ok(Some(key.to_owned()))
}

fn malformed(detail: &str) -> ApiError {
    ApiError::new(ProblemType::Malformed, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_belong_to_a_role_and_a_subject_and_those_of_admins_are_found_again() {
        let subject = Uuid::from_u128(7);
        let admin = principal(Role::Admin, subject);
        assert_ne!(admin, principal(Role::Customer, subject));
        assert_ne!(admin, principal(Role::Admin, Uuid::from_u128(8)));
        assert_eq!(admin, "00000000-0000-0000-0000-000000000007");
    }
}
