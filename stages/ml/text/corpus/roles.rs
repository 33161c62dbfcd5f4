//! What fields of records and columns of tables are called that have a text, words, tags, a sentence or a document.

/// A text, the surest first.
pub(super) const TEXTS: [&str; 11] = [
    "text",
    "sentence",
    "content",
    "raw",
    "texte",
    "phrase",
    "contents",
    "body",
    "document",
    "abstract",
    "paragraph",
];

/// The list of a text's words.
pub(super) const TOKENS: [&str; 8] =
    ["tokens", "words", "tokenized_text", "token", "word", "sentence", "text", "form"];

/// One word.
const WORDS: [&str; 8] = ["word", "token", "form", "words", "tokens", "text", "mot", "surface"];

/// Tags of words.
pub(super) const TAGS: [&str; 17] = [
    "ner_tags",
    "ner",
    "ner_labels",
    "ner_tag",
    "bio_tags",
    "iob_tags",
    "iob_tag",
    "bio",
    "iob",
    "ne",
    "ne-coarse-lit",
    "tags",
    "labels",
    "label",
    "tag",
    "entity",
    "entities",
];

/// The document that a text is of.
pub(super) const DOCUMENTS: [&str; 9] =
    ["document", "doc_id", "document_id", "docid", "doc_key", "doc", "file_name", "filename", "file"];

/// Which of some names of columns are those of a word and of its tag.
pub(super) fn header(names: &[impl AsRef<str>]) -> Option<(usize, usize)> {
    let find = |known: &[&str]| {
        let place = |name: &str| names.iter().position(|own| own.as_ref().trim().eq_ignore_ascii_case(name));
        known.iter().find_map(|name| place(name))
    };
    find(&WORDS).zip(find(&TAGS)).filter(|(word, tag)| word != tag)
}
