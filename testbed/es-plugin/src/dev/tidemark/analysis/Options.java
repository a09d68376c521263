/* Options that several components share. */
package dev.tidemark.analysis;

import java.util.Set;
import java.util.regex.Pattern;

import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.index.IndexSettings;

final class Options {
    private Options() {}

    /** The pattern under `key` with the stock `flags` option (`CASE_INSENSITIVE|COMMENTS`). */
    static Pattern pattern(Settings settings, String key, String fallback) {
        String pattern = settings.get(key, fallback);
        if (pattern == null) {
            throw new IllegalArgumentException(key + " is missing for a pattern component");
        }
        int flags = 0;
        for (String flag : settings.get("flags", "").split("\\|")) {
            flags |= switch (flag) {
                case "" -> 0;
                case "CASE_INSENSITIVE" -> Pattern.CASE_INSENSITIVE;
                case "MULTILINE" -> Pattern.MULTILINE;
                case "DOTALL" -> Pattern.DOTALL;
                case "UNICODE_CASE" -> Pattern.UNICODE_CASE;
                case "CANON_EQ" -> Pattern.CANON_EQ;
                case "UNIX_LINES" -> Pattern.UNIX_LINES;
                case "LITERAL" -> Pattern.LITERAL;
                case "COMMENTS" -> Pattern.COMMENTS;
                case "UNICODE_CHAR_CLASS", "UNICODE_CHARACTER_CLASS" -> Pattern.UNICODE_CHARACTER_CLASS;
                default -> throw new IllegalArgumentException("Unknown regex flag [" + flag + "]");
            };
        }
        return Pattern.compile(pattern, flags);
    }

    /** Stock refuses a span of gram lengths above `index.max_ngram_diff`. */
    static void checkGramDifference(IndexSettings index, int min, int max) {
        int allowed = index == null ? Integer.MAX_VALUE : index.getMaxNgramDiff();
        if (max - min > allowed) {
            throw new IllegalArgumentException(
                "The difference between max_gram and min_gram in NGram Tokenizer must be less than or equal to: ["
                    + allowed + "] but was [" + (max - min)
                    + "]. This limit can be set by changing the [index.max_ngram_diff] index level setting."
            );
        }
    }

    /** Whether a character belongs to one of the stock classes (`letter`, `digit`, …). */
    static boolean inClasses(Set<String> classes, int c) {
        return classes.contains("letter") && Character.isLetter(c)
            || classes.contains("digit") && Character.isDigit(c)
            || classes.contains("whitespace") && Character.isWhitespace(c)
            || classes.contains("punctuation") && isPunctuation(c)
            || classes.contains("symbol") && isSymbol(c);
    }

    private static boolean isPunctuation(int c) {
        return switch (Character.getType(c)) {
            case Character.START_PUNCTUATION, Character.END_PUNCTUATION, Character.OTHER_PUNCTUATION,
                Character.CONNECTOR_PUNCTUATION, Character.DASH_PUNCTUATION,
                Character.INITIAL_QUOTE_PUNCTUATION, Character.FINAL_QUOTE_PUNCTUATION -> true;
            default -> false;
        };
    }

    private static boolean isSymbol(int c) {
        return switch (Character.getType(c)) {
            case Character.CURRENCY_SYMBOL, Character.MATH_SYMBOL, Character.OTHER_SYMBOL,
                Character.MODIFIER_SYMBOL -> true;
            default -> false;
        };
    }
}
