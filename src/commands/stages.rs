//! `ner-pipe stages`: what a pipeline file may use.

use std::io::Write;

use clap::ValueEnum;
use serde_json::{Value, json};
use stage_contract::{Kind, Port, Registry, StageKind};

use crate::{
    pipeline::{
        LACKING, offer,
        schema::{self, Parameter},
    },
    problem::{Code, Problem},
};

/// Columns of a terminal that everybody has.
const WIDTH: usize = 80;

/// List the stages, with their inputs, outputs and parameters.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this stage.
    pub name: Option<String>,
    /// For people, or for programs.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How the list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, 80 columns wide.
    Text,
    /// For programs: `{"stages": [..], "kinds": [..]}`.
    Json,
}

/// Writes the list to `out`.
///
/// # Errors
/// When no stage is called `name`.
pub fn run(args: &Args, registry: &Registry, out: &mut dyn Write) -> Result<(), Problem> {
    let name = args.name.as_deref();
    expect_known(name, registry)?;
    let chosen: Vec<_> =
        registry.stages().iter().filter(|kind| name.is_none_or(|name| name == kind.spec.name)).collect();
    let command = name.is_none_or(|name| name == "command");
    let text = match args.format {
        Format::Text => text(&chosen, command, registry, name.is_none()),
        Format::Json => format!("{:#}\n", json(&chosen, command, registry)),
    };
    // A reader that has seen enough (`| head`) is no mistake.
    let _ = out.write_all(text.as_bytes());
    Ok(())
}

fn expect_known(name: Option<&str>, registry: &Registry) -> Result<(), Problem> {
    let Some(name) = name else { return Ok(()) };
    if name == "command" || registry.find(name).is_some() {
        return Ok(());
    }
    if let Some(help) = registry.more_elsewhere() {
        return Err(Problem::new(Code::AbsentStage, format!("{LACKING}, and no stage `{name}`")).help(help));
    }
    let known = registry.stages().iter().map(|kind| kind.spec.name).chain(["command"]);
    Err(Problem::new(Code::UnknownStage, format!("there is no stage `{name}`")).help(offer(name, known)))
}

fn text(stages: &[&StageKind], command: bool, registry: &Registry, whole: bool) -> String {
    let mut page = Page::default();
    for kind in stages {
        page.stage(kind);
        let code = registry.build.code(kind.spec.name);
        if !whole && !code.is_empty() {
            page.paragraph(2, "code that a result depends on");
            for (part, _) in code {
                page.paragraph(4, part);
            }
        }
    }
    if command {
        page.command();
    }
    if whole {
        page.heading("kinds", "what flows from stage to stage, and what a source may be");
        let row = |kind: &Kind| [kind.name.to_owned(), kind.doc.to_owned()];
        page.table("", &registry.kinds().iter().map(row).collect::<Vec<_>>());
        for kind in registry.kinds() {
            let Some(form) = registry.options_of(kind) else { continue };
            page.paragraph(2, &format!("options of a source of kind {}", kind.name));
            for option in &schema::parameters(form) {
                page.parameter(4, option);
            }
        }
        if let Some(help) = registry.more_elsewhere() {
            page.heading("more", &format!("{LACKING}: {help}"));
        }
    }
    page.text
}

