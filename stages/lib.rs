//! The machine-learning stages: tensors and text, no cache. A stage is one file here; what stages share is in the packages
//! of `ml/`.

pub mod annotate;
pub mod audit;
pub mod augment;
mod chosen;
pub mod distill;
pub mod evaluate;
pub mod export;
pub mod finetune;
pub mod generate;
pub mod mix;
pub mod predict;
pub mod profile;
pub mod prune;
pub mod serve;
pub mod split;
pub mod teach;
mod template;

use encoder::model::{self, Model};
use stage_contract::{Artifact, Build, Registry};
use text::{
    corpus::{self, Gold, Text, look},
    folder,
};

include!(concat!(env!("OUT_DIR"), "/code.rs"));

/// Every stage and tool of this crate: one line each.
#[must_use]
pub fn registry() -> Registry {
    Registry::new(Build { code: CODE, compiler: COMPILER, device: encoder::backend::device::resolve })
        .stage::<generate::Generate>()
        .stage::<teach::Teach>()
        .stage::<annotate::Annotate>()
        .stage::<augment::Augment>()
        .stage::<split::Split>()
        .stage::<mix::Mix>()
        .stage::<distill::Distill>()
        .stage::<profile::Measure>()
        .stage::<prune::Prune>()
        .stage::<finetune::Finetune>()
        .stage::<evaluate::Evaluate>()
        .stage::<export::Export>()
        .source(Text::KIND, look::<Text>)
        .source(Gold::KIND, look::<Gold>)
        .source(Model::KIND, model::look)
        .options::<corpus::Options>(Text::KIND)
        .options::<corpus::Options>(Gold::KIND)
        .options::<model::Options>(Model::KIND)
        .files(Model::KIND, folder::needed)
        .preview(Model::KIND, model::PREVIEW)
        .show(evaluate::sections::evaluation)
        .show(evaluate::sections::differences)
        .show(prune::sections::pruning)
        .show(train::curves::curves)
        .tool(predict::PREDICT)
        .tool(serve::SERVE)
        .tool(export::EXPORT)
        .tool(audit::AUDIT)
        .template(template::TEMPLATE)
}

#[cfg(test)]
mod tests {
    use boon::{Compiler, Schemas};
    use serde_json::{Value, json};
    use stage_contract::StageKind;

    use super::*;

    /// What the schema of the stage's parameters has against these.
    fn refused(kind: &StageKind, parameters: &Value) -> Option<String> {
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        compiler.add_resource("schema.json", (kind.form.schema)()).expect("is JSON");
        let index = compiler.compile("schema.json", &mut schemas).expect("is a schema");
        schemas.validate(parameters, index).err().map(|error| format!("{error:#}"))
    }

    #[test]
    fn every_default_makes_sense_and_is_in_its_range() {
        for kind in registry().stages() {
            let name = kind.spec.name;
            let stage = (kind.parse)(json!({})).unwrap_or_else(|bad| panic!("{name}: {}", bad.message));
            assert_eq!(stage.check(), Ok(()), "{name}");
            assert_eq!(refused(kind, &stage.parameters()), None, "{name}");
        }
    }

    #[test]
    fn the_schema_knows_what_numbers_a_parameter_takes() {
        let registry = registry();
        for (stage, name, good, bad) in [
            ("annotate", "tokens", json!(1), json!(0)),
            ("annotate", "clean", json!({ "letters": 1 }), json!({ "letters": 1.5 })),
            ("augment", "notes", json!(10), json!(10.5)),
            ("distill", "epochs", json!(1), json!(0)),
            ("distill", "lr", json!(1e-9), json!(-1)),
            ("distill", "temperature", json!(1e-9), json!(0)),
            ("distill", "warmup", json!(0), json!(1)),
            ("distill", "layer_lr", json!(1), json!(1.5)),
            ("distill", "layer_lr", json!(0.1), json!(0)),
            ("distill", "relation_pair", json!([9, 11]), json!([9, 10, 11])),
            ("distill", "weights_first", json!({ "ce": 1 }), json!({ "ce": -1 })),
            ("evaluate", "confidence", json!(0.5), json!(1)),
            ("evaluate", "samples", json!(100), json!(99)),
            ("evaluate", "latency_tokens", json!([3, 4]), json!([3, 2])),
            ("finetune", "accumulate", json!(1), json!(0)),
            ("generate", "test", json!(12), json!(11)),
            ("generate", "sentences", json!(20_000), json!(1_000_000)),
            ("mix", "temperature", json!(1), json!(0.5)),
            ("mix", "weights", json!({ "a": 0 }), json!({ "a": -1 })),
            ("profile", "steps", json!(2), json!(1)),
            ("prune", "heads", json!(0.9), json!(1)),
            ("prune", "flops", json!(1), json!(1.1)),
            ("prune", "params", json!("60M"), json!(-0.5)),
            ("split", "dev", json!(0), json!(1)),
            ("split", "similarity", json!(0.6), json!(0.5)),
            ("teach", "lr", json!(1e-9), json!(0)),
            ("teach", "positions", json!(16), json!(15)),
        ] {
            let kind = registry.find(stage).expect("is a stage");
            let given = |value| Value::Object([(name.to_owned(), value)].into_iter().collect());
            assert_eq!(refused(kind, &given(good)), None, "{stage}.{name}");
            let wrong = refused(kind, &given(bad)).unwrap_or_else(|| panic!("{stage}.{name} takes anything"));
            assert!(wrong.contains(&format!("at '/{name}")), "{wrong}");
        }
    }
}
