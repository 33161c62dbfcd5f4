//! A real edit and a real build: a workspace with two stages and no Burn, on this runner and with the
//! build script of the real stages. It is built in the target folder of this test, so that what the
//! two have in common is there already, and what it builds is there the next time.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The workspace, and the project in which its binary runs.
struct Workspace {
    root: PathBuf,
    project: tempfile::TempDir,
}

impl Workspace {
    fn new() -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rebuild");
        let workspace = Self { root, project: tempfile::tempdir().expect("a folder") };
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let fill = |text: &str| text.replace("HERE", &here.display().to_string());
        workspace.write("Cargo.toml", &fill(WORKSPACE));
        workspace.write("main.rs", MAIN);
        workspace.write("stages/Cargo.toml", &fill(STAGES));
        workspace.write("stages/lib.rs", LIB);
        for (package, sign) in [("shared", "+"), ("lone", "-")] {
            workspace.write(&format!("stages/{package}/Cargo.toml"), &PACKAGE.replace("NAME", package));
            let text = format!("pub fn sign() -> &'static str {{\n    \"{sign}\"\n}}\n");
            workspace.write(&format!("stages/{package}/lib.rs"), &text);
        }
        for (name, stage, uses) in [("first", "First", "shared"), ("second", "Second", "lone")] {
            let text = STAGE.replace("NAME", name).replace("STAGE", stage).replace("USES", uses);
            workspace.write(&format!("stages/{name}.rs"), &text);
        }
        for script in fs::read_dir(here.join("stages/build")).expect("is there") {
            let script = script.expect("is readable");
            let text = fs::read_to_string(script.path()).expect("is readable");
            workspace.write(&format!("stages/build/{}", script.file_name().display()), &text);
        }
        let lock = fs::read_to_string(here.join("Cargo.lock")).expect("is there");
        // Cargo takes out of it what is not needed.
        workspace.write("Cargo.lock", &lock);
        fs::write(workspace.project.path().join("in.txt"), "text").expect("writes");
        fs::write(workspace.project.path().join("pipeline.toml"), PIPELINE).expect("writes");
        workspace
    }

    /// Leaves what is the same alone, so that Cargo does too.
    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            return;
        }
        fs::create_dir_all(path.parent().expect("has one")).expect("creates");
        fs::write(path, text).expect("writes");
    }

    fn replace(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.root.join(path)).expect("is there");
        assert!(text.contains(from), "{path} has no {from}");
        self.write(path, &text.replace(from, to));
    }

    /// Builds, without a network and with what is locked here.
    fn build(&self) -> PathBuf {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("has one").to_owned();
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["build", "--offline", "--quiet"])
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &target);
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        if profile == "release" {
            cargo.arg("--release");
        }
        // What Cargo tells this test about itself is not about the other.
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" {
                cargo.env_remove(name);
            }
        }
        let output = cargo.output().expect("cargo starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        target.join(profile).join("ner-pipe-rebuild-test")
    }

    fn ner_pipe(&self, arguments: &[&str]) -> String {
        let binary = self.build();
        let output: Output = Command::new(binary)
            .args(arguments)
            .current_dir(self.project.path())
            .env_remove("RUST_LOG")
            .output()
            .expect("starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// The stages that executed so far.
    fn trace(&self) -> Vec<String> {
        let trace = fs::read_to_string(self.project.path().join("trace")).unwrap_or_default();
        trace.lines().map(str::to_owned).collect()
    }
}

#[test]
fn an_edit_and_a_build_make_exactly_the_users_of_the_code_stale() {
    let workspace = Workspace::new();
    workspace.ner_pipe(&["run"]);
    assert_eq!(workspace.trace(), ["first", "second"]);
    let all = || workspace.trace().len();

    workspace.replace("stages/first.rs", "//! A stage.", "//! A stage that is good for nothing.\n// Really.");
    workspace.replace("stages/shared/lib.rs", "{\n    \"+\"\n}", "{ \"+\" } // laid out in another way");
    let said = workspace.ner_pipe(&["run"]);
    assert!(said.contains("2 reused"), "a comment leaves everything fresh: {said}");
    assert_eq!(all(), 2);

    workspace.replace("stages/second.rs", "let calm = 1;", "let calm = 2;");
    let said = workspace.ner_pipe(&["run"]);
    assert!(said.contains("(code changed: second.rs)"), "{said}");
    assert_eq!(workspace.trace()[2..], ["second"], "one stage's own file");

    workspace.replace("stages/shared/lib.rs", "\"+\"", "\"*\"");
    let said = workspace.ner_pipe(&["run"]);
    assert!(said.contains("(code changed: shared/lib.rs)"), "{said}");
    assert_eq!(workspace.trace()[3..], ["first"], "what one of the two uses");

    workspace.replace("stages/shared/lib.rs", "fn sign()", "fn other() {}\npub fn sign()");
    let said = workspace.ner_pipe(&["accept", "first"]);
    assert!(said.contains("first  accepted: ") && said.contains("(code changed: shared/lib.rs)"), "{said}");
    let said = workspace.ner_pipe(&["run"]);
    assert!(said.contains("2 reused"), "{said}");

    workspace.replace("stages/shared/lib.rs", "pub fn other() {}\n", "");
    workspace.replace("stages/second.rs", "let calm = 2;", "let calm = 1;");
    let said = workspace.ner_pipe(&["run"]);
    assert!(!said.contains("executed"), "what was there before is taken again: {said}");
    assert_eq!(all(), 4);
}

const WORKSPACE: &str = r#"
[workspace]
members = ["stages", "stages/shared", "stages/lone"]
resolver = "3"

[workspace.dependencies]
blake3 = { version = "1", features = ["rayon", "mmap"] }
toml = { version = "1", features = ["preserve_order"] }
walkdir = "2"

[package]
name = "ner-pipe-rebuild-test"
version = "0.1.0"
edition = "2024"

[[bin]]
name = "ner-pipe-rebuild-test"
path = "main.rs"

[dependencies]
ner-pipe = { path = "HERE", default-features = false }
rebuilt-stages = { path = "stages" }
"#;

const MAIN: &str =
    "fn main() -> std::process::ExitCode {\n    ner_pipe::cli::main(&rebuilt_stages::registry())\n}\n";

const STAGES: &str = r#"
[package]
name = "rebuilt-stages"
version = "0.1.0"
edition = "2024"
build = "build/main.rs"

[lib]
path = "lib.rs"

[dependencies]
schemars = "1"
serde = { version = "1", features = ["derive"] }
stage-contract = { path = "HERE/stages/contract" }

shared = { path = "shared" }
lone = { path = "lone" }

[build-dependencies]
blake3.workspace = true
proc-macro2 = "1"
toml.workspace = true
walkdir.workspace = true
"#;

const PACKAGE: &str = r#"
[package]
name = "NAME"
version = "0.1.0"
edition = "2024"

[lib]
path = "lib.rs"
"#;

const LIB: &str = r#"
pub mod first;
pub mod second;

use stage_contract::{Build, Device, Registry};

include!(concat!(env!("OUT_DIR"), "/code.rs"));

pub fn registry() -> Registry {
    Registry::new(Build { code: CODE, compiler: COMPILER, device: |_| Ok((Device::CPU.into(), None)) })
        .stage::<first::First>()
        .stage::<second::Second>()
}
"#;

const STAGE: &str = r#"//! A stage.

use std::{fs, io::Write, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::{Artifact, Context, Input, Kind, Output, Spec, Stage, StageError};

pub struct Text(String);

impl Artifact for Text {
    const KIND: Kind = Kind::FILE;
    fn load(path: &Path) -> Result<Self, StageError> {
        fs::read_to_string(path).map(Self).map_err(|e| StageError::io("read", path, e))
    }
    fn save(&self, path: &Path) -> Result<(), StageError> {
        fs::write(path, &self.0).map_err(|e| StageError::io("write", path, e))
    }
}

const TEXT: Input<Text> = Input::new("text", "what to sign");
const OUT: Output<Text> = Output::new("out", "signed");

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct STAGE {}

impl Stage for STAGE {
    const SPEC: Spec = Spec {
        name: "NAME",
        version: 1,
        doc: "signs a text",
        inputs: &[TEXT.port()],
        outputs: &[OUT.port()],
        measures: false,
    };

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let calm = 1;
        let mut trace = fs::File::options().append(true).create(true).open("trace").expect("opens");
        writeln!(trace, "NAME").expect("writes");
        let Text(text) = cx.read(&TEXT)?;
        cx.write(&OUT, &Text(format!("{text}{}{}", USES::sign(), calm - calm)))
    }
}
"#;

const PIPELINE: &str = r#"
[sources]
in = { path = "in.txt", kind = "file" }
[stage.first]
inputs = { text = "sources.in" }
[stage.second]
inputs = { text = "sources.in" }
"#;
