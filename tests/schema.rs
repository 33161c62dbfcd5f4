//! The JSON schema for editors and the parser agree: on every bad file whose mistake a schema can see, and on
//! every good one.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use ner_pipe::{
    pipeline::{Pipeline, grammar},
    problem::{Code, Problem},
};
use serde_json::Value;

#[path = "diagnostics/stages.rs"]
mod stages;

/// Mistakes that a schema cannot see: in the grammar of TOML, in what lies on the disk, in how things that are
/// right by themselves fit together, and in what a parameter means.
const INVISIBLE: [Code; 26] = [
    Code::BadHub,
    Code::BadInstance,
    Code::BadOverride,
    Code::BadPlaceholder,
    Code::CannotInit,
    Code::Cycle,
    Code::DuplicateInstance,
    Code::DuplicateName,
    Code::DuplicateOutput,
    Code::InvalidParameter,
    Code::MissingPipeline,
    Code::MissingSource,
    Code::NameTaken,
    Code::NotUtf8,
    Code::OutsideProject,
    Code::Preflight,
    Code::ProtectedPath,
    Code::Secret,
    Code::Syntax,
    Code::TooManyInstances,
    Code::TooMuch,
    Code::UnknownOrigin,
    Code::UnknownOutput,
    Code::UnknownResource,
    Code::UnknownSource,
    Code::UnreadableFile,
];

/// Likewise.
const KINDS: [Code; 2] = [Code::WrongKind, Code::WrongShape];

