//! A model, and what it finds.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::tensor::Device;
use encoder::{
    model::PREVIEW,
    predictor::{Entity, Precision, Predictor},
};
use hub::{Hub, Name};
use pyo3::{
    prelude::*,
    types::{PyDict, PyList},
};
use stage_contract::StageError;
use text::folder;

use crate::{Error, pools};

/// A model that is loaded. `ner_pipe.Model` is what people use.
#[pyclass(frozen, module = "ner_pipe._native")]
pub struct Model {
    predictor: Arc<Predictor>,
}

#[expect(clippy::needless_pass_by_value, reason = "PyO3 hands values over")]
#[pymethods]
impl Model {
    /// Loads a model folder, or one of the Hugging Face Hub (`OWNER/NAME`, `OWNER/NAME@REVISION`, with `hub:` before it or
    /// not).
    #[new]
    #[pyo3(signature = (model, precision = "f32"))]
    fn new(py: Python<'_>, model: PathBuf, precision: &str) -> PyResult<Self> {
        let precision: Precision = precision
            .parse()
            .map_err(|why: String| Error::new_err(format!("the precision is {precision:?}: {why}")))?;
        if precision == Precision::Bf16 {
            return Err(Error::new_err(
                "bf16 is for GPUs, and the wheel runs on the CPU: choose f32 or int8",
            ));
        }
        let pool = pools::of(0)?;
        let open = || pool.install(|| Predictor::open(&located(&model)?, &Device::flex(), precision));
        let predictor = py.detach(open).map_err(|e| raised(&e))?;
        Ok(Self { predictor: Arc::new(predictor) })
    }

    /// Entities of each text, in order. Other Python threads run meanwhile.
    #[pyo3(signature = (texts, threads = 0))]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<String>,
        threads: usize,
    ) -> PyResult<Vec<Bound<'py, PyList>>> {
        let pool = pools::of(threads)?;
        let found = py.detach(|| pool.install(|| self.predictor.entities(&texts))).map_err(|e| raised(&e))?;
        texts.iter().zip(found).map(|(text, entities)| listed(py, text, &entities)).collect()
    }

    /// The types that it finds.
    #[getter]
    fn types(&self) -> Vec<String> {
        self.predictor.model().config.labels.types().to_vec()
    }

    /// How many parameters it has.
    #[getter]
    fn parameters(&self) -> usize {
        self.predictor.model().config.all_parameters()
    }
}

/// Where a model lies: the folder of this name, else a repository of the Hub, which is downloaded.
fn located(model: &Path) -> Result<PathBuf, StageError> {
    let text = model.to_string_lossy();
    let name = match Name::given(&text) {
        Some(name) => name,
        None if model.exists() || text.matches('/').count() != 1 => return Ok(model.to_owned()),
        None => match Name::given(&format!("hub:{text}")) {
            Some(name) => name,
            None => return Ok(model.to_owned()),
        },
    };
    let name = name?;
    Hub::from_env()?.get(&name, &folder::needed, PREVIEW, &hub::Lines::new(io::stderr()))
}

/// As transformers' pipeline gives them.
fn listed<'py>(py: Python<'py>, text: &str, entities: &[Entity]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    if entities.is_empty() {
        return Ok(list);
    }
    let bytes: Vec<usize> = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).collect();
    for entity in entities {
        let dict = PyDict::new(py);
        dict.set_item("entity_group", &entity.kind)?;
        dict.set_item("score", entity.score)?;
        dict.set_item("word", &text[bytes[entity.start]..bytes[entity.end]])?;
        dict.set_item("start", entity.start)?;
        dict.set_item("end", entity.end)?;
        list.append(dict)?;
    }
    Ok(list)
}

fn raised(error: &StageError) -> PyErr {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    if let Some(advice) = error.advice() {
        text.push_str("; ");
        text.push_str(advice);
    }
    Error::new_err(text)
}
