//! What the hub refuses, in words, with the way out.

use stage_contract::StageError;

use crate::{
    connection::{Connection, Reply},
    name::{Name, Other},
};

/// What a request is about.
pub(crate) struct Asked<'a> {
    pub name: &'a Name,
    pub file: Option<&'a str>,
}

/// Of a status that is no success and that will not pass by.
pub(crate) fn refusal(client: &Connection, asked: &Asked<'_>, reply: &Reply) -> StageError {
    let (host, name) = (client.host(), asked.name);
    let repo = &name.repo;
    let code = reply.header("x-error-code").unwrap_or_default();
    match (reply.status(), code) {
        (_, "RevisionNotFound") => no_revision(client, asked),
        (_, "EntryNotFound") => no_file(asked),
        (401 | 404, "RepoNotFound") => no_repository(client, asked),
        (401, _) if client.has_token() && code != "GatedRepo" => StageError::new(format!(
            "{host} refuses the token (401)"
        ))
        .help(format!(
            "make another at {host}/settings/tokens and set HF_TOKEN to it, or unset HF_TOKEN and remove the \
                 file of `hf auth login`"
        )),
        (status @ (401 | 403), _) => {
            let message = format!("{repo} is gated, or private: {host} answers {status}");
            StageError::new(message).help(if client.has_token() {
                format!(
                    "accept the conditions at {host}/{repo} with the account of your token, and see at \
                     {host}/settings/tokens that it may read gated repositories"
                )
            } else {
                format!(
                    "accept the conditions at {host}/{repo} and set HF_TOKEN to a token of {host}/settings/tokens"
                )
            })
        }
        (404, _) if asked.file.is_some() => no_file(asked),
        (404, _) if exists(client, asked) => no_revision(client, asked),
        (404, _) => no_repository(client, asked),
        (status, _) => StageError::new(format!("{host} answers {status} to the request for {name}"))
            .help("correct HF_ENDPOINT, or unset it; or use a `path`"),
    }
}

fn no_file(asked: &Asked<'_>) -> StageError {
    StageError::new(format!("{} has no {}", asked.name, asked.file.unwrap_or("such file")))
        .help("name another `revision`")
}

fn exists(client: &Connection, asked: &Asked<'_>) -> bool {
    client.glance(&client.url(&["api", "models"], &asked.name.repo, &[])).is_some()
}

fn no_repository(client: &Connection, asked: &Asked<'_>) -> StageError {
    let (host, repo) = (client.host(), &asked.name.repo);
    let there = |other: &&Other| client.glance(&client.url(&["api", other.start], repo, &[])).is_some();
    if let Some(other) = Other::ALL.iter().find(there) {
        return other.refusal(repo).into();
    }
    let mut url = client.url(&["api", "models"], "", &[]);
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty();
    }
    let last = repo.rsplit('/').next().unwrap_or(repo);
    url.query_pairs_mut().append_pair("search", last).append_pair("limit", "3");
    let found = client.glance(&url);
    let near: Vec<_> =
        found.iter().flat_map(|found| names(found, "id")).map(|name| format!("`{name}`")).collect();
    let private = if client.has_token() {
        "your token may not read it"
    } else {
        "it is private and HF_TOKEN is not set"
    };
    let message = format!("{host} has no repository `{repo}`, or {private}");
    StageError::new(message).help(match near.as_slice() {
        [] => format!("look for it at {host}/models"),
        near => format!("did you mean {}?", near.join(" or ")),
    })
}

fn no_revision(client: &Connection, asked: &Asked<'_>) -> StageError {
    let (repo, revision) = (&asked.name.repo, &asked.name.revision);
    let found = client.glance(&client.url(&["api", "models"], repo, &["refs"])).unwrap_or_default();
    let all = ["branches", "tags"].into_iter().flat_map(|sort| names(&found[sort], "name"));
    let known: Vec<_> = all.map(|name| format!("`{name}`")).collect();
    StageError::new(format!("{repo} has no revision `{revision}`")).help(if known.is_empty() {
        "leave `revision` out for `main`, or write a commit".to_owned()
    } else {
        format!("write one of {}, or a commit", known.join(", "))
    })
}

fn names<'v>(list: &'v serde_json::Value, key: &'v str) -> impl Iterator<Item = &'v str> {
    /// More than these no help line has room for.
    const SHOWN: usize = 12;
    let items = list.as_array().into_iter().flatten();
    items.filter_map(move |item| item.get(key)?.as_str()).take(SHOWN)
}
