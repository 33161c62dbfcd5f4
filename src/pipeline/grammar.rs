//! What a pipeline file may say, as a JSON schema for editors: made from the registry and from the lists of
//! keys that the parser itself uses.

use serde_json::{Map, Value, json};
use stage_contract::{Port, Registry, StageKind};

use super::keys::{NAME, OUTPUT_KEYS, PIPELINE_KEYS, RUN, SOURCE_KEYS, SOURCE_KINDS, STAGE_KEYS, TOP_KEYS};

/// The JSON schema (draft 2020-12) of a pipeline file for the stages of this registry.
#[must_use]
pub fn grammar(registry: &Registry) -> Value {
    let mut defs = Map::new();
    defs.insert("name".to_owned(), json!({ "type": "string", "pattern": format!("^{NAME}$") }));
    defs.insert(
        "origin".to_owned(),
        json!({
            "description": "`sources.<name>` or `<stage>.<output>`",
            "type": "string",
            "pattern": format!("^{NAME}\\.{NAME}$"),
        }),
    );
    defs.insert("kind".to_owned(), json!({ "enum": SOURCE_KINDS.map(|kind| kind.name) }));
    defs.insert("source".to_owned(), {
        let mut source = object(&SOURCE_KEYS, |key| match key {
            "path" => json!({ "description": "relative to the project's folder", "type": "string" }),
            _ => json!({ "$ref": "#/$defs/kind" }),
        });
        source["required"] = json!(SOURCE_KEYS);
        source
    });
    for kind in registry.stages() {
        let parameters = parameters(kind, &mut defs);
        defs.insert(format!("{} parameters", kind.spec.name), parameters);
        defs.insert(kind.spec.name.to_owned(), stage(kind));
    }
    defs.insert("command".to_owned(), command());
    let names: Vec<&str> = registry.stages().iter().map(|kind| kind.spec.name).chain(["command"]).collect();
    let mut whole = object(&TOP_KEYS, |key| match key {
        "pipeline" => object(&PIPELINE_KEYS, |_| reference("name")),
        "seed" => json!({
            "description": "what all stages draw their randomness from",
            "type": "integer", "minimum": 0, "maximum": u64::MAX, "default": 42,
        }),
        "sources" => json!({
            "description": "what lies in the project before any stage runs",
            "type": "object",
            "propertyNames": reference("name"),
            "additionalProperties": reference("source"),
        }),
        "stage" => stages(&names),
        other => shared(other, ""),
    });
    whole["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    whole["title"] = json!("a pipeline of ner-pipe");
    whole["required"] = json!(["stage"]);
    whole["$defs"] = Value::Object(defs);
    whole
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{}", name.replace(' ', "%20")) })
}

/// A table with exactly these keys.
fn object(keys: &[&str], of: impl Fn(&str) -> Value) -> Value {
    let properties: Map<_, _> = keys.iter().map(|key| ((*key).to_owned(), of(key))).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// `[stage]`: a table's name is the stage, unless `use` says another.
fn stages(names: &[&str]) -> Value {
    let by_use: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({
                "if": { "required": ["use"], "properties": { "use": { "const": name } } },
                "then": reference(name),
            })
        })
        .collect();
    let spelled_out = json!({
        "type": "object",
        "properties": { "use": { "description": "the stage", "enum": names } },
        "allOf": by_use,
    });
    let by_name: Map<_, _> = names
        .iter()
        .map(|name| {
            let either =
                json!({ "if": { "required": ["use"] }, "then": spelled_out, "else": reference(name) });
            ((*name).to_owned(), either)
        })
        .collect();
    let mut otherwise = spelled_out.clone();
    otherwise["required"] = json!(["use"]);
    json!({
        "type": "object",
        "minProperties": 1,
        "propertyNames": { "allOf": [reference("name"), { "not": { "const": "sources" } }] },
        "properties": by_name,
        "additionalProperties": otherwise,
    })
}

/// A stage of the registry.
fn stage(kind: &StageKind) -> Value {
    let spec = &kind.spec;
    let port = |port: &Port| {
        let description = format!("{}: {}", port.kind.name, port.doc);
        (port.name.to_owned(), json!({ "description": description, "$ref": "#/$defs/origin" }))
    };
    let needed: Vec<_> = spec.inputs.iter().filter(|port| port.required).map(|port| port.name).collect();
    let inputs: Map<_, _> = spec.inputs.iter().map(port).collect();
    // Only a command declares outputs.
    let keys: Vec<_> = STAGE_KEYS.into_iter().filter(|key| *key != "outputs").collect();
    let mut table = object(&keys, |key| match key {
        "inputs" => json!({
            "type": "object", "properties": inputs, "required": needed, "additionalProperties": false,
        }),
        "params" => reference(&format!("{} parameters", spec.name)),
        other => shared(other, spec.name),
    });
    table["description"] = json!(spec.doc);
    table["not"] = json!({ "required": ["params", "config"] });
    if !needed.is_empty() {
        table["required"] = json!(["inputs"]);
    }
    table
}

/// The keys that mean the same in every stage.
fn shared(key: &str, name: &str) -> Value {
    match key {
        "use" => json!({ "const": name }),
        "config" => json!({ "description": "a file with the parameters", "type": "string" }),
        // A key that the parser knows and nobody described here yet.
        _ => json!(true),
    }
}

/// The runner's own stage.
fn command() -> Value {
    let mut table = object(&STAGE_KEYS, |key| match key {
        "inputs" => json!({
            "type": "object",
            "propertyNames": reference("name"),
            "additionalProperties": { "$ref": "#/$defs/origin" },
        }),
        "outputs" => {
            let mut detailed = object(&OUTPUT_KEYS, |key| match key {
                "kind" => reference("kind"),
                _ => json!({ "type": "string" }),
            });
            detailed["required"] = json!(["path"]);
            json!({
                "description": "where each is published: a file, or a folder when the path ends with `/`",
                "type": "object",
                "minProperties": 1,
                "propertyNames": reference("name"),
                "additionalProperties": { "oneOf": [{ "type": "string" }, detailed] },
            })
        }
        "params" => {
            let mut params = object(
                &[RUN],
                |_| json!({ "description": "a line for `sh -c`; `{name}` is the path of an input or output", "type": "string" }),
            );
            params["required"] = json!([RUN]);
            params
        }
        other => shared(other, "command"),
    });
    table["description"] = json!("runs any program: the runner's own stage");
    table["required"] = json!(["outputs"]);
    table["oneOf"] = json!([{ "required": ["params"] }, { "required": ["config"] }]);
    table
}

/// The parameters of a stage; what their schema defines goes to `defs` under a name of its own.
fn parameters(kind: &StageKind, defs: &mut Map<String, Value>) -> Value {
    let mut schema = (kind.schema)();
    let prefix = format!("{} ", kind.spec.name);
    point_into(&mut schema, &prefix);
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("$schema");
        fields.remove("title");
        if let Some(Value::Object(inner)) = fields.remove("$defs") {
            defs.extend(inner.into_iter().map(|(name, schema)| (format!("{prefix}{name}"), schema)));
        }
        // The parser knows no others, also where serde could not say so (flattened fields).
        fields.insert("additionalProperties".to_owned(), json!(false));
    }
    schema
}

/// Lets every reference to `#/$defs/<name>` be one to `#/$defs/<prefix><name>`.
fn point_into(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "$ref" => {
                        *text = text.replace("#/$defs/", &format!("#/$defs/{}", prefix.replace(' ', "%20")));
                    }
                    value => point_into(value, prefix),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| point_into(item, prefix)),
        _ => {}
    }
}
