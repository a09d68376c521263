//! `If-Match`: a list of entity tags whose first number is a stream version, or `*`.
//!
//! Commands answer `"<version>"`, reads `"<version>-<seq>-<projection version>"`, and those of an
//! earlier release `"<version>-<seq>"`. Text that is not a tag is malformed; a weak tag, or one
//! that no release issues, matches nothing.

use crate::execute::Expected;

/// The most numbers in a tag.
const MAX_NUMBERS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("If-Match is neither * nor a list of entity tags in double quotes")]
pub struct MalformedIfMatch;

pub fn parse(value: &str) -> Result<Expected, MalformedIfMatch> {
    if value.trim() == "*" {
        return Ok(Expected::Anything);
    }
    let mut versions = Vec::new();
    let mut rest = value.trim();
    loop {
        let is_weak = rest.starts_with("W/");
        let tag = rest.strip_prefix("W/").unwrap_or(rest);
        let tag = tag.strip_prefix('"').ok_or(MalformedIfMatch)?;
        let (tag, after) = tag.split_once('"').ok_or(MalformedIfMatch)?;
        versions.extend(version(tag).filter(|_| !is_weak));
        rest = after.trim_start();
        if rest.is_empty() {
            return Ok(Expected::Versions(versions));
        }
        rest = rest.strip_prefix(',').ok_or(MalformedIfMatch)?.trim_start();
    }
}

fn version(tag: &str) -> Option<u64> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_ours = tag.split('-').all(is_number) && tag.split('-').count() <= MAX_NUMBERS;
    let version = tag.split('-').next()?;
    version.parse().ok().filter(|_| is_ours)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::of_a_command("\"3\"", &[3])]
    #[case::of_a_read("\"3-17-2\"", &[3])]
    #[case::of_an_earlier_read("\"3-17\"", &[3])]
    #[case::a_list("\"3\" , \"4-1\"", &[3, 4])]
    #[case::a_weak_one_matches_nothing("W/\"3\"", &[])]
    #[case::a_foreign_one_matches_nothing("\"abc\", \"-3\", \"+3\", \"3-1-2-4\", \"3-\"", &[])]
    #[case::too_large_matches_nothing("\"99999999999999999999\"", &[])]
    fn tags_name_versions(#[case] value: &str, #[case] versions: &[u64]) {
        assert_eq!(parse(value), Ok(Expected::Versions(versions.to_vec())));
    }

    #[test]
    fn a_star_is_anything() {
        assert_eq!(parse(" * "), Ok(Expected::Anything));
    }

    #[rstest]
    #[case("")]
    #[case("3")]
    #[case("\"3")]
    #[case("\"3\" \"4\"")]
    #[case("\"3\",")]
    fn what_is_no_tag_is_malformed(#[case] value: &str) {
        assert_eq!(parse(value), Err(MalformedIfMatch));
    }
}
