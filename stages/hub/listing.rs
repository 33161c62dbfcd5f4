use std::path::{Component, Path};

use serde::Deserialize;
use stage_contract::{Invalid, StageError};

use crate::{
    client::Client,
    listener::Listener,
    name::{Name, is_hash},
    pin::Pin,
    refusal::Asked,
};

/// Which of a repository's files are needed, from the names of all.
///
/// # Errors
/// When the repository lacks what is needed, in words.
pub type Needed<'a> = &'a dyn Fn(&[String]) -> Result<Vec<String>, Invalid>;

/// A commit and all of its files.
#[derive(Clone, Debug)]
pub struct Listing {
    /// 40 hexadecimal digits.
    pub commit: String,
    /// Every file; of a commit that is known from the cache alone, those that are there.
    pub files: Vec<RemoteFile>,
}

/// A file of a repository.
#[derive(Clone, Debug)]
pub struct RemoteFile {
    /// Its path in the repository.
    pub name: String,
    /// See [`Pin::files`].
    pub hash: String,
    /// Bytes, where that is known.
    pub size: Option<u64>,
}

impl Listing {
    /// Pins what is needed of it.
    ///
    /// # Errors
    /// When the repository lacks what is needed.
    pub fn pin(&self, name: &Name, needed: Needed<'_>) -> Result<Pin, StageError> {
        let names: Vec<_> = self.files.iter().map(|file| file.name.clone()).collect();
        let needed = needed(&names).map_err(|invalid| {
            let error = StageError::new(format!("{name}: {}", invalid.message));
            match invalid.help {
                Some(help) => error.help(help),
                None => error.help("name another repository, or another `revision` of this one"),
            }
        })?;
        let chosen = self.files.iter().filter(|file| needed.contains(&file.name));
        let files = chosen.map(|file| (file.name.clone(), file.hash.clone())).collect();
        let Name { repo, revision } = name.clone();
        Ok(Pin { repo, revision, commit: self.commit.clone(), files })
    }

    /// Bytes of these files together, as far as that is known.
    #[must_use]
    pub fn bytes(&self, files: &[&str]) -> u64 {
        let chosen = self.files.iter().filter(|file| files.contains(&file.name.as_str()));
        chosen.filter_map(|file| file.size).sum()
    }
}

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
        if !is_inside(&name) || !(is_hash(&hash, 40) || is_hash(&hash, 64)) {
            return Err(odd(format!("file `{name}` has no hash, or a name that no file has")));
        }
        Ok(RemoteFile { name, hash, size })
    });
    Ok(Listing { commit: answer.sha, files: files.collect::<Result<_, _>>()? })
}

fn is_inside(name: &str) -> bool {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    !name.is_empty() && !name.ends_with('/') && Path::new(name).components().all(plain)
}
