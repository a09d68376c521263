//! What bodies and query strings are refused for, and where the refusal points.

use actix_web::FromRequest;
use actix_web::test::TestRequest;
use rstest::rstest;
use serde::Deserialize;

use super::*;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    lines: Vec<Line>,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    quantity: u32,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Page {
    limit: Option<u8>,
    q: Option<String>,
}

fn refused(body: &str) -> Problem {
    parse_json::<Order>(body.as_bytes())
        .unwrap_err()
        .problem()
        .clone()
}

#[rstest]
#[case::wrong_type(
    r#"{"lines": [{"quantity": 1}, {"quantity": "two"}]}"#,
    "/lines/1/quantity"
)]
#[case::out_of_range(r#"{"lines": [{"quantity": -1}]}"#, "/lines/0/quantity")]
#[case::missing(r#"{"lines": [{}]}"#, "/lines/0/quantity")]
#[case::missing_at_the_top("{}", "/lines")]
#[case::unknown(r#"{"lines": [{"quantity": 1, "a/b": 2}]}"#, "/lines/0/a~1b")]
#[case::unknown_at_the_top(r#"{"lines": [], "colour": 1}"#, "/colour")]
#[case::twice(r#"{"lines": [], "lines": []}"#, "/lines")]
#[case::not_an_object("[[]]", "")]
#[case::number("7", "")]
#[case::nul(r#"{"lines": [], "note": "a\u0000b"}"#, "/note")]
fn a_body_of_the_wrong_shape_is_422_and_says_where(#[case] body: &str, #[case] pointer: &str) {
    let problem = refused(body);
    assert!(problem.is(ProblemType::Validation), "{problem:?}");
    assert_eq!(
        problem.members["errors"][0]["pointer"], pointer,
        "{problem:?}"
    );
    let message = problem.members["errors"][0]["message"].as_str().unwrap();
    assert!(!message.contains(" at line "), "{message}");
}

#[rstest]
#[case::empty("")]
#[case::blank("  \n")]
#[case::cut_short(r#"{"lines": ["#)]
#[case::two_values(r#"{"lines": []} {}"#)]
#[case::lone_surrogate(r#"{"lines": [], "note": "\ud800"}"#)]
#[case::no_json("lines=1")]
fn what_is_no_json_is_400(#[case] body: &str) {
    assert!(refused(body).is(ProblemType::Malformed));
}

#[test]
fn what_is_no_utf_8_is_400() {
    let error = parse_json::<Order>(b"{\"note\": \"\xff\"}").unwrap_err();
    assert!(error.problem().is(ProblemType::Malformed));
}

#[test]
fn an_escaped_backslash_before_u0000_is_no_nul() {
    let order: Order = parse_json(br#"{"lines": [], "note": "\\u0000"}"#).unwrap();
    assert_eq!(order.note.as_deref(), Some("\\u0000"));
}

#[rstest]
#[case::not_a_number("limit=many", "limit")]
#[case::out_of_range("limit=256", "limit")]
#[case::unknown("limit=1&colour=red", "colour")]
#[case::twice("limit=1&limit=2", "limit")]
#[case::nul("q=a%00b", "q")]
fn a_query_that_does_not_fit_is_422_and_names_the_parameter(
    #[case] query: &str,
    #[case] parameter: &str,
) {
    let problem = parse_query::<Page>(query).unwrap_err().problem().clone();
    assert!(problem.is(ProblemType::Validation));
    assert_eq!(
        problem.members["errors"][0]["parameter"], parameter,
        "{problem:?}"
    );
}

#[test]
fn a_query_is_decoded() {
    let page: Page = parse_query("q=a%20b+c&limit=20").unwrap();
    assert_eq!(
        page,
        Page {
            limit: Some(20),
            q: Some("a b c".to_owned())
        }
    );
}

async fn extract(request: TestRequest) -> Result<Json<Order>, ApiError> {
    let (request, mut payload) = request.to_http_parts();
    Json::<Order>::from_request(&request, &mut payload).await
}

#[rstest]
#[case::json("application/json", true)]
#[case::with_charset("application/json; charset=utf-8", true)]
#[case::merge_patch("application/merge-patch+json", true)]
#[case::form("application/x-www-form-urlencoded", false)]
#[case::text("text/plain", false)]
#[actix_web::test]
async fn only_json_is_taken(#[case] content_type: &str, #[case] taken: bool) {
    let request = TestRequest::post()
        .insert_header(("Content-Type", content_type))
        .set_payload(r#"{"lines": []}"#);
    match extract(request).await {
        Ok(_) => assert!(taken),
        Err(error) => {
            assert!(!taken, "{error}");
            assert!(error.problem().is(ProblemType::UnsupportedMediaType));
        }
    }
}

#[actix_web::test]
async fn a_body_without_a_type_is_415() {
    let error = extract(TestRequest::post().set_payload("{}"))
        .await
        .unwrap_err();
    assert!(error.problem().is(ProblemType::UnsupportedMediaType));
}

#[rstest]
#[case::announced(true)]
#[case::streamed(false)]
#[actix_web::test]
async fn a_body_above_the_limit_is_413(#[case] announced: bool) {
    let body = vec![b' '; MAX_BODY_BYTES + 1];
    let mut request = TestRequest::post().insert_header(("Content-Type", "application/json"));
    if announced {
        request = request.insert_header(("Content-Length", body.len()));
    }
    let error = extract(request.set_payload(body)).await.unwrap_err();
    assert!(error.problem().is(ProblemType::BodyTooLarge));
}
