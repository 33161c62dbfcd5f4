use stage_contract::{Invalid, StageError};

use crate::{name::Name, pin::Pin};

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
