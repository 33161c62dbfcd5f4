use axum::http::{HeaderMap, StatusCode, header};
use mime::Mime;

use crate::refusal::Refusal;

/// How a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// One JSON object.
    Json,
    /// One JSON object a line.
    Lines,
}

impl Media {
    /// The media type of lines.
    pub const LINES: &str = "application/x-ndjson";

    /// What the headers say.
    ///
    /// # Errors
    /// 415: another type, encoding or compression, or none.
    pub fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let compressed = headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
        if compressed {
            return Err(refusal("the body is compressed", "send it as it is, without Content-Encoding"));
        }
        let Some(given) = headers.get(header::CONTENT_TYPE) else {
            return Err(refusal("there is no Content-Type", TYPES));
        };
        let given: Option<Mime> = given.to_str().ok().and_then(|given| given.parse().ok());
        let Some(given) = given else { return Err(refusal("the Content-Type is none", TYPES)) };
        if given.get_param(mime::CHARSET).is_some_and(|charset| charset != mime::UTF_8) {
            return Err(refusal("the Content-Type has another charset than utf-8", "send the body in UTF-8"));
        }
        match given.essence_str() {
            "application/json" => Ok(Self::Json),
            // No name of it is registered; these are in use.
            Self::LINES
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "application/jsonlines" => Ok(Self::Lines),
            _ => Err(refusal("the Content-Type is neither JSON nor lines of JSON", TYPES)),
        }
    }
}

const TYPES: &str = "set Content-Type: application/json, or application/x-ndjson for one object a line";

fn refusal(message: &str, help: &str) -> Refusal {
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message, help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: header::HeaderName, value: &'static str) -> Result<Media, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/json".parse().expect("is a value"));
        headers.insert(name, value.parse().expect("is a value"));
        Media::of(&headers)
    }

    #[test]
    fn json_and_lines_are_known_by_their_names() {
        for json in
            ["application/json", "Application/JSON; charset=\"UTF-8\"", "application/json;charset=utf-8"]
        {
            assert_eq!(of(header::CONTENT_TYPE, json), Ok(Media::Json), "{json}");
        }
        for lines in ["application/x-ndjson", "application/jsonl; charset=utf-8"] {
            assert_eq!(of(header::CONTENT_TYPE, lines), Ok(Media::Lines), "{lines}");
        }
        assert_eq!(of(header::CONTENT_ENCODING, "identity"), Ok(Media::Json));
    }

    #[test]
    fn other_types_charsets_and_compressed_bodies_are_refused() {
        for other in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "",
            "json",
            "application/json; charset=latin1",
        ] {
            let refusal = of(header::CONTENT_TYPE, other).expect_err(other);
            assert_eq!(refusal.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        assert!(of(header::CONTENT_ENCODING, "gzip").is_err());
        assert!(Media::of(&HeaderMap::new()).is_err());
    }
}
