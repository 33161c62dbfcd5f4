//! What stock transformers warns about, or refuses, where ner-pipe does not.

use std::path::Path;

use serde_json::Value;
use stage_contract::report::{counted, grouped};

use super::{finding::Finding, weights::Weights};
use encoder::{
    arch,
    config::{Config, Decode},
    weights::is_pickle,
};
use export::Target;
use text::folder;

/// What is in the folder beside what the model is read from.
pub(super) fn read(
    model: &Path,
    stock: Option<&Value>,
    config: Option<&Config>,
    weights: &Weights,
    findings: &mut Vec<Finding>,
) {
    if let Some(stock) = stock {
        keys(stock, weights, findings);
    }
    if let Some(config) = config {
        shape(config, weights, findings);
    }
    files(model, weights, findings);
    tokenizer(model, stock, config, findings);
}

fn keys(stock: &Value, weights: &Weights, findings: &mut Vec<Finding>) {
    let at = |finding: Finding, key: &str| finding.file(folder::CONFIG).key(key);
    let family = stock["model_type"].as_str().and_then(arch::find).and_then(|architecture| {
        architecture.families().iter().find(|family| stock["model_type"] == family.model_type)
    });
    // Of what is no token classifier something else is said.
    let is_classifier =
        |name: &Value| name.as_str().is_some_and(|name| name.ends_with("ForTokenClassification"));
    match (&stock["architectures"], family) {
        (Value::Null, Some(family)) => findings.push(at(
            Finding::note("it names no class, and transformers' pipeline takes that of the task")
                .help(format!("write [\"{}\"]", family.class)),
            "architectures",
        )),
        (Value::Array(names), Some(family))
            if names.iter().any(is_classifier) && !names.iter().any(|name| name == family.class) =>
        {
            findings.push(at(
                Finding::warning(format!(
                    "it does not name {}, which {} is in transformers",
                    family.class, family.model_type
                ))
                .help(format!("write [\"{}\"]", family.class)),
                "architectures",
            ));
        }
        _ => {}
    }
    if !stock["auto_map"].is_null() {
        findings.push(at(
            Finding::warning("it names code of its own, which transformers runs with trust_remote_code=True; ner-pipe never does")
                .help("read that code before you load the model with it"),
            "auto_map",
        ));
    }
    let kind = |name: &str| match name.trim_start_matches("torch.") {
        "float32" | "float" => Some("F32"),
        "float16" | "half" => Some("F16"),
        "bfloat16" => Some("BF16"),
        "float64" | "double" => Some("F64"),
        _ => None,
    };
    for key in ["dtype", "torch_dtype"] {
        let Some(said) = stock[key].as_str() else { continue };
        let floats: Vec<&str> = weights.floats().map(|(kind, _)| kind).collect();
        if let (Some(kind), [stored]) = (kind(said), floats.as_slice())
            && *stored != kind
        {
            findings.push(at(Finding::note(format!("it says {said}, and the weights are {stored}")), key));
        }
    }
}

fn shape(config: &Config, weights: &Weights, findings: &mut Vec<Finding>) {
    let tensors = config.architecture.tensors();
    let (carried, foreign): (Vec<String>, Vec<String>) =
        weights.left.iter().cloned().partition(|name| tensors.carries(name));
    if !carried.is_empty() {
        findings.push(
            Finding::note(format!(
                "not for token classification, which transformers may say: {}",
                counted(carried.len(), "tensor")
            ))
            .tensors(carried),
        );
    }
    if !foreign.is_empty() {
        findings.push(
            Finding::warning(format!(
                "no place in the model for {}: transformers warns, ner-pipe leaves out",
                counted(foreign.len(), "tensor")
            ))
            .tensors(foreign)
            .help("use the checkpoint as it was saved for token classification, if this is another one"),
        );
    }
    if config.crf {
        let crf = config.tensors().into_keys().filter(|name| name.starts_with("crf."));
        let finding =
            Finding::note("transformers does not know the tensors of the CRF, says so, and leaves them out")
                .tensors(crf);
        findings.push(finding);
    }
    if config.decode == Decode::Crf {
        findings.push(
            Finding::warning("words get their tags by the CRF, and by argmax in transformers and ONNX Runtime, which may find other entities")
                .file(folder::CONFIG)
                .key("ner_pipe.decode")
                .help("use `ner-pipe predict` or its Python package, or train with decode = \"argmax\""),
        );
    }
    if let Err(error) = export::check(config, Target::Hf) {
        let heads = config.layers.iter().map(|layer| layer.heads).max().unwrap_or(1).max(1);
        let more = if config.hidden.is_multiple_of(heads) {
            ""
        } else {
            ", and says that the hidden size is not a multiple of the heads"
        };
        let to = [Target::HfDense, Target::Onnx].into_iter().filter(|to| export::check(config, *to).is_ok());
        let to: Vec<String> = to.map(|to| format!("`ner-pipe export DIR --to {to} --out OUT`")).collect();
        let finding = Finding::warning(format!("stock transformers does not load it{more}: {error}"));
        findings
            .push(if to.is_empty() { finding } else { finding.help(to.join(", or ")) }.file(folder::CONFIG));
    }
}

