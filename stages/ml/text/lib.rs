//! Text without a tensor: words, cleaning, readers of corpora and gold, labels, tokenizers, windows.

pub mod clean;
pub mod corpus;
pub mod encoding;
pub mod entities;
pub mod folder;
pub mod foreign;
pub mod labels;
pub mod links;
pub mod mojibake;
pub mod pieces;
pub mod random;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tokenizer;
pub mod window;
pub mod words;
