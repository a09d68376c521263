//! What a read takes from its request: headers and query parameters.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use chassis::auth::Principal;
use chassis::extract::parse_query;
use chassis::prefer::Prefer;
use chassis::problem::ApiError;
use chassis::tidemark::{Presented, Session};
use futures::future::{Ready, ready};

use crate::freshness::ReadOptions;

/// The query parameters in order; a name may occur several times.
pub(super) fn parameters(request: &HttpRequest) -> Result<Vec<(String, String)>, ApiError> {
    parse_query(request.query_string())
}

impl FromRequest for ReadOptions {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let principal = Principal::from_request(request, payload).into_inner();
        let presented = Presented::from_request(request, payload).into_inner();
        let Ok(session) = Session::from_request(request, payload).into_inner();
        // Reads need no bearer token, but one that is not valid is refused.
        ready(principal.and(presented).map(|presented| Self {
            presented,
            prefer: Prefer::parse(request.headers()),
            session,
        }))
    }
}
