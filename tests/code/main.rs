//! The code of each stage, as the build script of the stages finds it: on small made-up trees, on a copy
//! of the real one, and with a real edit and a real build (`rebuild`).

#[path = "../../stages/build/code.rs"]
mod code;
#[path = "../../stages/build/crates.rs"]
mod crates;
mod layout;
mod paths;
mod real;
mod rebuild;
#[path = "../../stages/build/tokens.rs"]
mod tokens;
mod tree;
