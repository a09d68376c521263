//! Texts that identify (skus, brands, names of categories and attributes): one rule for REST bodies,
//! imports and query parameters, so that what was stored in one form is found in every other.
//!
//! Pure. Cleaning is idempotent, and what is clean already is not copied.

use std::borrow::Cow;

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;

/// Lengths that may be stored, in characters. Query parameters accept as much.
pub const MAX_SKU_CHARS: usize = 64;
pub const MAX_NAME_CHARS: usize = 250;
pub const MAX_DESCRIPTION_CHARS: usize = 20_000;
pub const MAX_BRAND_CHARS: usize = 200;
pub const MAX_CATEGORY_NAME_CHARS: usize = 100;
pub const MAX_ATTRIBUTE_NAME_CHARS: usize = 100;
pub const MAX_ATTRIBUTE_VALUE_CHARS: usize = 2_000;

const BRAILLE_BLANK: char = '\u{2800}';
const INTERLINEAR_ANNOTATION: std::ops::RangeInclusive<char> = '\u{fff9}'..='\u{fffb}';

/// Canonically composed (NFC).
pub fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

/// A text that identifies as it is stored: composed, without blanks at its ends, inner runs of
/// blanks as one space.
pub fn identifying(text: &str) -> Cow<'_, str> {
    match composed(text) {
        Cow::Borrowed(text) => fold_blanks(text),
        Cow::Owned(text) => Cow::Owned(fold_blanks(&text).into_owned()),
    }
}

fn fold_blanks(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    let mut after_blank = false;
    let is_folded = text.chars().all(|c| {
        let is_blank = c.is_whitespace();
        let is_single_space = c == ' ' && !after_blank;
        after_blank = is_blank;
        !is_blank || is_single_space
    });
    if is_folded {
        return Cow::Borrowed(text);
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    Cow::Owned(words.join(" "))
}

/// Blanks for control characters: for texts that nobody will correct by hand.
pub fn without_controls(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        let blank = |c: char| if c.is_control() { ' ' } else { c };
        Cow::Owned(text.chars().map(blank).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// What names are compared by: joiners, variation selectors and other characters that show nothing
/// are part of a name and do not tell it from another.
pub fn comparing_key(name: &str) -> Cow<'_, str> {
    if name.chars().any(is_default_ignorable) {
        let shown: String = name.chars().filter(|c| !is_default_ignorable(*c)).collect();
        Cow::Owned(identifying(&shown).into_owned())
    } else {
        identifying(name)
    }
}

/// What skus are unique by: without regard to case (full case folding) and composition.
pub fn sku_key(sku: &str) -> String {
    let sku = identifying(sku);
    if sku.is_ascii() {
        return sku.to_ascii_lowercase();
    }
    let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(&sku);
    let folded = CaseMapper::new().fold_string(&decomposed);
    composed(&folded).into_owned()
}

/// True for characters that show nothing of their own: joiners, soft hyphens, direction marks.
pub fn is_default_ignorable(c: char) -> bool {
    !c.is_ascii() && CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// True where a reader sees anything.
pub fn shows_something(text: &str) -> bool {
    text.chars().any(|c| {
        let is_empty_sign = c == BRAILLE_BLANK || INTERLINEAR_ANNOTATION.contains(&c);
        !c.is_whitespace() && !c.is_control() && !is_default_ignorable(c) && !is_empty_sign
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("plain", "plain")]
    #[case("  A \u{a0}\u{3000} B\u{2028}", "A B")]
    #[case("A\u{a0}B", "A B")]
    #[case("Cafe\u{301}", "Caf\u{e9}")]
    #[case("x\u{200d}y\u{fe0f}", "x\u{200d}y\u{fe0f}")]
    fn a_text_that_identifies_is_stored_in_one_form(#[case] text: &str, #[case] stored: &str) {
        assert_eq!(identifying(text), stored);
    }

    #[test]
    fn a_clean_text_is_not_copied() {
        assert!(matches!(identifying(" A b "), Cow::Borrowed("A b")));
        assert!(matches!(without_controls("\u{e9}"), Cow::Borrowed(_)));
    }

    #[test]
    fn control_characters_become_blanks_and_then_fold() {
        let brand = "Acme\u{99} \u{7}Ltd\u{0}";
        assert_eq!(identifying(&without_controls(brand)), "Acme Ltd");
    }

    #[test]
    fn joiners_and_variation_selectors_do_not_tell_names_apart() {
        let name = "a\u{200c}b\u{200d}c\u{fe0f}\u{ad}";
        assert_eq!(comparing_key(name), "abc");
        assert_eq!(comparing_key("Cafe\u{200d}\u{301}"), "Caf\u{e9}");
        assert_ne!(comparing_key("Abc"), "abc");
    }

    #[rstest]
    #[case("El-1", "EL-1")]
    #[case("STRASSE", "stra\u{df}e")]
    #[case("CAFE\u{301}", "caf\u{e9}")]
    #[case("\u{3a3}\u{3a3}", "\u{3c3}\u{3c2}")]
    fn skus_that_differ_by_case_or_composition_are_one(#[case] one: &str, #[case] other: &str) {
        assert_eq!(sku_key(one), sku_key(other));
    }

    #[rstest]
    #[case("")]
    #[case(" \u{200b}\u{feff}")]
    #[case("\u{2800}")]
    #[case("\u{ad}\u{2060}\u{3164}\u{fe0f}")]
    fn a_name_of_invisible_characters_shows_nothing(#[case] name: &str) {
        assert!(!shows_something(name));
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing_more(text in any::<String>()) {
            let once = identifying(&text).into_owned();
            prop_assert_eq!(identifying(&once), once.as_str());
            let key = sku_key(&text);
            prop_assert_eq!(sku_key(&key), key.as_str());
            let key = comparing_key(&text).into_owned();
            prop_assert_eq!(comparing_key(&key), key.as_str());
        }
    }
}
