-- Full-text search over prompts and completions: the words of the lower-cased text, and pairs of its characters outside of
-- ASCII (a text without them has none). Both only narrow a search: what is found is decided on the texts themselves.
ALTER TABLE request_bodies
    ADD INDEX IF NOT EXISTS by_word
        lowerUTF8(concat(ifNull(prompt, ''), '\n', ifNull(completion, '')))
        TYPE text(tokenizer = 'splitByNonAlpha'),
    ADD INDEX IF NOT EXISTS by_character
        if(length(lowerUTF8(concat(ifNull(prompt, ''), '\n', ifNull(completion, '')))) = lengthUTF8(lowerUTF8(concat(ifNull(prompt, ''), '\n', ifNull(completion, '')))), '', replaceRegexpAll(lowerUTF8(concat(ifNull(prompt, ''), '\n', ifNull(completion, ''))), '[\\x00-\\x7F]+', ' '))
        TYPE text(tokenizer = ngrams(2)),
    MATERIALIZE INDEX by_word,
    MATERIALIZE INDEX by_character
