/* The tokenizers beside `standard`, which the trimmed server has. */
package dev.tidemark.analysis;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import java.util.regex.Pattern;

import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.core.KeywordTokenizer;
import org.apache.lucene.analysis.core.LetterTokenizer;
import org.apache.lucene.analysis.core.WhitespaceTokenizer;
import org.apache.lucene.analysis.email.UAX29URLEmailTokenizer;
import org.apache.lucene.analysis.ngram.EdgeNGramTokenizer;
import org.apache.lucene.analysis.ngram.NGramTokenizer;
import org.apache.lucene.analysis.path.PathHierarchyTokenizer;
import org.apache.lucene.analysis.pattern.PatternTokenizer;
import org.apache.lucene.analysis.standard.StandardAnalyzer;
import org.apache.lucene.analysis.util.CharTokenizer;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.index.IndexSettings;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;

final class Tokenizers {
    private Tokenizers() {}

    static Map<String, AnalysisProvider<TokenizerFactory>> all() {
        Map<String, AnalysisProvider<TokenizerFactory>> all = new HashMap<>();
        all.put("keyword", (i, e, name, s) -> of(name, KeywordTokenizer::new));
        all.put("letter", (i, e, name, s) -> of(name, LetterTokenizer::new));
        all.put("whitespace", (i, e, name, s) -> {
            int longest = s.getAsInt("max_token_length", CharTokenizer.DEFAULT_MAX_WORD_LEN);
            return of(name, () -> new WhitespaceTokenizer(Tokenizer.DEFAULT_TOKEN_ATTRIBUTE_FACTORY, longest));
        });
        all.put("pattern", (i, e, name, s) -> {
            Pattern pattern = Options.pattern(s, "pattern", "\\W+");
            int group = s.getAsInt("group", -1);
            return of(name, () -> new PatternTokenizer(pattern, group));
        });
        all.put("path_hierarchy", (i, e, name, s) -> pathHierarchy(name, s));
        all.put("edge_ngram", (i, e, name, s) -> edgeNgram(name, s));
        all.put("ngram", (i, e, name, s) -> ngram(i, name, s));
        all.put("uax_url_email", (i, e, name, s) -> {
            int longest = s.getAsInt("max_token_length", StandardAnalyzer.DEFAULT_MAX_TOKEN_LENGTH);
            return of(name, () -> {
                UAX29URLEmailTokenizer tokenizer = new UAX29URLEmailTokenizer();
                tokenizer.setMaxTokenLength(longest);
                return tokenizer;
            });
        });
        all.put("char_group", (i, e, name, s) -> charGroup(name, s));
        return all;
    }

    private static TokenizerFactory of(String name, Supplier<Tokenizer> make) {
        return TokenizerFactory.newFactory(name, make);
    }

    private static TokenizerFactory pathHierarchy(String name, Settings settings) {
        char delimiter = settings.get("delimiter", "/").charAt(0);
        char replacement = settings.get("replacement", String.valueOf(delimiter)).charAt(0);
        int skip = settings.getAsInt("skip", 0);
        return of(name, () -> new PathHierarchyTokenizer(delimiter, replacement, skip));
    }

    private static TokenizerFactory edgeNgram(String name, Settings settings) {
        int min = settings.getAsInt("min_gram", 1);
        int max = settings.getAsInt("max_gram", 2);
        Set<String> classes = new HashSet<>(settings.getAsList("token_chars"));
        return of(name, () -> new EdgeNGramTokenizer(min, max) {
            @Override
            protected boolean isTokenChar(int c) {
                return classes.isEmpty() || Options.inClasses(classes, c);
            }
        });
    }

    private static TokenizerFactory ngram(IndexSettings index, String name, Settings settings) {
        int min = settings.getAsInt("min_gram", 1);
        int max = settings.getAsInt("max_gram", 2);
        Options.checkGramDifference(index, min, max);
        Set<String> classes = new HashSet<>(settings.getAsList("token_chars"));
        return of(name, () -> new NGramTokenizer(min, max) {
            @Override
            protected boolean isTokenChar(int c) {
                return classes.isEmpty() || Options.inClasses(classes, c);
            }
        });
    }

    private static TokenizerFactory charGroup(String name, Settings settings) {
        int longest = settings.getAsInt("max_token_length", CharTokenizer.DEFAULT_MAX_WORD_LEN);
        Set<String> classes = new HashSet<>();
        Set<Integer> characters = new HashSet<>();
        for (String each : settings.getAsList("tokenize_on_chars")) {
            String text = each.startsWith("\\") ? each.translateEscapes() : each;
            if (text.codePointCount(0, text.length()) == 1) {
                characters.add(text.codePointAt(0));
            } else {
                classes.add(text);
            }
        }
        return of(name, () -> new CharTokenizer(Tokenizer.DEFAULT_TOKEN_ATTRIBUTE_FACTORY, longest) {
            @Override
            protected boolean isTokenChar(int c) {
                return !characters.contains(c) && !Options.inClasses(classes, c);
            }
        });
    }
}
