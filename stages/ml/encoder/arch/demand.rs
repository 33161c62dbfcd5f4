//! What an encoder asks of keys of config.json of which it knows one value alone.

use serde_json::Value;
use stage_contract::StageError;

/// That config.json says nothing else of a key than what is known here.
///
/// # Errors
/// It does.
pub(super) fn demand(config: &Value, key: &str, expected: &Value, default: &Value) -> Result<(), StageError> {
    let said = config.get(key).filter(|value| !value.is_null()).unwrap_or(default);
    if said == expected {
        return Ok(());
    }
    let message = format!("{key} is {said}, and only {expected} is known");
    Err(StageError::new(message).help("use another model: what this one computes there is not known here"))
}
