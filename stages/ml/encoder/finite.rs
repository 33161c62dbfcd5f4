//! Numbers that are not finite: they must never read as "no entity". Whoever makes logits, losses, gradients or importances looks
//! at them once; this says where in a network they begin, and of which texts they are.

use std::{error::Error, fmt};

use stage_contract::StageError;

use crate::{backend::readback::host, config::Config, inputs::Inputs, network::Network};

/// Whether all are finite.
#[must_use]
pub fn finite(values: &[f32]) -> bool {
    values.iter().all(|value| value.is_finite())
}

/// Where in a network, out of autodiff, a batch's numbers stop being finite: looked for once it is known that they do. None where
/// they are finite up to the logits.
#[must_use]
pub fn place(network: &Network, config: &Config, packed: &Inputs) -> Option<String> {
    let layers = network.layers.len();
    let output = network.forward(packed, &(0..=layers).collect::<Vec<_>>());
    match output.hidden.into_iter().position(|state| !finite(&host(state))) {
        Some(0) => Some("the embeddings".to_owned()),
        Some(state) => Some(layer(config, state - 1)),
        None if finite(&host(output.logits)) => None,
        None => Some("the classifier".to_owned()),
    }
}

/// What messages call a layer, from 0.
#[must_use]
pub fn layer(config: &Config, layer: usize) -> String {
    let name = config.architecture.tensors().layers;
    format!("layer {} of {} ({name}.{layer})", layer + 1, config.layers.len())
}

/// The texts of the batch whose numbers are not finite: the source of such an error.
#[derive(Debug)]
pub struct OfTexts {
    /// Places in what was given, from 0.
    pub texts: Vec<usize>,
    /// What they are called, where that is known.
    names: Option<String>,
}

impl OfTexts {
    /// Of texts at these places; each counts once.
    #[must_use]
    pub fn new(mut texts: Vec<usize>) -> Self {
        texts.sort_unstable();
        texts.dedup();
        Self { texts, names: None }
    }
}

impl fmt::Display for OfTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.names {
            Some(names) => write!(f, "in a batch of {names}"),
            None => write!(f, "in a batch of {}", named("text", self.texts.iter().map(|text| text + 1))),
        }
    }
}

impl Error for OfTexts {}

/// Calls the texts of an error by their records' ids.
///
/// # Errors
/// That of `result`.
pub fn naming<T, I: fmt::Display>(
    result: Result<T, StageError>,
    id: impl Fn(usize) -> I,
) -> Result<T, StageError> {
    result.map_err(|error| match error {
        StageError::Failed { message, help, source: Some(source) } => {
            let source = match source.downcast::<OfTexts>() {
                Ok(of) => {
                    let names = Some(named("record", of.texts.iter().map(|text| id(*text))));
                    Box::new(OfTexts { names, ..*of })
                }
                Err(source) => source,
            };
            StageError::Failed { message, help, source: Some(source) }
        }
        other => other,
    })
}

/// `records a-1, a-2, a-7 and 5 more`
#[must_use]
pub fn named(what: &str, names: impl ExactSizeIterator<Item = impl fmt::Display>) -> String {
    const SHOWN: usize = 3;
    let all = names.len();
    let shown: Vec<String> = names.take(SHOWN).map(|name| name.to_string()).collect();
    let more = if all > SHOWN { format!(" and {} more", all - SHOWN) } else { String::new() };
    format!("{what}{} {}{more}", if all == 1 { "" } else { "s" }, shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(error: &StageError) -> String {
        error.source().expect("a cause").to_string()
    }

    #[test]
    fn an_error_names_its_texts_by_place_or_by_record() {
        let error = || StageError::because("not finite", OfTexts::new(vec![4, 1, 4, 7, 2])).help("do this");
        assert_eq!(cause(&error()), "in a batch of texts 2, 3, 5 and 1 more");
        let told = naming(Err::<(), _>(error()), |text| format!("a-{text}")).expect_err("it stays one");
        assert_eq!(cause(&told), "in a batch of records a-1, a-2, a-4 and 1 more");
        assert_eq!((told.to_string().as_str(), told.advice()), ("not finite", Some("do this")));
        let other = naming(Err::<(), _>(StageError::because("a", StageError::new("b"))), |_| "x");
        assert_eq!(cause(&other.expect_err("it stays one")), "b");
    }
}
