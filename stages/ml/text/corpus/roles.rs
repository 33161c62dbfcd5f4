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

/// Which of some names of columns is that of a word, and which may be that of its tag, the surest first: at least one.
pub(super) fn header(names: &[impl AsRef<str>]) -> Option<(usize, Vec<usize>)> {
    let word = word(names)?;
    Some((word, tags(names, word))).filter(|(_, tags)| !tags.is_empty())
}

/// Which of some names of columns is that of a word.
pub(super) fn word(names: &[impl AsRef<str>]) -> Option<usize> {
    WORDS.into_iter().find_map(|name| find(names, name))
}

/// Which of some names of columns may be that of the tag beside a word, the surest first.
pub(super) fn tags(names: &[impl AsRef<str>], word: usize) -> Vec<usize> {
    // Layers of HIPE: `NE-FINE-LIT`, `NE-NESTED`.
    let is_layer = |name: &str| name.trim().to_lowercase().starts_with("ne-");
    let layers = (0..names.len()).filter(|place| is_layer(names[*place].as_ref()));
    TAGS.into_iter().filter_map(|name| find(names, name)).chain(layers).filter(|tag| *tag != word).collect()
}

fn find(names: &[impl AsRef<str>], name: &str) -> Option<usize> {
    names.iter().position(|own| own.as_ref().trim().eq_ignore_ascii_case(name))
}
