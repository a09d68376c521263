//! The words of a query. Any text is valid: quotes, brackets and emoji are not syntax, and no part of
//! it reaches a query parser.

/// Further words are ignored: each costs a clause and adds little.
const MAX_WORDS: usize = 12;
/// Characters of all words together; the rest is ignored. Elasticsearch makes a word of each emoji and
/// ideograph, without blanks between them, and cannot handle thousands.
const MAX_CHARS: usize = 2_000;
/// Shorter words resemble too many others to be searched with typing errors.
const MIN_FUZZY_CHARS: usize = 4;
/// Longer words are not searched with typing errors.
const MAX_FUZZY_CHARS: usize = 40;

/// Words that are ignored if the query has others.
const FILLERS: [&str; 17] = [
    "a", "an", "and", "at", "by", "for", "from", "in", "is", "my", "of", "on", "or", "the", "to",
    "with", "without",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    pub fn of(text: &str) -> Self {
        let mut words: Vec<String> = text
            .split_whitespace()
            .filter(|word| word.chars().any(char::is_alphanumeric))
            .map(str::to_owned)
            .collect();
        let is_filler = |word: &String| FILLERS.contains(&word.to_lowercase().as_str());
        if !words.iter().all(is_filler) {
            words.retain(|word| !is_filler(word));
        }
        words.truncate(MAX_WORDS);
        let mut room = MAX_CHARS;
        for word in &mut words {
            if let Some((end, _)) = word.char_indices().nth(room) {
                word.truncate(end);
            }
            room -= word.chars().count();
        }
        words.retain(|word| !word.is_empty());
        Self(words)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// All words, separated by one space.
    pub fn together(&self) -> String {
        self.0.join(" ")
    }

    /// The word at `index` joined with each neighbour: `otter box` is `otterbox`.
    pub fn joined_at(&self, index: usize) -> Vec<String> {
        let first = index.saturating_sub(1);
        let pairs = self.0[first..].windows(2).take(index - first + 1);
        pairs.map(|pair| pair.concat()).collect()
    }

    pub fn is_last(&self, index: usize) -> bool {
        index + 1 == self.0.len()
    }
}

/// True if the word is searched with typing errors. Skus and numbers are not.
pub fn can_be_mistyped(word: &str) -> bool {
    let length = word.chars().count();
    (MIN_FUZZY_CHARS..=MAX_FUZZY_CHARS).contains(&length) && !has_digit(word)
}

pub fn has_digit(word: &str) -> bool {
    word.chars().any(char::is_numeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        Words::of(text).0
    }

    #[test]
    fn fillers_go_unless_there_is_nothing_else() {
        assert_eq!(words("a case for the iPhone 7"), ["case", "iPhone", "7"]);
        assert_eq!(words("the"), ["the"]);
    }

    #[test]
    fn what_has_neither_letter_nor_digit_is_no_word() {
        assert_eq!(words("\"(lamp - 🔋 && \u{7}"), ["\"(lamp"]);
        assert!(Words::of("((( ]] 🔋 !?").is_empty());
    }

    #[test]
    fn there_is_a_limit_on_words() {
        assert_eq!(Words::of(&"x ".repeat(100)).len(), MAX_WORDS);
    }

    #[test]
    fn neighbours_are_joined_on_both_sides() {
        let words = Words::of("otter box case");
        assert_eq!(words.joined_at(0), ["otterbox"]);
        assert_eq!(words.joined_at(1), ["otterbox", "boxcase"]);
        assert_eq!(words.joined_at(2), ["boxcase"]);
        assert!(Words::of("lamp").joined_at(0).is_empty());
    }

    #[test]
    fn words_beyond_two_thousand_characters_are_passed_over() {
        let found = words(&format!("lamp {} desk", "\u{1f526}x".repeat(4_000)));
        let lengths: Vec<usize> = found.iter().map(|word| word.chars().count()).collect();
        assert_eq!(lengths, [4, MAX_CHARS - 4]);
    }

    #[test]
    fn skus_numbers_and_short_words_are_never_mistyped() {
        assert!(can_be_mistyped("batery"));
        for word in ["EL-00904", "128GB", "red", "²²²²²"] {
            assert!(!can_be_mistyped(word), "{word}");
        }
    }
}
