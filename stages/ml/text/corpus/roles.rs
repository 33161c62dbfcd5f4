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
    let names: Vec<String> = names.iter().map(|name| name.as_ref().trim().to_lowercase()).collect();
    let find = |known: &str| names.iter().position(|name| name == known);
    let word = WORDS.into_iter().find_map(find)?;
    // Layers of HIPE: `NE-FINE-LIT`, `NE-NESTED`.
    let layers = (0..names.len()).filter(|place| names[*place].starts_with("ne-"));
    let tags: Vec<usize> =
        TAGS.into_iter().filter_map(find).chain(layers).filter(|tag| *tag != word).collect();
    (!tags.is_empty()).then_some((word, tags))
}
