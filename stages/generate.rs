//! NOTE TO THE TEXT ENGINEER: the lead moved `generate.rs`, the lexicons and `ml/vocabulary.rs` to other hands
//! (branches `gen` and `main`). Do not write them, delete this note file, finish labels..batch, clean and split only,
//! and commit what you have of labels/corpus/words/tokenizer/batch AT ONCE: everyone waits for it.