fn files(model: &Path, weights: &Weights, findings: &mut Vec<Finding>) {
    let there = |name: &str| model.join(name).exists();
    let mut formats = weights.information.iter().filter(|(_, key, _)| key == "format");
    for part in weights.files.iter().filter(|part| !is_pickle(Path::new(&part.name))) {
        let format = formats.clone().find(|(file, ..)| *file == part.name);
        if format.is_none() {
            findings.push(
                Finding::warning(
                    "it does not say which library wrote it, and transformers before 5 refuses such a file",
                )
                .file(&part.name)
                .key("__metadata__.format")
                .help("write it again with metadata={\"format\": \"pt\"} (safetensors.torch.save_file)"),
            );
        }
    }
    if let Some((file, _, format)) =
        formats.find(|(_, _, format)| !["pt", "tf", "flax", "mlx"].contains(&format.as_str()))
    {
        findings.push(
            Finding::warning(format!("it was written by `{format}`, which transformers does not know"))
                .file(file)
                .key("__metadata__.format"),
        );
    }
    if weights.files.iter().any(|part| is_pickle(Path::new(&part.name))) {
        findings.push(
            Finding::warning("the weights are a pickle, which transformers reads with torch 2.6 or later alone; ner-pipe reads it and runs nothing in it")
                .file(folder::PYTORCH)
                .help(format!("write safetensors where transformers is installed: {}", folder::convert("AutoModelForTokenClassification", model))),
        );
    }
    let forms = [folder::WEIGHTS, folder::INDEX, folder::PYTORCH, folder::PYTORCH_INDEX];
    let forms: Vec<&str> = forms.into_iter().filter(|name| there(name)).collect();
    if let [first, more @ ..] = forms.as_slice()
        && !more.is_empty()
    {
        findings.push(Finding::note(format!("{first} is read, and not {}", more.join(", "))));
    }
    if weights.floats().count() > 1 {
        let kinds = weights.stored.iter().map(|(kind, count)| format!("{} {kind}", grouped(*count)));
        findings.push(Finding::note(format!(
            "its numbers are of several types: {}",
            kinds.collect::<Vec<_>>().join(", ")
        )));
    }
}

/// How long a text transformers' tokenizer lets through.
fn tokenizer(model: &Path, stock: Option<&Value>, config: Option<&Config>, findings: &mut Vec<Finding>) {
    let file = folder::TOKENIZER_CONFIG;
    let settings = folder::optional(&model.join(file)).ok().flatten();
    let at = |finding: Finding| finding.file(file).key("model_max_length");
    let room = config.map(Config::max_pieces);
    let help = |room: usize| format!("write {{\"model_max_length\": {room}}} into {file}");
    match (&settings, room) {
        (None, Some(room)) if stock.is_some() => findings.push(
            Finding::warning(format!("there is none, so transformers does not know that a text has {room} sub-words at most: longer ones crash"))
                .file(file)
                .help(help(room)),
        ),
        (Some(settings), Some(room)) => match settings["model_max_length"].as_f64() {
            None => findings.push(at(
                Finding::warning("it does not say how long a text may be: in transformers longer ones crash").help(help(room)),
            )),
            #[expect(clippy::cast_precision_loss, reason = "a few hundred sub-words")]
            Some(longest) if longest > room as f64 => {
                let said = if longest > 1e9 { "no limit".to_owned() } else { format!("{longest}") };
                // Positions beyond 512 are there in some models, and ner-pipe uses no more than 512.
                let positions = config.map_or(0, |config| config.positions);
                if longest > positions as f64 {
                    findings.push(at(
                        Finding::warning(format!("it says {said}, and the model has {room} positions: in transformers longer texts crash")).help(help(room)),
                    ));
                }
            }
            Some(_) => {}
        },
        _ => {}
    }
}
