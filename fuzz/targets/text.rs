#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

#[path = "../bodies/text.rs"]
mod bodies;

static LOADER: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("LOADER").expect("LOADER is set");
    bodies::LOADERS.iter().find(|(loader, _)| *loader == name).expect("LOADER is one of LOADERS").1
});

fuzz_target!(|data: &[u8]| LOADER(data));
