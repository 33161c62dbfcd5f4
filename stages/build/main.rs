//! Writes down, for each stage, the code that its results depend on: see [`code`].

mod code;
mod crates;
mod tokens;

use std::{env, error::Error, fs, path::Path, process::Command};

#[expect(clippy::disallowed_methods, reason = "no stage: it is asked by Cargo, before any stage is there")]
#[expect(clippy::print_stdout, reason = "this is how a build script speaks to Cargo")]
fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name: &str| env::var(name).ok();
    let folder = env::var("CARGO_MANIFEST_DIR")?;
    let folder = Path::new(&folder);
    let code = code::code(folder, folder.parent().ok_or("no workspace")?, &variable)?;
    let stages = code.stages.iter().map(|(stage, parts)| {
        let parts: Vec<_> = parts.iter().collect();
        format!("    stage_contract::Code {{ stage: {stage:?}, parts: &{parts:?} }},\n")
    });
    let stages: String = stages.collect();
    let version = Command::new(env::var("RUSTC")?).arg("--version").output()?.stdout;
    let version = String::from_utf8(version)?;
    let text = format!(
        "const CODE: &[stage_contract::Code] = &[\n{stages}];\nconst COMPILER: &str = {:?};\n",
        version.trim()
    );
    fs::write(Path::new(&env::var("OUT_DIR")?).join("code.rs"), text)?;
    for path in &code.read {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    Ok(())
}
