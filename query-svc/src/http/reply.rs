//! Answers of reads: which step of the ladder served them, and what was preferred.

use actix_web::HttpResponseBuilder;
use actix_web::http::header::{HeaderName, HeaderValue};
use chassis::problem::ApiError;

use crate::freshness::{LadderError, Read, ReadOptions};

static TIDEMARK_SERVED: HeaderName = HeaderName::from_static("tidemark-served");

/// A response that shows what was read.
pub(super) fn reply<T>(read: &Read<T>, response: HttpResponseBuilder) -> HttpResponseBuilder {
    read.raise_tidemark();
    with_headers(read, response)
}

/// In place of `reply`, for an answer from an earlier state, of this `G`.
pub(super) fn reply_from<T>(
    read: &Read<T>,
    offset: u64,
    response: HttpResponseBuilder,
) -> HttpResponseBuilder {
    read.raise_tidemark_to(offset);
    with_headers(read, response)
}

/// The same for an error that says something about the state, such as a 404.
pub(super) fn reply_error<T>(read: &Read<T>, error: ApiError) -> ApiError {
    read.raise_tidemark();
    headers(read).fold(error, |error, (name, value)| error.with_header(name, value))
}

/// The problem of a read that the ladder did not answer.
pub(super) fn refuse(options: &ReadOptions) -> impl FnOnce(LadderError) -> ApiError {
    let applied = options.prefer.applied();
    move |error| {
        let error = ApiError::from(error);
        applied
            .into_iter()
            .fold(error, |error, (name, value)| error.with_header(name, value))
    }
}

fn with_headers<T>(read: &Read<T>, mut response: HttpResponseBuilder) -> HttpResponseBuilder {
    for header in headers(read) {
        response.insert_header(header);
    }
    response
}

fn headers<T>(read: &Read<T>) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let served = HeaderValue::from_static(read.step().name());
    let served = (TIDEMARK_SERVED.clone(), served);
    std::iter::once(served).chain(read.prefer().applied())
}
