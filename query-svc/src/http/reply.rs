//! Responses of reads, with `Tidemark-Served` and `Preference-Applied`.

use actix_web::HttpResponseBuilder;
use actix_web::http::header::{HeaderName, HeaderValue};
use chassis::problem::ApiError;

use crate::freshness::{LadderError, Read, ReadOptions};

static TIDEMARK_SERVED: HeaderName = HeaderName::from_static("tidemark-served");

/// A response from the current state.
pub(super) fn reply<T>(read: &Read<T>, response: HttpResponseBuilder) -> HttpResponseBuilder {
    read.raise_tidemark();
    with_headers(read, response)
}

/// A response from an earlier state with this `G`.
pub(super) fn reply_from<T>(
    read: &Read<T>,
    offset: u64,
    response: HttpResponseBuilder,
) -> HttpResponseBuilder {
    read.raise_tidemark_to(offset);
    with_headers(read, response)
}

/// An error that tells something of the state, such as a 404.
pub(super) fn reply_error<T>(read: &Read<T>, error: ApiError) -> ApiError {
    read.raise_tidemark();
    headers(read).fold(error, |error, (name, value)| error.with_header(name, value))
}

/// Turns the ladder's error into a problem.
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
