//! What the hub says of a repository at a revision.

use serde::Deserialize;
use stage_contract::StageError;

use crate::{
    client::Client,
    listener::Listener,
    listing::{Listing, RemoteFile},
    name::{Name, is_hash},
    pin::is_file,
    refusal::Asked,
};

#[derive(Deserialize)]
struct Answer {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    blob_id: Option<String>,
    size: Option<u64>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: Option<u64>,
}

/// Asks the hub.
pub(crate) fn ask(client: &Client, name: &Name, listener: &dyn Listener) -> Result<Listing, StageError> {
    let mut url = client.connection.url(&["api", "models"], &name.repo, &["revision", &name.revision]);
    url.query_pairs_mut().append_pair("blobs", "true");
    let asked = Asked { name, file: None };
    let reply = client.get(&url, 0, &asked, listener)?;
    let odd = |what: String| {
        StageError::new(format!("{} answers what no hub does: {what}", client.connection.host()))
            .help("correct HF_ENDPOINT, or unset it")
    };
    let text = reply.text().map_err(|e| odd(e.to_string()))?;
    let answer: Answer = serde_json::from_str(&text).map_err(|e| odd(e.to_string()))?;
    if !is_hash(&answer.sha, 40) {
        return Err(odd("a commit that is none".to_owned()));
    }
    let files = answer.siblings.into_iter().map(|sibling| {
        let (hash, size) = match sibling.lfs {
            Some(lfs) => (lfs.sha256, lfs.size.or(sibling.size)),
            None => (sibling.blob_id.unwrap_or_default(), sibling.size),
        };
        let name = sibling.rfilename;
        // Both become paths of this machine.
        if !is_file(&name, &hash) {
            return Err(odd(format!("file `{name}` has no hash, or a name that no file has")));
        }
        Ok(RemoteFile { name, hash, size })
    });
    Ok(Listing { commit: answer.sha, files: files.collect::<Result<_, _>>()? })
}
