//! Foreign files: every seed of `fuzz/`, and mutants of them.

use std::path::Path;

#[path = "../../../../fuzz/bodies/text.rs"]
mod bodies;
#[path = "../../../../fuzz/bodies/seeded.rs"]
mod seeded;

/// Mutants of each loader's seeds.
const MUTANTS: usize = 60;

#[test]
fn no_foreign_file_of_text_or_tokenizer_panics_or_is_half_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz/seeds/text");
    for (name, loader) in bodies::LOADERS {
        seeded::fuzz(&folder, name, loader, MUTANTS);
    }
}
