/* The stock `word_delimiter_graph`: its options are flags of the Lucene filter. */
package dev.tidemark.analysis;

import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.CATENATE_ALL;
import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.CATENATE_NUMBERS;
import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.CATENATE_WORDS;
import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.GENERATE_NUMBER_PARTS;
import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.GENERATE_WORD_PARTS;
import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.IGNORE_KEYWORDS;
import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.PRESERVE_ORIGINAL;
import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.SPLIT_ON_CASE_CHANGE;
import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.SPLIT_ON_NUMERICS;
import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.STEM_ENGLISH_POSSESSIVE;

import java.util.List;

import org.apache.lucene.analysis.CharArraySet;
import org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter;
import org.apache.lucene.analysis.miscellaneous.WordDelimiterIterator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.index.IndexSettings;
import org.elasticsearch.index.analysis.Analysis;
import org.elasticsearch.index.analysis.TokenFilterFactory;

final class WordDelimiters {
    private WordDelimiters() {}

    static TokenFilterFactory graph(IndexSettings index, Environment env, String name, Settings settings) {
        int flags = flags(settings);
        boolean adjustOffsets = settings.getAsBoolean("adjust_offsets", true);
        List<String> words = Analysis.getWordList(env, settings, "protected_words");
        CharArraySet kept = words == null ? null : new CharArraySet(words, false);
        byte[] table = WordDelimiterIterator.DEFAULT_WORD_DELIM_TABLE;
        return new Filter.Expanding(
            name,
            stream -> new WordDelimiterGraphFilter(stream, adjustOffsets, table, flags, kept)
        );
    }

    private static int flags(Settings settings) {
        return flag(settings, "generate_word_parts", true, GENERATE_WORD_PARTS)
            | flag(settings, "generate_number_parts", true, GENERATE_NUMBER_PARTS)
            | flag(settings, "catenate_words", false, CATENATE_WORDS)
            | flag(settings, "catenate_numbers", false, CATENATE_NUMBERS)
            | flag(settings, "catenate_all", false, CATENATE_ALL)
            | flag(settings, "split_on_case_change", true, SPLIT_ON_CASE_CHANGE)
            | flag(settings, "split_on_numerics", true, SPLIT_ON_NUMERICS)
            | flag(settings, "preserve_original", false, PRESERVE_ORIGINAL)
            | flag(settings, "stem_english_possessive", true, STEM_ENGLISH_POSSESSIVE)
            | flag(settings, "ignore_keywords", false, IGNORE_KEYWORDS);
    }

    private static int flag(Settings settings, String key, boolean fallback, int bit) {
        return settings.getAsBoolean(key, fallback) ? bit : 0;
    }
}
