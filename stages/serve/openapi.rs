//! The description of all routes at `/openapi.json`.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    answer::Tagged,
    health::{Health, Ready},
    limits::Limits,
    media::Media,
    metrics::Metrics,
    refusal::Failed,
    tagger::About,
};

/// OpenAPI 3.1, whose schemas are JSON Schema 2020-12. Answers are described by the types that they are written from.
pub fn document(about: Option<&About>, limits: &Limits) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.for_serialize().into_generator();
    let paths = json!({
        "/": {"get": operation("page", "A page to try the model", &json!({
            "200": {"description": "the page", "content": {"text/html": {"schema": {"type": "string"}}}},
        }))},
        "/predict": {"post": predict(&mut schemas, limits)},
        "/health": {"get": operation("health", "Whether the server lives, and with which model", &json!({
            "200": answer("it lives", "application/json", &schema::<Health>(&mut schemas)),
        }))},
        "/ready": {"get": operation("ready", "Whether requests are taken", &json!({
            "200": answer("they are", "application/json", &schema::<Ready>(&mut schemas)),
            "503": refused("the model is being loaded, or the server is stopping", &mut schemas),
        }))},
        "/metrics": {"get": operation("metrics", "Counters and histograms for Prometheus", &json!({
            "200": answer("in the text format of OpenMetrics", Metrics::MEDIA_TYPE, &json!({"type": "string"})),
        }))},
        "/openapi.json": {"get": operation("openapi", "This document", &json!({
            "200": answer("the document", "application/json", &json!({"type": "object"})),
        }))},
    });
    let mut components = schemas.take_definitions(true);
    if let (Some(about), Some(entity)) = (about, components.get_mut("Entity")) {
        entity["properties"]["type"]["enum"] = json!(about.types);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": about.map_or("ner-pipe", |about| about.name.as_str()),
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Named entities of texts. There is no authentication.",
        },
        "paths": paths,
        "components": {"schemas": components},
    })
}

fn predict(schemas: &mut SchemaGenerator, limits: &Limits) -> Value {
    let text = json!({"type": "string", "maxLength": limits.characters});
    let one = json!({
        "type": "object",
        "required": ["text"],
        "properties": {"text": text},
        "not": {"required": ["texts"]},
        "description": "Other fields come back with the answer.",
    });
    let many = json!({
        "type": "object",
        "required": ["texts"],
        "properties": {"texts": {"type": "array", "items": text, "maxItems": limits.texts}},
        "not": {"required": ["text"]},
        "description": "Other fields come back with the answer.",
    });
    let tagged = schema::<Tagged>(schemas);
    let results = json!({
        "type": "object",
        "required": ["results"],
        "properties": {"results": {"type": "array", "items": tagged, "description": "In the order of `texts`."}},
    });
    // OpenAPI 3.1 has no way to say "one of these a line": the schema is that of a line.
    let line = json!({"anyOf": [tagged, schema::<Failed>(schemas)]});
    let mut refusals = Map::new();
    for (status, description) in [
        ("400", "not the JSON that is expected"),
        ("408", "the request did not come in time"),
        ("413", "the body, a text or the number of texts is too large"),
        ("415", "neither application/json nor application/x-ndjson, or compressed"),
        ("422", "the model has no answer for a text"),
        ("429", "the queue is full: try again after Retry-After"),
        ("500", "the model failed at a text"),
        ("503", "the model is being loaded, or the server is stopping"),
        ("504", "the model did not answer in time"),
    ] {
        refusals.insert(status.to_owned(), refused(description, schemas));
    }
    let mut responses = json!({
        "200": {
            "description": "entities; of a stream one line for each that is not blank, in their order",
            "content": {
                "application/json": {"schema": {"anyOf": [tagged, results]}},
                (Media::LINES): {"schema": line},
            },
        },
    });
    if let Some(responses) = responses.as_object_mut() {
        responses.append(&mut refusals);
    }
    let mut operation = operation("predict", "Find the entities of texts", &responses);
    operation["requestBody"] = json!({
        "required": true,
        "content": {
            "application/json": {"schema": {"oneOf": [one, many]}},
            (Media::LINES): {"schema": one},
        },
    });
    operation
}

fn operation(id: &str, summary: &str, responses: &Value) -> Value {
    json!({"operationId": id, "summary": summary, "responses": responses})
}

fn answer(description: &str, media: &str, schema: &Value) -> Value {
    json!({"description": description, "content": {media: {"schema": schema}}})
}

fn refused(description: &str, schemas: &mut SchemaGenerator) -> Value {
    let mut answer = answer(description, "application/json", &schema::<Failed>(schemas));
    if description.contains("Retry-After") {
        let seconds =
            json!({"description": "seconds", "required": true, "schema": {"type": "integer", "minimum": 1}});
        answer["headers"] = json!({"Retry-After": seconds});
    }
    answer
}

fn schema<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().to_value()
}
