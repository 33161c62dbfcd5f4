//! The runner's own files, damaged: every seed of `fuzz/`, and mutants of them.

use std::path::Path;

#[path = "../fuzz/bodies/runner.rs"]
mod bodies;
#[path = "../fuzz/bodies/seeded.rs"]
mod seeded;

/// Mutants of each loader's seeds.
const MUTANTS: usize = 100;

#[test]
fn no_damaged_file_of_a_project_or_its_cache_panics() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/runner");
    for (name, loader) in bodies::LOADERS {
        seeded::fuzz(&folder, name, loader, MUTANTS);
    }
}
