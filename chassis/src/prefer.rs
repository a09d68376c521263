//! `Prefer` (RFC 7240) of a read: how long it may wait, and whether stale is better than nothing.
//!
//! What cannot be understood is ignored, as the RFC wants; what was honoured is said in
//! `Preference-Applied`.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest};

/// The longest wait that is granted.
pub const MAX_WAIT: Duration = Duration::from_secs(5);

pub static PREFER: HeaderName = HeaderName::from_static("prefer");
pub static PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prefer {
    /// Already capped at `MAX_WAIT`; none where the request does not say.
    pub wait: Option<Duration>,
    /// None where the request does not say; reads are strict then, yet take foreign tidemarks.
    pub handling: Option<Handling>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    Strict,
    Lenient,
}

impl Prefer {
    pub fn parse(headers: &HeaderMap) -> Self {
        let mut prefer = Self::default();
        let lines = headers
            .get_all(&PREFER)
            .filter_map(|value| value.to_str().ok());
        for preference in lines.flat_map(|line| line.split(',')) {
            let preference = preference.split(';').next().unwrap_or_default();
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "wait" => prefer.wait = prefer.wait.or(parse_wait(value)),
                "handling" => prefer.handling = prefer.handling.or(parse_handling(value)),
                _ => {}
            }
        }
        prefer
    }

    pub fn is_lenient(self) -> bool {
        self.handling == Some(Handling::Lenient)
    }

    /// True only if the request itself says so.
    pub fn is_strict(self) -> bool {
        self.handling == Some(Handling::Strict)
    }

    /// The header that says what was honoured, for `HttpResponseBuilder::insert_header`; none
    /// where nothing was asked.
    pub fn applied(self) -> Option<(HeaderName, HeaderValue)> {
        let wait = self.wait.map(|wait| format!("wait={}", wait.as_secs_f64()));
        let handling = self.handling.map(|handling| match handling {
            Handling::Strict => "handling=strict".to_owned(),
            Handling::Lenient => "handling=lenient".to_owned(),
        });
        let text = wait
            .into_iter()
            .chain(handling)
            .collect::<Vec<_>>()
            .join(", ");
        let value = HeaderValue::from_str(&text)
            .ok()
            .filter(|value| !value.is_empty())?;
        Some((PREFERENCE_APPLIED.clone(), value))
    }
}

impl FromRequest for Prefer {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::parse(request.headers())))
    }
}

fn parse_wait(text: &str) -> Option<Duration> {
    let seconds: f64 = text
        .parse()
        .ok()
        .filter(|seconds: &f64| !seconds.is_nan())?;
    let capped = seconds.min(MAX_WAIT.as_secs_f64());
    Duration::try_from_secs_f64(capped).ok()
}

fn parse_handling(text: &str) -> Option<Handling> {
    match text.to_ascii_lowercase().as_str() {
        "strict" => Some(Handling::Strict),
        "lenient" => Some(Handling::Lenient),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use rstest::rstest;

    use super::*;

    fn parse(lines: &[&str]) -> Prefer {
        let request = lines.iter().fold(TestRequest::default(), |request, line| {
            request.append_header(("Prefer", *line))
        });
        Prefer::parse(request.to_http_request().headers())
    }

    #[rstest]
    #[case::whole_seconds("wait=2", Some(2_000))]
    #[case::fractions("wait=0.25", Some(250))]
    #[case::capped("wait=3600", Some(5_000))]
    #[case::endless_is_capped("wait=inf", Some(5_000))]
    #[case::negative_is_ignored("wait=-1", None)]
    #[case::text_is_ignored("wait=soon", None)]
    #[case::not_a_number_is_ignored("wait=NaN", None)]
    #[case::quoted_with_parameters("respond-async, Wait=\"1\"; x=y", Some(1_000))]
    fn a_wait_is_seconds_and_capped(#[case] line: &str, #[case] milliseconds: Option<u64>) {
        assert_eq!(parse(&[line]).wait, milliseconds.map(Duration::from_millis));
    }

    #[test]
    fn the_first_of_several_counts_over_all_lines() {
        let prefer = parse(&["handling=lenient", "handling=strict, wait=1"]);
        assert!(prefer.is_lenient() && !prefer.is_strict());
        let (_, applied) = prefer.applied().unwrap();
        assert_eq!(applied, "wait=1, handling=lenient");
    }

    #[test]
    fn nothing_asked_is_nothing_applied() {
        let prefer = parse(&[]);
        assert_eq!(prefer.applied(), None);
        assert!(!prefer.is_strict());
    }
}
