//! `export`: a model leaves as ONNX or as a folder that stock transformers loads. As a stage, and as `ner-pipe export`.

mod scores;
mod tool;

use burn::tensor::Device as Burn;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use stage_contract::{Available, Context, Device, Input, Invalid, Optional, Output, Spec, Stage, StageError};

use encoder::model::ModelFolder;
use export::{Comparison, Exported, Folder, Target, Texts, check, export};
use text::corpus::{Report, Text};

use self::scores::Scores;
pub use self::tool::EXPORT;

const MODEL: Input<ModelFolder> = Input::new("model", "the model to export");
const TEXT: Optional<Text> = Optional::new(
    "text",
    "text on which the export and the model are compared; else sentences that are built in",
);
const EVALUATION: Optional<Scores> =
    Optional::new("evaluation", "the report of `evaluate`, whose scores and gates the card then has");
const EXPORTED: Output<Folder> = Output::new("model", "the export");
const REPORT: Output<Report> = Output::new("report", "how the export and the model compare");

/// Turns a model into ONNX, or into a folder that stock transformers loads, and compares it with the model.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Export {
    /// What it becomes: `onnx` (f32), `onnx-int8` (linear layers on bytes), `hf` (stock transformers, for a model whose
    /// layers are alike), `hf-dense` (the same for any model, with zeros where heads and neurons were removed).
    pub to: Target,
    /// Texts of `text` on which export and model are compared, evenly spread over it.
    #[schemars(range(min = 1))]
    pub check: usize,
    /// Points of F1 that 8 bits may lose against the model itself.
    #[schemars(range(min = 0, max = 100))]
    pub max_loss: f64,
    /// What `evaluation` calls the model.
    pub scores_of: String,
}

impl Default for Export {
    fn default() -> Self {
        Self { to: Target::Onnx, check: 200, max_loss: 0.3, scores_of: "final".to_owned() }
    }
}

impl Stage for Export {
    const SPEC: Spec = Spec {
        name: "export",
        version: 1,
        doc: "turns a model into ONNX, or a folder for stock transformers, and compares the two",
        inputs: &[MODEL.port(), TEXT.port(), EVALUATION.port()],
        outputs: &[EXPORTED.port(), REPORT.port()],
        measures: false,
    };

    fn preflight(&self, inputs: &Available<'_>, _device: Device) -> Result<(), Invalid> {
        let Some(model) = inputs.read(&MODEL)? else { return Ok(()) };
        let (config, _) = model.look().map_err(|e| Invalid::of(&e).at(MODEL.name()))?;
        check(&config, self.to).map_err(|e| Invalid::of(&e).at("to"))?;
        let scores = inputs.read_optional(&EVALUATION)?;
        let section = scores.map(|scores| scores.section(&config, &self.scores_of)).transpose();
        section.map(drop).map_err(|e| Invalid::of(&e).at("scores_of"))
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        // On the CPU wherever the run is: that is where it is compared.
        let model = cx.read(&MODEL)?.open(&Burn::flex())?;
        let texts = cx.read_optional(&TEXT)?.map(|text| given(text, self.check));
        let texts = texts.unwrap_or_else(Texts::built_in);
        let scores = cx.read_optional(&EVALUATION)?;
        let section = scores.map(|scores| scores.section(&model.config, &self.scores_of)).transpose()?;
        let exported =
            export(&model, self.to, &texts, self.max_loss, section.as_deref(), cx.output(&EXPORTED)?)?;
        cx.metric("words", count(exported.check.words));
        cx.metric("other_tags", count(exported.check.other_tags));
        cx.metric("agreement", exported.check.agreement);
        for line in lines(&exported) {
            cx.show(line);
        }
        cx.write(&REPORT, &Report(json!(exported)))
    }
}

fn given(text: Text, number: usize) -> Texts {
    Texts::given(text.lines.into_iter().map(|line| line.text), number)
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 words")]
fn count(number: usize) -> f64 {
    number as f64
}

/// What people are told of an export.
fn lines(exported: &Exported) -> Vec<String> {
    let Exported { to, bytes, check, note } = exported;
    let Comparison { texts, words, other_tags, agreement, .. } = check;
    let agreement = agreement.map_or_else(
        || "undefined, because neither finds an entity: compare on other texts".to_owned(),
        |agreement| format!("{agreement:.2}"),
    );
    let mut lines = vec![format!(
        "{to}: {bytes} bytes; of {words} words in {texts} texts {other_tags} have another tag than the model gives them \
         (agreement F1 {agreement})"
    )];
    if check.other_by_argmax > 0 {
        lines.push(format!(
            "the model is decoded otherwise than by the argmax of its logits, which gives {} of {words} words another tag",
            check.other_by_argmax
        ));
    }
    lines.extend(note.map(str::to_owned));
    lines
}

#[cfg(test)]
mod tests;
