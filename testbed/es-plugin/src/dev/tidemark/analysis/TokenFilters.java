/* The token filters: each reads its stock options and wraps the Lucene filter of that name. */
package dev.tidemark.analysis;

import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

import org.apache.lucene.analysis.CharArraySet;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.core.DecimalDigitFilter;
import org.apache.lucene.analysis.core.FlattenGraphFilter;
import org.apache.lucene.analysis.core.UpperCaseFilter;
import org.apache.lucene.analysis.en.EnglishMinimalStemFilter;
import org.apache.lucene.analysis.en.EnglishPossessiveFilter;
import org.apache.lucene.analysis.en.KStemFilter;
import org.apache.lucene.analysis.en.PorterStemFilter;
import org.apache.lucene.analysis.fr.FrenchAnalyzer;
import org.apache.lucene.analysis.miscellaneous.ASCIIFoldingFilter;
import org.apache.lucene.analysis.miscellaneous.KeywordRepeatFilter;
import org.apache.lucene.analysis.miscellaneous.LengthFilter;
import org.apache.lucene.analysis.miscellaneous.RemoveDuplicatesTokenFilter;
import org.apache.lucene.analysis.miscellaneous.SetKeywordMarkerFilter;
import org.apache.lucene.analysis.miscellaneous.StemmerOverrideFilter;
import org.apache.lucene.analysis.miscellaneous.TrimFilter;
import org.apache.lucene.analysis.miscellaneous.TruncateTokenFilter;
import org.apache.lucene.analysis.ngram.EdgeNGramTokenFilter;
import org.apache.lucene.analysis.ngram.NGramTokenFilter;
import org.apache.lucene.analysis.pattern.PatternCaptureGroupTokenFilter;
import org.apache.lucene.analysis.pattern.PatternReplaceFilter;
import org.apache.lucene.analysis.reverse.ReverseStringFilter;
import org.apache.lucene.analysis.snowball.SnowballFilter;
import org.apache.lucene.analysis.tr.ApostropheFilter;
import org.apache.lucene.analysis.util.ElisionFilter;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.index.IndexSettings;
import org.elasticsearch.index.analysis.Analysis;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.tartarus.snowball.ext.EnglishStemmer;

final class TokenFilters {
    private TokenFilters() {}

    static Map<String, AnalysisProvider<TokenFilterFactory>> all() {
        Map<String, AnalysisProvider<TokenFilterFactory>> all = new HashMap<>();
        registerNormalizing(all);
        registerStemming(all);
        registerSelecting(all);
        registerExpanding(all);
        all.put("synonym", requiring((i, e, name, s) -> new SynonymFilters(e, name, s, false)));
        all.put("synonym_graph", requiring((i, e, name, s) -> new SynonymFilters(e, name, s, true)));
        return all;
    }

    private static void registerNormalizing(Map<String, AnalysisProvider<TokenFilterFactory>> all) {
        all.put("asciifolding", (i, e, name, s) -> {
            boolean keep = s.getAsBoolean("preserve_original", false);
            return new Filter.Normalizing(
                name,
                stream -> new ASCIIFoldingFilter(stream, keep),
                ASCIIFoldingFilter::new
            );
        });
        all.put("trim", (i, e, name, s) -> new Filter.Normalizing(name, TrimFilter::new));
        all.put("uppercase", (i, e, name, s) -> new Filter.Normalizing(name, UpperCaseFilter::new));
        all.put("reverse", (i, e, name, s) -> new Filter.Normalizing(name, ReverseStringFilter::new));
        all.put("decimal_digit", (i, e, name, s) -> new Filter.Normalizing(name, DecimalDigitFilter::new));
        all.put("elision", (i, e, name, s) -> {
            CharArraySet listed = Analysis.parseArticles(e, s);
            CharArraySet articles = listed == null ? FrenchAnalyzer.DEFAULT_ARTICLES : listed;
            return new Filter.Normalizing(name, stream -> new ElisionFilter(stream, articles));
        });
        all.put("pattern_replace", requiring((i, e, name, s) -> {
            Pattern pattern = Options.pattern(s, "pattern", null);
            String by = s.get("replacement", "");
            boolean every = s.getAsBoolean("all", true);
            return new Filter.Normalizing(
                name,
                stream -> new PatternReplaceFilter(stream, pattern, by, every)
            );
        }));
    }

    private static void registerStemming(Map<String, AnalysisProvider<TokenFilterFactory>> all) {
        all.put("porter_stem", (i, e, name, s) -> new Filter(name, PorterStemFilter::new));
        all.put("kstem", (i, e, name, s) -> new Filter(name, KStemFilter::new));
        all.put("stemmer", (i, e, name, s) ->
            new Filter(name, stemmer(s.get("language", s.get("name", "porter")))));
        all.put("snowball", (i, e, name, s) -> {
            String language = s.get("language", s.get("name", "English"));
            String capitalised = language.substring(0, 1).toUpperCase(Locale.ROOT) + language.substring(1);
            return new Filter(name, stream -> new SnowballFilter(stream, capitalised));
        });
        all.put("apostrophe", (i, e, name, s) -> new Filter(name, ApostropheFilter::new));
        all.put("keyword_repeat", (i, e, name, s) -> new Filter(name, KeywordRepeatFilter::new));
        all.put("keyword_marker", requiring((i, e, name, s) -> {
            boolean ignoreCase = s.getAsBoolean("ignore_case", false);
            List<String> words = Analysis.getWordList(e, s, "keywords");
            if (words == null) {
                throw new IllegalArgumentException(
                    "keyword filter requires either `keywords`, `keywords_path`, or `keywords_pattern` to be configured"
                );
            }
            CharArraySet keywords = new CharArraySet(words, ignoreCase);
            return new Filter(name, stream -> new SetKeywordMarkerFilter(stream, keywords));
        }));
        all.put("stemmer_override", requiring(TokenFilters::stemmerOverride));
    }

