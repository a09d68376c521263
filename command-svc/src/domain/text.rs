//! Texts that commands carry: newtypes made only by parsing, so that a bad one cannot exist.
//!
//! Lengths are counted in characters, after blanks at both ends were taken off. No text holds NUL,
//! which PostgreSQL cannot keep.

use std::borrow::Cow;
use std::fmt;

/// The separator of levels where a category is named by its path.
pub const PATH_SEPARATOR: &str = " > ";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("must not be empty")]
    Empty,
    #[error("must have at most {0} characters")]
    TooLong(usize),
    #[error("must not hold control characters")]
    ControlCharacter,
    #[error("must not hold ' > ', which separates the levels of a path")]
    PathSeparator,
}

/// Which control characters a text may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    One,
    /// Line breaks and tabs are part of the text.
    Many,
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident = $lines:expr, $min:literal..=$max:literal $(, $check:path)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            pub const MAX_CHARS: usize = $max;

            pub fn parse(text: &str) -> Result<Self, TextError> {
                let text = parse(text, $lines, $min, $max)?;
                $($check(text)?;)?
                Ok(Self(text.to_owned()))
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
    /// The shop's own number of a product, unique.
    Sku = Lines::One, 1..=64
);
text!(
    /// What a product is called.
    Name = Lines::One, 1..=250
);
text!(
    /// What a product is; may be empty.
    Description = Lines::Many, 0..=20_000
);
text!(
    /// Who makes a product; may be empty.
    Brand = Lines::One, 0..=200
);
text!(
    /// What a category is called, unique below its parent.
    CategoryName = Lines::One, 1..=100, without_separator
);
text!(
    /// Why a stock was moved.
    Reason = Lines::One, 1..=200
);
text!(AttributeKey = Lines::One, 1..=100);
text!(AttributeValue = Lines::Many, 0..=2_000);

fn parse(text: &str, lines: Lines, min: usize, max: usize) -> Result<&str, TextError> {
    let text = text.trim();
    if text.chars().any(|c| is_refused(c, lines)) {
        return Err(TextError::ControlCharacter);
    }
    // Bytes are never fewer than characters, so most texts are not counted.
    if text.len() > max && text.chars().count() > max {
        return Err(TextError::TooLong(max));
    }
    if min > 0 && text.is_empty() {
        Err(TextError::Empty)
    } else {
        Ok(text)
    }
}

fn is_refused(c: char, lines: Lines) -> bool {
    c.is_control() && (lines == Lines::One || !matches!(c, '\n' | '\r' | '\t'))
}

fn without_separator(text: &str) -> Result<(), TextError> {
    if text.contains(PATH_SEPARATOR) {
        Err(TextError::PathSeparator)
    } else {
        Ok(())
    }
}

/// For texts of imports, which nobody will correct by hand: blanks for control characters.
pub fn cleaned(text: &str) -> Cow<'_, str> {
    clean(text, Lines::One)
}

/// The same for texts of several lines, which keep line breaks and tabs.
pub fn cleaned_lines(text: &str) -> Cow<'_, str> {
    clean(text, Lines::Many)
}

fn clean(text: &str, lines: Lines) -> Cow<'_, str> {
    if text.chars().any(|c| is_refused(c, lines)) {
        let blank = |c| if is_refused(c, lines) { ' ' } else { c };
        Cow::Owned(text.chars().map(blank).collect())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(cleaned("a\u{92}s\nb"), "a s b");
        assert_eq!(cleaned_lines("a\u{0}\nb"), "a \nb");
        assert!(matches!(cleaned("plain"), Cow::Borrowed("plain")));
    }
}
