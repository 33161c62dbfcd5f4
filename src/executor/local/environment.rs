//! What of the runner's environment a job gets. Nothing else: a result must not depend on it, and it may hold secrets.

use std::ffi::OsString;

use crate::{executor::Job, pipeline::FIXED};

/// What every job gets, where it is set (docs/formats.md, "The environment of a stage").
const PASSED: [&str; 10] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "KERNELS_LIMIT",
];

/// What begins so passes too: for drivers of GPUs, and ner-pipe's own.
const FAMILIES: [&str; 4] = ["CUDA_", "NVIDIA_", "CUBECL_", "NER_PIPE_"];

/// Of all variables those that a job gets, with the values that are the same everywhere.
pub(super) fn environment(
    all: impl IntoIterator<Item = (OsString, OsString)>,
    job: &Job,
) -> Vec<(OsString, OsString)> {
    let is_given = |name: &OsString| {
        name.to_str().is_some_and(|name| {
            PASSED.contains(&name)
                || FAMILIES.iter().any(|family| name.starts_with(family))
                || job.env.contains(name)
        })
    };
    let passed = all.into_iter().filter(|(name, _)| is_given(name));
    let own = job.environment.iter().map(|(name, value)| (name.into(), value.into()));
    let threads = ("RAYON_NUM_THREADS".into(), job.threads.to_string().into());
    let fixed = FIXED.iter().map(|(name, value)| (name.into(), value.into()));
    passed.chain(own).chain([threads]).chain(fixed).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn the_page_lists_all_that_passes() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/formats.md");
        let page = fs::read_to_string(page).expect("is there");
        let section = page.split("## The environment of a stage").nth(1).expect("has the section");
        let section = section.split("\n## ").next().expect("is not empty");
        let families = FAMILIES.map(|family| format!("{family}*"));
        for name in PASSED.into_iter().chain(families.iter().map(String::as_str)) {
            assert!(section.contains(&format!("`{name}`")), "{name}");
        }
        for (name, value) in FIXED {
            assert!(section.contains(&format!("`{name}={value}`")), "{name}");
        }
    }
}
