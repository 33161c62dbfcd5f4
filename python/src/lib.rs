//! `ner_pipe._native`: models for Python, as `ner-pipe predict` runs them.

mod model;
mod pools;

use pyo3::{create_exception, exceptions::PyException, prelude::*};

create_exception!(ner_pipe, Error, PyException, "What went wrong, and a line that helps.");

/// The compiled part of `ner_pipe`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("Error", module.py().get_type::<Error>())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<model::Model>()?;
    module.add_function(wrap_pyfunction!(pools::forget, module)?)
}
