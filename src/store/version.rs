//! `cache/version`: what the layout means, and what to make of a file that does not say it.

use std::{fs, io::ErrorKind, path::Path};

use stage_contract::StageError;

use super::{Checked, Store, write_atomic};
use crate::disk;

/// What the layout of `cache/` means; raised when an older ner-pipe could misread it.
const FORMAT: u64 = 1;

/// What the file says.
enum Version {
    /// This layout.
    Known,
    /// There is none.
    Missing,
    /// One that a newer ner-pipe knows.
    Newer(u64),
    /// Nothing of the kind: what it is.
    Damaged(String),
}

impl Store {
    /// # Errors
    /// When a newer ner-pipe wrote the cache, nobody knows who did, or what is called so is no folder.
    pub(super) fn expect_known(&self) -> Result<(), StageError> {
        let path = self.root.join("version");
        let shown = path.display();
        match self.version()? {
            Version::Known => Ok(()),
            Version::Missing => self.expect_target(),
            Version::Newer(found) => Err(StageError::new(format!(
                "{shown} says format `{found}`, and this ner-pipe knows format {FORMAT}"
            ))
            .help("use the newer ner-pipe, or move `cache/` away: everything is then recomputed")),
            Version::Damaged(what) => Err(StageError::new(format!(
                "{shown} is damaged: it {what}, and should say {FORMAT}"
            ))
            .help(
                "type `ner-pipe run`: it writes it anew if every result in the cache is whole; or move `cache/` away: \
                 `mv cache cache.damaged`, and everything is recomputed",
            )),
        }
    }

    /// Writes the file anew where it is damaged and every result is what was recorded: then this is how all of the cache
    /// is to be read. Says so; none where there is nothing to do.
    ///
    /// # Errors
    /// When a result is not, or the disk refuses.
    pub fn mend_version(root: &Path) -> Result<Option<String>, StageError> {
        let store = Self { root: root.join("cache"), remote: None };
        let path = store.root.join("version");
        let Ok(Version::Damaged(what)) = store.version() else { return Ok(None) };
        store.expect_folders()?;
        let Checked { whole, damaged, .. } = store.check(None);
        let shown = path.display();
        if !damaged.is_empty() || !fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()) {
            let (damaged, all) = (damaged.len(), damaged.len() + whole);
            let results =
                if damaged == 0 { String::new() } else { format!("; {damaged} of {all} results are, too") };
            return Err(StageError::new(format!(
                "{shown} is damaged: it {what}, and should say {FORMAT}{results}"
            ))
            .help("move the cache away: `mv cache cache.damaged`; everything is then recomputed"));
        }
        let _held = store.publish_lock()?;
        store.write_version()?;
        Ok(Some(format!(
            "{shown} was damaged: it {what}. All {whole} results are whole, so it was written anew"
        )))
    }

    pub(super) fn write_version(&self) -> Result<(), StageError> {
        write_atomic(&self.root.join("version"), format!("{FORMAT}\n").as_bytes())
    }

    fn version(&self) -> Result<Version, StageError> {
        /// Nobody reads more of it.
        const SHOWN: usize = 20;
        let path = self.root.join("version");
        let bytes = match disk::read_own(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                return match error.kind() {
                    ErrorKind::NotFound => Ok(Version::Missing),
                    ErrorKind::InvalidInput => {
                        let what = error.to_string();
                        Ok(Version::Damaged(what.strip_prefix("it ").unwrap_or(&what).to_owned()))
                    }
                    ErrorKind::IsADirectory => Ok(Version::Damaged("is a folder".to_owned())),
                    ErrorKind::NotADirectory => {
                        let root = self.root.display();
                        let message =
                            format!("{root} is a file, and results are kept in a folder of that name");
                        Err(StageError::new(message).help("move it away: `mv cache another-name`"))
                    }
                    _ => Err(StageError::io("read", &path, error)),
                };
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        Ok(match text.trim().parse() {
            Ok(FORMAT) => Version::Known,
            Ok(newer) if newer > FORMAT => Version::Newer(newer),
            _ if text.trim().is_empty() => Version::Damaged("is empty".to_owned()),
            _ => Version::Damaged(format!("says {:?}", text.trim().chars().take(SHOWN).collect::<String>())),
        })
    }

    /// A cache that is a link may lead to a disk that is not mounted.
    fn expect_target(&self) -> Result<(), StageError> {
        match fs::read_link(&self.root) {
            Ok(target) if !self.root.exists() => {
                let (cache, target) = (self.root.display(), target.display());
                Err(StageError::new(format!("{cache} is a link to {target}, which is not there"))
                    .help("mount the disk that it is on, make the folder, or remove the link: `rm cache`"))
            }
            _ => Ok(()),
        }
    }
}