    private static void registerSelecting(Map<String, AnalysisProvider<TokenFilterFactory>> all) {
        all.put("length", (i, e, name, s) -> {
            int min = s.getAsInt("min", 0);
            int max = s.getAsInt("max", Integer.MAX_VALUE);
            return new Filter(name, stream -> new LengthFilter(stream, min, max));
        });
        all.put("truncate", (i, e, name, s) -> {
            int length = s.getAsInt("length", 10);
            return new Filter(name, stream -> new TruncateTokenFilter(stream, length));
        });
        all.put("unique", (i, e, name, s) -> {
            boolean samePosition = s.getAsBoolean("only_on_same_position", false);
            return new Filter(name, stream -> new UniqueFilter(stream, samePosition));
        });
        all.put("remove_duplicates", (i, e, name, s) -> new Filter(name, RemoveDuplicatesTokenFilter::new));
        all.put("flatten_graph", (i, e, name, s) -> new Filter(name, FlattenGraphFilter::new));
    }

    private static void registerExpanding(Map<String, AnalysisProvider<TokenFilterFactory>> all) {
        all.put("edge_ngram", (i, e, name, s) -> {
            int min = s.getAsInt("min_gram", 1);
            int max = s.getAsInt("max_gram", 2);
            boolean keep = s.getAsBoolean("preserve_original", false);
            boolean back = "back".equals(s.get("side", "front"));
            UnaryOperator<TokenStream> grams = stream -> new EdgeNGramTokenFilter(stream, min, max, keep);
            return new Filter.Expanding(name, back ? fromTheBack(grams) : grams);
        });
        all.put("ngram", (i, e, name, s) -> {
            int min = s.getAsInt("min_gram", 1);
            int max = s.getAsInt("max_gram", 2);
            Options.checkGramDifference(i, min, max);
            boolean keep = s.getAsBoolean("preserve_original", false);
            return new Filter.Expanding(name, stream -> new NGramTokenFilter(stream, min, max, keep));
        });
        all.put("pattern_capture", requiring((i, e, name, s) -> {
            boolean keep = s.getAsBoolean("preserve_original", true);
            Pattern[] patterns = s.getAsList("patterns").stream().map(Pattern::compile).toArray(Pattern[]::new);
            return new Filter.Expanding(name, stream -> new PatternCaptureGroupTokenFilter(stream, keep, patterns));
        }));
        all.put("word_delimiter_graph", WordDelimiters::graph);
    }

    private static UnaryOperator<TokenStream> fromTheBack(UnaryOperator<TokenStream> grams) {
        return stream -> new ReverseStringFilter(grams.apply(new ReverseStringFilter(stream)));
    }

    private static UnaryOperator<TokenStream> stemmer(String language) {
        return switch (language.toLowerCase(Locale.ROOT)) {
            case "english", "porter" -> PorterStemFilter::new;
            case "porter2" -> stream -> new SnowballFilter(stream, new EnglishStemmer());
            case "light_english", "kstem", "lightenglish" -> KStemFilter::new;
            case "minimal_english" -> EnglishMinimalStemFilter::new;
            case "possessive_english" -> EnglishPossessiveFilter::new;
            default -> throw new IllegalArgumentException(
                "the local stack's stemmer knows the English family only, not [" + language + "]"
            );
        };
    }

    private static TokenFilterFactory stemmerOverride(
        IndexSettings index, Environment env, String name, Settings settings
    ) throws IOException {
        List<String> rules = Analysis.getWordList(env, settings, "rules");
        if (rules == null) {
            throw new IllegalArgumentException(
                "stemmer override filter requires either `rules` or `rules_path` to be configured"
            );
        }
        var builder = new StemmerOverrideFilter.Builder(false);
        for (String rule : rules) {
            String[] sides = rule.split("=>", 2);
            if (sides.length != 2) {
                throw new IllegalArgumentException("Invalid Keyword override Rule:" + rule);
            }
            for (String word : sides[0].split(",")) {
                builder.add(word.trim(), sides[1].trim());
            }
        }
        var map = builder.build();
        return new Filter(name, stream -> new StemmerOverrideFilter(stream, map));
    }

    private static AnalysisProvider<TokenFilterFactory> requiring(
        AnalysisProvider<TokenFilterFactory> provider
    ) {
        return AnalysisPlugin.requiresAnalysisSettings(provider);
    }
}
