//! A model, and what it finds.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::tensor::Device;
use encoder::{
    model::PREVIEW,
    predictor::{Precision, Predictor},
};
use hub::{Lines, located};
use pyo3::{
    prelude::*,
    types::{PyDict, PyList},
};
use stage_contract::{Invalid, StageError, terminal};
use text::{
    entities::{Entity, Placed},
    folder,
};

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
        let open = || pool.install(|| Predictor::open(&folder(&model)?, &Device::flex(), precision));
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

fn folder(model: &Path) -> Result<PathBuf, StageError> {
    located(model, &folder::needed, PREVIEW, &Lines::new(terminal::stderr()))
}

/// As transformers' pipeline gives them.
fn listed<'py>(py: Python<'py>, text: &str, entities: &[Entity]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    let placed = Placed::all(text, entities)
        .ok_or_else(|| Error::new_err("the model gave entities that the text cannot have"))?;
    for entity in placed {
        let dict = PyDict::new(py);
        dict.set_item("entity_group", entity.kind)?;
        dict.set_item("score", entity.score)?;
        dict.set_item("word", entity.text)?;
        dict.set_item("start", entity.start)?;
        dict.set_item("end", entity.end)?;
        list.append(dict)?;
    }
    Ok(list)
}

fn raised(error: &StageError) -> PyErr {
    let Invalid { message, help, .. } = Invalid::of(error);
    Error::new_err(help.map_or_else(|| message.clone(), |help| format!("{message}; {help}")))
}
