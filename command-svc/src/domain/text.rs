//! Texts that commands carry: newtypes made only by parsing, so that a bad one cannot exist.
//!
//! What identifies passes the rule of `schemas::text`; every text is canonically composed. Lengths
//! are counted in characters of the stored form. No text holds NUL, which PostgreSQL cannot keep.

use std::borrow::Cow;
use std::fmt;

use schemas::text::{
    MAX_ATTRIBUTE_NAME_CHARS, MAX_ATTRIBUTE_VALUE_CHARS, MAX_BRAND_CHARS, MAX_CATEGORY_NAME_CHARS,
    MAX_DESCRIPTION_CHARS, MAX_NAME_CHARS, MAX_SKU_CHARS, composed, identifying,
    is_default_ignorable, shows_something,
};

mod key;

pub use key::{NameKey, SkuKey, given_way};

/// The separator of levels where a category is named by its path.
pub const PATH_SEPARATOR: &str = " > ";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("must not be empty")]
    Empty,
    #[error("must show something")]
    Invisible,
    #[error("must have at most {0} characters")]
    TooLong(usize),
    #[error("must not hold control characters")]
    ControlCharacter,
    #[error("must not hold invisible characters such as joiners and soft hyphens")]
    InvisibleCharacter,
    #[error("must not hold ' > ', which separates the levels of a path")]
    PathSeparator,
}

/// How a text is cleaned, and which control characters it may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// None, not even at its ends; blanks are folded.
    Identifying,
    /// None but those that are blanks at its ends.
    Line,
    /// Line breaks and tabs are part of the text.
    Lines,
}

