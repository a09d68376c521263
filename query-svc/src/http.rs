//! The routes of query-svc: router and OpenAPI document come from one list.

use utoipa::IntoResponses;

mod categories;
mod etag;
mod extract;
mod problem;
mod products;
mod reply;
mod search;
mod suggest;
mod tidemark;

chassis::routes! {
    #[openapi(info(
        title = "Tidemark query-svc",
        description = "Reads that are never older than what you have written or seen. Hand back \
                       the `Tidemark` header of any answer with the next request."
    ))]
    search::search,
    suggest::suggest,
    products::product,
    categories::tree,
    categories::one,
    tidemark::state,
}

/// Problems (RFC 9457) that every read may be answered with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described")]
enum Refusals {
    /// A tidemark, cursor or parameter that cannot be read.
    #[response(status = 400)]
    Malformed,
    /// A bearer token that is not valid, or no longer.
    #[response(status = 401)]
    Unauthenticated,
    /// A tidemark of another history, where the request is strict or the history was lost.
    #[response(status = 409)]
    HistoryChanged,
    /// Not visible yet, or a server is away: Retry-After says when.
    #[response(status = 503)]
    Unavailable,
}