/// Text that keeps to its width.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn stage(&mut self, kind: &StageKind) {
        let spec = &kind.spec;
        self.heading(spec.name, spec.doc);
        self.table("inputs", &port_rows(spec.inputs));
        self.table("outputs", &port_rows(spec.outputs));
        for port in spec.outputs.iter().filter(|port| (port.schema)().is_some()) {
            let (stage, output) = (spec.name, port.name);
            self.paragraph(
                4,
                &format!("`ner-pipe schema {stage}.{output}` describes what is in `{output}`."),
            );
        }
        let parameters = schema::parameters(&kind.form);
        if !parameters.is_empty() {
            self.paragraph(2, "parameters");
        }
        for parameter in &parameters {
            self.parameter(4, parameter);
        }
        if spec.measures {
            self.paragraph(
                2,
                "Measures this machine: a result counts for one device, CPU and number of threads.",
            );
        }
    }

    fn parameter(&mut self, indent: usize, parameter: &Parameter) {
        let Parameter { name, takes, default, doc, variants, fields } = parameter;
        let takes = if variants.is_empty() { takes } else { "one of these" };
        let default = if fields.is_empty() { schema::literal(default) } else { None };
        let set = if fields.is_empty() { "; not set" } else { "" };
        let head = match default {
            Some(default) => format!("{name} = {default}  ({takes})"),
            None => format!("{name}  ({takes}{set})"),
        };
        self.wrap(&format!("{:indent$}", ""), indent + 2, &head);
        for paragraph in doc.lines() {
            self.paragraph(indent + 4, paragraph);
        }
        let widest = variants.iter().map(|(name, _)| name.chars().count() + 2).max().unwrap_or(0);
        for (name, doc) in variants {
            self.entry(indent + 4, &format!("{:widest$}", format!("\"{name}\"")), doc);
        }
        for field in fields {
            self.parameter(indent + 4, field);
        }
    }

    /// The runner's own stage has no schema.
    fn command(&mut self) {
        self.heading("command", "runs any program: the runner's own stage");
        self.table("inputs", &[["<name>  any kind".to_owned(), "as many as the program reads".to_owned()]]);
        self.table(
            "outputs",
            &[
                [
                    "<name> = \"path\"".to_owned(),
                    "where it is published: a file, or a folder when the path ends with `/`".to_owned(),
                ],
                ["<name> = { path, kind }".to_owned(), "the same, of another kind".to_owned()],
            ],
        );
        self.paragraph(2, "parameters");
        self.paragraph(4, "run  (string; must be given)");
        self.paragraph(8, "A line for `sh -c` in the project's folder. `{name}` becomes the path of an input or output, quoted; `{{` and `}}` are braces. The paths are also in the environment, as NER_PIPE_IN_<NAME> and NER_PIPE_OUT_<NAME>.");
        self.paragraph(2, "example");
        for line in [
            "[stage.count]",
            "use     = \"command\"",
            "inputs  = { text = \"sources.corpus\" }",
            "outputs = { words = \"out/words.txt\" }",
            "params  = { run = \"wc -w {text} > {words}\" }",
        ] {
            self.paragraph(4, line);
        }
    }

    fn heading(&mut self, name: &str, doc: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.entry(0, name, doc);
    }

    /// Two columns under a title; the first is as wide as its widest cell.
    fn table(&mut self, title: &str, rows: &[[String; 2]]) {
        if rows.is_empty() {
            return;
        }
        if !title.is_empty() {
            self.paragraph(2, title);
        }
        let widest = rows.iter().map(|[first, _]| first.chars().count()).max().unwrap_or(0);
        for [first, doc] in rows {
            self.entry(if title.is_empty() { 2 } else { 4 }, &format!("{first:widest$}"), doc);
        }
    }

    /// A term and its meaning, which continues under itself.
    fn entry(&mut self, indent: usize, term: &str, doc: &str) {
        let first = format!("{:indent$}{term}  ", "");
        self.wrap(&first, first.chars().count(), doc);
    }

    fn paragraph(&mut self, indent: usize, text: &str) {
        self.wrap(&format!("{:indent$}", ""), indent, text);
    }

    fn wrap(&mut self, first: &str, hang: usize, text: &str) {
        let mut line = first.to_owned();
        // Spaces inside of code are kept: only single ones break.
        for word in text.split(' ') {
            let blank = line.trim_end().is_empty() || line == first;
            if !blank && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.text.push_str(line.trim_end());
                self.text.push('\n');
                line = format!("{:hang$}", "");
            } else if !blank {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}

/// Name and kind in columns of their own, then the documentation.
fn port_rows(ports: &[Port]) -> Vec<[String; 2]> {
    let name = |port: &Port| if port.further { format!("<{}>", port.name) } else { port.name.to_owned() };
    let widest = ports.iter().map(|port| name(port).len()).max().unwrap_or(0);
    let row = |port: &Port| {
        let often = match port {
            Port { further: true, .. } => ", any number",
            Port { required: false, .. } => ", optional",
            Port { .. } => "",
        };
        [format!("{:widest$}  {}{often}", name(port), port.kind.name), port.doc.to_owned()]
    };
    ports.iter().map(row).collect()
}

fn json(stages: &[&StageKind], command: bool, registry: &Registry) -> Value {
    let mut list: Vec<_> = stages.iter().map(|kind| stage_json(kind, registry)).collect();
    if command {
        list.push(json!({
            "name": "command",
            "doc": "runs any program: the runner's own stage",
            "inputs": null,
            "outputs": null,
            "parameters": [{ "name": "run", "type": "string", "required": true }],
        }));
    }
    let kind = |kind: &Kind| {
        let options = registry.options_of(*kind).map(schema::parameters).unwrap_or_default();
        let options: Vec<_> = options.iter().map(parameter_json).collect();
        json!({ "name": kind.name, "extension": kind.extension, "doc": kind.doc, "options": options })
    };
    json!({ "stages": list, "kinds": registry.kinds().iter().map(kind).collect::<Vec<_>>() })
}

fn stage_json(kind: &StageKind, registry: &Registry) -> Value {
    let code = registry.build.code(kind.spec.name).iter();
    let code: serde_json::Map<String, Value> =
        code.map(|(part, hash)| ((*part).to_owned(), (*hash).into())).collect();
    let port = |port: &Port| {
        json!({
            "name": port.name,
            "kind": port.kind.name,
            "required": port.required,
            "further": port.further,
            "doc": port.doc,
        })
    };
    json!({
        "name": kind.spec.name,
        "version": kind.spec.version,
        "doc": kind.spec.doc,
        "measures": kind.spec.measures,
        "inputs": kind.spec.inputs.iter().map(port).collect::<Vec<_>>(),
        "outputs": kind.spec.outputs.iter().map(port).collect::<Vec<_>>(),
        "parameters": schema::parameters(&kind.form).iter().map(parameter_json).collect::<Vec<_>>(),
        "schema": (kind.form.schema)(),
        "code": code,
    })
}

fn parameter_json(parameter: &Parameter) -> Value {
    let variants = parameter.variants.iter().map(|(name, doc)| json!({ "value": name, "doc": doc }));
    json!({
        "name": parameter.name,
        "type": parameter.takes,
        "default": parameter.default,
        "doc": parameter.doc,
        "variants": variants.collect::<Vec<_>>(),
        "fields": parameter.fields.iter().map(parameter_json).collect::<Vec<_>>(),
    })
}
