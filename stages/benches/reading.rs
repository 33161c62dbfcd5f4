//! Our side of `benches/reading.py`: reads and cleans a corpus, tokenises what is left, and says in a line of JSON how long
//! each took.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark tells times")]

use std::{env, path::PathBuf, time::Instant};

use rayon::prelude::*;
use stage_contract::Artifact;
use text::{
    clean::{Rules, clean},
    corpus::Text,
    tokenizer::Tokenizer,
};

fn main() {
    let arguments: Vec<PathBuf> = env::args().skip(1).filter(|a| a != "--bench").map(PathBuf::from).collect();
    let [corpus, tokenizer] = arguments.as_slice() else { return };
    let vocab = 32_005;
    let tokenizer = Tokenizer::load(tokenizer, vocab).expect("a tokenizer");
    let start = Instant::now();
    let text = <Text as Artifact>::load(corpus).expect("text");
    let read = start.elapsed().as_secs_f64();
    let cleaned = clean(&text, &Rules::default());
    let cleaned_after = start.elapsed().as_secs_f64();
    let pieces: usize =
        cleaned.lines.par_iter().map(|line| tokenizer.pieces(&line.text).expect("sub-words").len()).sum();
    let tokenised = start.elapsed().as_secs_f64() - cleaned_after;
    println!(
        "{}",
        serde_json::json!({
            "lines": text.lines.len(), "kept": cleaned.lines.len(), "pieces": pieces,
            "read": read, "clean": cleaned_after - read, "tokenise": tokenised,
        })
    );
}
