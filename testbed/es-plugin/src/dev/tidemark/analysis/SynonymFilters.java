/*
 * The stock `synonym` and `synonym_graph` with inline `synonyms` or `synonyms_path`, in Solr or
 * WordNet format. The rules are parsed by the analysis chain in front of the filter, so they match
 * what reaches it; hence the filter proper exists only once the chain is known.
 */
package dev.tidemark.analysis;

import java.io.IOException;
import java.io.StringReader;
import java.text.ParseException;
import java.util.List;
import java.util.function.Function;

import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.synonym.SolrSynonymParser;
import org.apache.lucene.analysis.synonym.SynonymFilter;
import org.apache.lucene.analysis.synonym.SynonymGraphFilter;
import org.apache.lucene.analysis.synonym.SynonymMap;
import org.apache.lucene.analysis.synonym.WordnetSynonymParser;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.index.IndexService.IndexCreationContext;
import org.elasticsearch.index.analysis.Analysis;
import org.elasticsearch.index.analysis.AnalysisMode;
import org.elasticsearch.index.analysis.CharFilterFactory;
import org.elasticsearch.index.analysis.CustomAnalyzer;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.index.analysis.TokenizerFactory;

final class SynonymFilters implements TokenFilterFactory {
    private final String name;
    private final boolean graph;
    private final boolean expand;
    private final boolean wordnet;
    private final boolean updateable;
    private final List<String> rules;

    SynonymFilters(Environment env, String name, Settings settings, boolean graph) {
        this.name = name;
        this.graph = graph;
        this.expand = settings.getAsBoolean("expand", true);
        this.wordnet = "wordnet".equalsIgnoreCase(settings.get("format", ""));
        this.updateable = settings.getAsBoolean("updateable", false);
        this.rules = Analysis.getWordList(env, settings, "synonyms");
        if (rules == null) {
            throw new IllegalArgumentException(
                "synonym requires either `synonyms` or `synonyms_path` to be configured"
            );
        }
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public TokenStream create(TokenStream stream) {
        throw new IllegalStateException("Call getChainAwareTokenFilterFactory to specialize this factory");
    }

    @Override
    public TokenFilterFactory getChainAwareTokenFilterFactory(
        IndexCreationContext context,
        TokenizerFactory tokenizer,
        List<CharFilterFactory> charFilters,
        List<TokenFilterFactory> before,
        Function<String, TokenFilterFactory> all
    ) {
        SynonymMap map = parse(new CustomAnalyzer(
            tokenizer,
            charFilters.toArray(CharFilterFactory[]::new),
            before.stream().map(TokenFilterFactory::getSynonymFilter).toArray(TokenFilterFactory[]::new)
        ));
        return new Chained(map);
    }

    @Override
    public AnalysisMode getAnalysisMode() {
        return updateable ? AnalysisMode.SEARCH_TIME : AnalysisMode.ALL;
    }

    private SynonymMap parse(Analyzer analyzer) {
        try {
            StringReader text = new StringReader(String.join("\n", rules));
            SynonymMap.Parser parser = wordnet
                ? new WordnetSynonymParser(true, expand, analyzer)
                : new SolrSynonymParser(true, expand, analyzer);
            parser.parse(text);
            return parser.build();
        } catch (IOException | ParseException e) {
            throw new IllegalArgumentException("failed to build synonyms", e);
        }
    }

    private final class Chained extends Filter {
        private Chained(SynonymMap map) {
            super(name, stream -> wrap(stream, map));
        }

        @Override
        public TokenFilterFactory getSynonymFilter() {
            return graph ? refuse() : IDENTITY_FILTER;
        }

        @Override
        public AnalysisMode getAnalysisMode() {
            return SynonymFilters.this.getAnalysisMode();
        }

        private TokenFilterFactory refuse() {
            throw new IllegalArgumentException(
                "Token filter [" + name() + "] cannot be used to parse synonyms"
            );
        }
    }

    @SuppressWarnings("deprecation")
    private TokenStream wrap(TokenStream stream, SynonymMap map) {
        if (map.fst == null) {
            return stream;
        }
        return graph ? new SynonymGraphFilter(stream, map, false) : new SynonymFilter(stream, map, false);
    }
}
