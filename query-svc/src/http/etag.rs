//! ETags of reads: `"<stream version>-<document seq>-<projection version>"`.
//!
//! If-Match of a command compares the first number, If-None-Match of a read all three. So a change
//! of stock gives the page a new ETag without causing conflicts, and so does a replay that folds the
//! same events into another representation.

use actix_web::HttpRequest;
use actix_web::http::header::{ETAG, HeaderName, HeaderValue, IF_NONE_MATCH};
use schemas::lane::Seq;

/// A strong ETag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Etag {
    pub stream_version: u64,
    pub seq: Seq,
    pub projection_version: u32,
}

impl Etag {
    /// For `insert_header`.
    pub(crate) fn header(self) -> (HeaderName, HeaderValue) {
        let value = HeaderValue::from_str(&self.text()).expect("digits in quotes are a header");
        (ETAG, value)
    }

    /// True if `If-None-Match` names this ETag: the client has this representation.
    pub(crate) fn is_known_to(self, request: &HttpRequest) -> bool {
        let lines = request.headers().get_all(IF_NONE_MATCH);
        let lines = lines.filter_map(|line| line.to_str().ok());
        let mut known = lines.flat_map(|line| line.split(',')).map(str::trim);
        let own = self.text();
        known.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == own)
    }

    fn text(self) -> String {
        let Self {
            stream_version,
            seq,
            projection_version,
        } = self;
        format!("\"{stream_version}-{seq}-{projection_version}\"")
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::the_same("\"3-7-2\"", true)]
    #[case::weak("W/\"3-7-2\"", true)]
    #[case::any("*", true)]
    #[case::one_of_many("\"1-1-2\", \"3-7-2\"", true)]
    #[case::an_older_document("\"3-6-2\"", false)]
    #[case::of_another_projection("\"3-7-1\"", false)]
    #[case::of_no_projection("\"3-7\"", false)]
    #[case::of_a_command("\"3\"", false)]
    fn a_document_is_known_by_version_seq_and_projection(
        #[case] known: &str,
        #[case] is_known: bool,
    ) {
        let request = TestRequest::default().insert_header((IF_NONE_MATCH, known));
        let etag = Etag {
            stream_version: 3,
            seq: 7,
            projection_version: 2,
        };
        assert_eq!(etag.is_known_to(&request.to_http_request()), is_known);
    }
}
