//! The binary: hands the stages' registry to the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(feature = "ml")]
    let registry = stages::registry();
    #[cfg(not(feature = "ml"))]
    let registry = ner_pipe::without_ml();
    ner_pipe::cli::main(&registry)
}