macro_rules! text {
    ($(#[$attribute:meta])* $name:ident = $form:expr, $min:literal..=$max:expr $(, $check:path)?) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            pub const MAX_CHARS: usize = $max;

            pub fn parse(text: &str) -> Result<Self, TextError> {
                let text = parse(text, $form, $min, $max)?;
                $($check(&text)?;)?
                Ok(Self(text.into_owned()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

text!(
    /// The shop's own number of a product, unique without regard to case.
    Sku = Form::Identifying, 1..=MAX_SKU_CHARS, without_invisible
);
text!(
    /// What a product is called.
    Name = Form::Line, 1..=MAX_NAME_CHARS
);
text!(
    /// What a product is; may be empty.
    #[derive(Default)]
    Description = Form::Lines, 0..=MAX_DESCRIPTION_CHARS
);
text!(
    /// Who makes a product; may be empty.
    #[derive(Default)]
    Brand = Form::Identifying, 0..=MAX_BRAND_CHARS
);
text!(
    /// What a category is called, unique below its parent.
    CategoryName = Form::Identifying, 1..=MAX_CATEGORY_NAME_CHARS, without_separator
);
text!(
    /// Why a stock was moved.
    Reason = Form::Line, 1..=200
);
text!(
    AttributeKey = Form::Identifying,
    1..=MAX_ATTRIBUTE_NAME_CHARS
);
text!(AttributeValue = Form::Lines, 0..=MAX_ATTRIBUTE_VALUE_CHARS);

fn parse(text: &str, form: Form, min: usize, max: usize) -> Result<Cow<'_, str>, TextError> {
    let text = if form == Form::Identifying {
        text
    } else {
        text.trim()
    };
    if text.chars().any(|c| is_refused(c, form)) {
        return Err(TextError::ControlCharacter);
    }
    let text = if form == Form::Identifying {
        identifying(text)
    } else {
        composed(text)
    };
    // Bytes are never fewer than characters, so most texts are not counted.
    if text.len() > max && text.chars().count() > max {
        return Err(TextError::TooLong(max));
    }
    if text.is_empty() {
        return if min > 0 {
            Err(TextError::Empty)
        } else {
            Ok(text)
        };
    }
    if form != Form::Lines && !shows_something(&text) {
        return Err(TextError::Invisible);
    }
    Ok(text)
}

fn is_refused(c: char, form: Form) -> bool {
    c.is_control() && (form != Form::Lines || !matches!(c, '\n' | '\r' | '\t'))
}

fn without_invisible(text: &str) -> Result<(), TextError> {
    if text.chars().any(is_default_ignorable) {
        Err(TextError::InvisibleCharacter)
    } else {
        Ok(())
    }
}

fn without_separator(text: &str) -> Result<(), TextError> {
    if text.contains(PATH_SEPARATOR) {
        Err(TextError::PathSeparator)
    } else {
        Ok(())
    }
}

/// For imported texts of several lines, which will not be corrected by hand: blanks for control
/// characters other than line breaks and tabs.
pub fn cleaned_lines(text: &str) -> Cow<'_, str> {
    let is_refused = |c| is_refused(c, Form::Lines);
    if text.chars().any(is_refused) {
        let blank = |c| if is_refused(c) { ' ' } else { c };
        Cow::Owned(text.chars().map(blank).collect())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn blanks_at_both_ends_do_not_count() {
        assert_eq!(Sku::parse("  A-1 ").unwrap().as_str(), "A-1");
        assert_eq!(Sku::parse("   "), Err(TextError::Empty));
    }

    #[test]
    fn a_length_is_counted_in_characters() {
        assert!(Name::parse(&"é".repeat(250)).is_ok());
        assert_eq!(Name::parse(&"é".repeat(251)), Err(TextError::TooLong(250)));
    }

    #[test]
    fn a_text_of_one_line_has_no_line_break() {
        assert_eq!(Name::parse("a\nb"), Err(TextError::ControlCharacter));
        assert!(Description::parse("a\r\n\tb").is_ok());
        assert_eq!(
            Description::parse("a\u{0}b"),
            Err(TextError::ControlCharacter)
        );
    }

    #[test]
    fn a_category_name_never_reads_as_a_path() {
        assert_eq!(CategoryName::parse("A > B"), Err(TextError::PathSeparator));
        assert!(CategoryName::parse("A>B").is_ok());
    }

    #[test]
    fn a_cleaned_text_can_be_parsed() {
        assert_eq!(cleaned_lines("a\u{0}\nb"), "a \nb");
        assert!(matches!(cleaned_lines("plain"), Cow::Borrowed("plain")));
    }

    #[rstest]
    #[case("X\u{7}B")]
    #[case("XB\n")]
    #[case("X\u{0}")]
    #[case("X\u{99}B")]
    fn a_sku_with_control_characters_is_refused_and_never_changed(#[case] sku: &str) {
        assert_eq!(Sku::parse(sku), Err(TextError::ControlCharacter));
    }

    #[rstest]
    #[case("X\u{200b}")]
    #[case("\u{feff}X")]
    #[case("X\u{ad}")]
    #[case("X\u{2060}")]
    #[case("X\u{200d}Y")]
    fn a_sku_with_invisible_characters_is_refused(#[case] sku: &str) {
        assert_eq!(Sku::parse(sku), Err(TextError::InvisibleCharacter));
    }

    #[test]
    fn both_compositions_and_all_blanks_are_stored_alike() {
        assert_eq!(Sku::parse("E\u{301}-1"), Sku::parse("\u{c9}-1"));
        assert_eq!(Brand::parse(" A \u{a0}B\u{3000}").unwrap().as_str(), "A B");
        assert_eq!(Name::parse("Cafe\u{301}"), Name::parse("Caf\u{e9}"));
    }

    #[rstest]
    #[case("\u{200b}")]
    #[case("\u{2800}")]
    #[case("\u{200d}\u{fe0f}")]
    fn a_name_shows_something(#[case] name: &str) {
        assert_eq!(Name::parse(name), Err(TextError::Invisible));
        assert_eq!(Brand::parse(name), Err(TextError::Invisible));
        assert_eq!(CategoryName::parse(name), Err(TextError::Invisible));
        assert_eq!(AttributeKey::parse(name), Err(TextError::Invisible));
    }

    #[test]
    fn joiners_are_kept_in_names() {
        let name = "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}";
        assert_eq!(Brand::parse(name).unwrap().as_str(), name);
    }
}
