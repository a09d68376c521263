/*
 * A token filter made of a name and a function. The subclasses say how it takes part in
 * normalizers and in the parsing of synonyms, where the stock filters differ.
 */
package dev.tidemark.analysis;

import java.util.function.UnaryOperator;

import org.apache.lucene.analysis.TokenStream;
import org.elasticsearch.index.analysis.NormalizingTokenFilterFactory;
import org.elasticsearch.index.analysis.TokenFilterFactory;

class Filter implements TokenFilterFactory {
    private final String name;
    private final UnaryOperator<TokenStream> wrap;

    Filter(String name, UnaryOperator<TokenStream> wrap) {
        this.name = name;
        this.wrap = wrap;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public TokenStream create(TokenStream stream) {
        return wrap.apply(stream);
    }

    /** One token in, one token out: may be part of a normalizer. */
    static final class Normalizing extends Filter implements NormalizingTokenFilterFactory {
        private final UnaryOperator<TokenStream> forSynonyms;

        Normalizing(String name, UnaryOperator<TokenStream> wrap) {
            this(name, wrap, wrap);
        }

        /** `forSynonyms`: what parses synonyms, and normalizes, where `wrap` yields more tokens. */
        Normalizing(
            String name,
            UnaryOperator<TokenStream> wrap,
            UnaryOperator<TokenStream> forSynonyms
        ) {
            super(name, wrap);
            this.forSynonyms = forSynonyms;
        }

        @Override
        public TokenStream normalize(TokenStream stream) {
            return forSynonyms.apply(stream);
        }

        @Override
        public TokenFilterFactory getSynonymFilter() {
            return new Filter(name(), forSynonyms);
        }
    }

    /** Yields several tokens for one: refused in front of a synonym filter, as stock does. */
    static final class Expanding extends Filter {
        Expanding(String name, UnaryOperator<TokenStream> wrap) {
            super(name, wrap);
        }

        @Override
        public TokenFilterFactory getSynonymFilter() {
            throw new IllegalArgumentException(
                "Token filter [" + name() + "] cannot be used to parse synonyms"
            );
        }
    }
}