/// In another file, or on the command line.
const ELSEWHERE: [&str; 4] =
    ["mistyped_parameter-by-set", "mistyped_parameter-in-config", "missing_pipeline", "out_of_range-by-set"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

/// The schema, held against that of schemas.
struct Validator(Schemas, SchemaIndex);

fn validator() -> Validator {
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    compiler.set_default_draft(Draft::V2020_12);
    compiler.add_resource("schema.json", grammar(&stages::registry())).expect("is JSON");
    let index = compiler.compile("schema.json", &mut schemas).unwrap_or_else(|error| panic!("{error:#}"));
    Validator(schemas, index)
}

impl Validator {
    fn error(&self, document: &Value) -> Option<String> {
        self.0.validate(document, self.1).err().map(|error| format!("{error:#}"))
    }
}

fn json(text: &str) -> Option<Value> {
    let table: toml::Table = text.parse().ok()?;
    serde_json::to_value(table).ok()
}

#[test]
fn the_schema_is_itself_valid() {
    assert_eq!(grammar(&stages::registry())["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let nonsense = serde_json::json!({ "type": "tabel" });
    assert!(validator().error(&nonsense).is_some());
    let mut compiler = Compiler::new();
    compiler.add_resource("nonsense.json", nonsense).expect("is JSON");
    assert!(compiler.compile("nonsense.json", &mut Schemas::new()).is_err(), "what is no schema is noticed");
}

#[test]
fn schema_and_parser_agree_on_every_bad_file() {
    let (validator, mut seen) = (validator(), BTreeSet::new());
    let mut names: Vec<_> = fs::read_dir(root())
        .expect("the folder of bad files")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    names.sort();
    for path in names {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if ELSEWHERE.contains(&name.as_str()) {
            continue;
        }
        let file = PathBuf::from(format!("{name}.toml"));
        let Some(document) = fs::read_to_string(&path).ok().and_then(|text| json(&text)) else { continue };
        let codes: Vec<Code> = match Pipeline::load(&root(), &file, &stages::registry(), &[]) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(Problem::code).collect(),
        };
        let visible: Vec<_> =
            codes.iter().filter(|code| !INVISIBLE.contains(code) && !KINDS.contains(code)).collect();
        seen.extend(visible.iter().map(|code| code.name()));
        let error = validator.error(&document);
        assert_eq!(
            error.is_none(),
            visible.is_empty(),
            "{name}: the parser says {codes:?}, the schema {error:?}"
        );
    }
    for code in [
        "wrong_type",
        "unknown_key",
        "unknown_parameter",
        "mistyped_parameter",
        "out_of_range",
        "missing_input",
        "no_output",
    ] {
        assert!(seen.contains(code), "no file shows {code}");
    }
}

/// Every way to write things.
const GOOD: &str = r#"
seed = 0
[pipeline]
name = "all"
[sources]
text = { path = "corpus", kind = "text", unit = "document", errors = 3 }
h = { hub = "owner/name", revision = "v1", kind = "model" }
r = { path = "records", kind = "records" }
t = { path = "teacher", kind = "model" }
[stage.distill]
inputs = { train = "sources.r", dev = "sources.r", teacher = "sources.t" }
params = { epochs = 2, temperature = 2, layers = [0, 1], schedule = { warmup = 0.2, kind = "cosine" } }
[stage.distill-small]
use = "distill"
inputs = { train = "sources.r", dev = "sources.r", teacher = "distill.model" }
config = "configs/distill.toml"
[stage.command]
outputs = { out = "out/a", folder = "out/b/", report = { path = "out/c", kind = "report" }, bare = { path = "out/d" } }
params = { run = "make {out} {folder} {report} {bare}" }
[stage.split]
use = "command"
inputs = { any-name = "command.out" }
outputs = { out = "out/e" }
params = { run = "cp {any-name} {out}" }
resources = { cpu = 1, memory = "1GiB", licence = 1 }
mutex = ["port", "screen"]
timeout = "1h 30m"
grace = "5s"
retries = 2
backoff = "1s"
[resources]
licence = 2
[stage.many]
use = "distill"
foreach = { cold = 0.5, warm = 2.0 }
inputs = { train = "sources.r", dev = "sources.r", teacher = "distill.model" }
params = { temperature = "{item}" }
seed = 3
[stage.grid]
use = "command"
matrix = { a = [1, 2], b = ["x", "y"] }
inputs = { one = "many@cold.model" }
outputs = { out = "out/grid-{key}" }
params = { run = "echo {matrix.a} {matrix.b} {one} > {out}" }
[stage.together]
use = "command"
inputs = { all = "many@*.model" }
outputs = { out = "out/all" }
params = { run = "ls {all} > {out}" }
mutex = "port"
[stage.compare]
inputs = { teacher = "sources.t", p60 = "distill-small.model", study = "many@*.model" }
params = { gates = { small = { model = "p60", max = 0.6 } } }
"#;

#[test]
fn schema_and_parser_agree_on_a_good_file_and_on_each_slip_in_it() {
    let project = tempfile::tempdir().expect("a folder");
    for folder in ["teacher", "configs"] {
        fs::create_dir(project.path().join(folder)).expect("created");
    }
    for file in ["corpus", "records", "configs/distill.toml"] {
        fs::write(project.path().join(file), "").expect("written");
    }
    let validator = validator();
    let agree = |text: &str, good: bool| {
        fs::write(project.path().join("pipeline.toml"), text).expect("written");
        let loaded = Pipeline::load(project.path(), Path::new("pipeline.toml"), &stages::registry(), &[]);
        assert_eq!(loaded.is_ok(), good, "{text}\n{}", loaded.err().unwrap_or_default());
        let document = json(text).expect("is TOML");
        let error = validator.error(&document);
        assert_eq!(error.is_none(), good, "{text}\n{}", error.unwrap_or_default());
    };
    agree(GOOD, true);
    fs::write(project.path().join("configs/run.toml"), "run = \"date > {out}\"\n").expect("written");
    agree("[stage.a]\nuse = \"command\"\noutputs = { out = \"a\" }\nconfig = \"configs/run.toml\"\n", true);
    for (from, to) in [
        ("seed = 0", "seed = -1"),
        ("seed = 0", "seed = 0.5"),
        ("seed = 0", "seeds = 0"),
        ("name = \"all\"", "name = \"All\""),
        ("kind = \"text\"", "kind = \"txt\""),
        ("path = \"corpus\", ", ""),
        ("text = {", "Text = {"),
        ("[stage.distill]", "[stage.distil]"),
        ("[stage.distill-small]", "[stage.sources]"),
        ("use = \"distill\"", "use = \"prune\""),
        ("epochs = 2", "epochs = \"2\""),
        ("epochs = 2", "epoch = 2"),
        ("epochs = 2", "epochs = 0"),
        ("warmup = 0.2", "warmup = 1"),
        ("layers = [0, 1]", "layers = []"),
        ("kind = \"cosine\"", "kind = \"cos\""),
        ("kind = \"cosine\"", "knd = \"cosine\""),
        ("layers = [0, 1]", "layers = [0, true]"),
        ("teacher = \"sources.t\"", "gold = \"sources.t\""),
        ("teacher = \"distill.model\"", "teacher = \"distill\""),
        ("config = \"configs/distill.toml\"", "config = \"configs/distill.toml\"\nparams = { epochs = 1 }"),
        ("config = \"configs/distill.toml\"", "outputs = { a = \"b\" }"),
        ("report = { path = \"out/c\",", "report = {"),
        ("run = \"make", "runs = \"make"),
        ("outputs = { out = \"out/e\" }\n", ""),
        ("outputs = { out = \"out/e\" }\n", "outputs = {}\n"),
        ("params = { run = \"cp {any-name} {out}\" }", ""),
        ("any-name = \"command.out\"", "any-name = 3"),
        ("licence = 1 }", "licence = \"one\" }"),
        ("memory = \"1GiB\"", "memory = true"),
        ("mutex = [\"port\",", "mutex = [3,"),
        ("timeout = \"1h 30m\"", "timeout = 90"),
        ("retries = 2", "retries = 101"),
        ("foreach = { cold = 0.5, warm = 2.0 }", "foreach = {}"),
        ("foreach = { cold = 0.5, warm = 2.0 }", "foreach = 3"),
        ("params = { temperature = \"{item}\" }", "params = { temprature = \"{item}\" }"),
        ("matrix = { a = [1, 2], b = [\"x\", \"y\"] }", "matrix = { a = [1, 2], b = [] }"),
        ("matrix = {", "foreach = [1]\nmatrix = {"),
        ("mutex = \"port\"", "seed = 1"),
        ("p60 = \"distill-small.model\"", "P60 = \"distill-small.model\""),
        ("p60 = \"distill-small.model\"", "p60 = \"distill-small\""),
        ("teacher = \"sources.t\", p60", "master = \"sources.t\", p60"),
        ("max = 0.6", "max = \"0.6\""),
        ("max = 0.6", "most = 0.6"),
        ("max = 0.6", "max = -0.6"),
        (
            "dev = \"sources.r\", teacher = \"distill.model\" }\nconfig",
            "dev = \"sources.r\", teacher = \"many@*.model\" }\nconfig",
        ),
    ] {
        assert!(GOOD.contains(from), "{from}");
        agree(&GOOD.replacen(from, to, 1), false);
    }
}

#[test]
fn the_pipelines_of_this_repository_fit_the_schema_but_for_stages_that_this_registry_has_not() {
    let validator = validator();
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("pipeline.toml")).expect("is there");
    let mut document = json(&text).expect("is TOML");
    document["stage"] =
        serde_json::json!({ "a": { "use": "command", "outputs": { "o": "o" }, "params": { "run": "x" } } });
    assert!(validator.error(&document).is_none(), "{document:#}");
}
