//! Repositories of the Hugging Face Hub as files of this machine, at one commit.
//!
//! Files lie in the cache that Python's `huggingface_hub` shares, in its layout and under its locks, so that what
//! either downloaded the other finds; settings are its environment variables ([`Settings`]). A file is taken for whole
//! only when its content has the hash that the hub lists: SHA-256 for large files, git's for the others.
//!
//! The crate `hf-hub` is not used. 1.0 needs tokio, reqwest and Xet; 0.5 (ureq) knows neither `HF_HUB_CACHE` nor
//! `HF_HUB_OFFLINE`, does not wait as 429 asks, compares no hash, cannot read a commit without the network, and what is
//! left of it, five joins of a path, is in `cache.rs`.

mod cache;
mod client;
mod connection;
mod content;
mod listener;
mod listing;
mod name;
mod pin;
mod question;
mod refusal;
mod settings;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod transfer;

use std::path::{Path, PathBuf};

use serde_json::Value;
use stage_contract::{Invalid, Preview, StageError};

pub use cache::Cache;
pub use client::Patience;
pub use listener::{Lines, Listener};
pub use listing::{Listing, Needed, RemoteFile};
pub use name::Name;
pub use pin::Pin;
pub use settings::Settings;

use client::Client;

pub use client::is_unreachable;

/// The hub, and the cache of what came from it.
pub struct Hub {
    settings: Settings,
    client: Client,
}

impl Hub {
    /// As the environment says.
    ///
    /// # Errors
    /// When a variable makes no sense.
    pub fn from_env() -> Result<Self, StageError> {
        Ok(Self::new(Settings::from_env()?, Patience::default()))
    }

    /// With these settings.
    #[must_use]
    pub fn new(settings: Settings, patience: Patience) -> Self {
        let client = Client::new(&settings, patience);
        Self { settings, client }
    }

    /// The cache.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.settings.cache
    }

    /// The commit that a revision is now, and its files. Without the network, or when `HF_HUB_OFFLINE` says so, as the
    /// cache knows them; that is said.
    ///
    /// # Errors
    /// When there is no such repository or revision, or it may not be read, or neither hub nor cache can tell.
    pub fn list(&self, name: &Name, listener: &dyn Listener) -> Result<Listing, StageError> {
        let cached = || self.settings.cache.listing(name);
        if self.settings.offline {
            return cached()?.ok_or_else(|| {
                StageError::new(format!(
                    "{name} is not in {}, and HF_HUB_OFFLINE is set",
                    self.settings.cache
                ))
                .help("unset HF_HUB_OFFLINE, or copy that cache from another machine, or use a `path`")
            });
        }
        match self.ask(name, listener) {
            Err(error) if client::is_unreachable(&error) => match cached()? {
                Some(listing) => {
                    listener.note(&format!(
                        "{} does not answer: {name} is taken at commit {}, which {} has",
                        self.settings.endpoint, listing.commit, self.settings.cache
                    ));
                    Ok(listing)
                }
                None => Err(error),
            },
            listed => listed,
        }
    }

    /// The commit that a revision is now, as the hub itself says.
    ///
    /// # Errors
    /// As [`Hub::list`], and when the hub cannot be asked.
    pub fn ask(&self, name: &Name, listener: &dyn Listener) -> Result<Listing, StageError> {
        if self.settings.offline {
            return Err(
                StageError::new("the hub is not asked: HF_HUB_OFFLINE is set").help("unset HF_HUB_OFFLINE")
            );
        }
        question::ask(&self.client, name, listener)
    }

    /// The files that are not in the cache.
    ///
    /// # Errors
    /// When one there is another than the pin says.
    pub fn missing<'p>(&self, pin: &'p Pin) -> Result<Vec<&'p str>, StageError> {
        let mut missing = Vec::new();
        for (file, hash) in &pin.files {
            if !self.settings.cache.has(pin, file, hash)? {
                missing.push(file.as_str());
            }
        }
        Ok(missing)
    }

    /// Downloads what is looked at first, as far as it is missing, and looks at it, read as `options` say.
    ///
    /// # Errors
    /// As [`Hub::download`], and why no stage could use the rest.
    pub fn preview(
        &self,
        pin: &Pin,
        preview: Preview,
        options: &Value,
        listener: &dyn Listener,
    ) -> Result<(), StageError> {
        let missing = self.missing(pin)?;
        self.fetch(pin, missing.into_iter().filter(|file| (preview.reads)(file)), listener)?;
        self.verify_those(pin, preview.reads)?;
        Ok((preview.look)(&self.settings.cache.snapshot(&pin.repo, &pin.commit), options)?)
    }

    /// As [`Hub::preview`], but nothing that comes stays.
    ///
    /// # Errors
    /// As there, and when there is no place for temporary files.
    pub fn glimpse(
        &self,
        pin: &Pin,
        preview: Preview,
        options: &Value,
        listener: &dyn Listener,
    ) -> Result<(), StageError> {
        if self.settings.offline || !self.missing(pin)?.into_iter().any(preview.reads) {
            return self.preview(pin, preview, options, listener);
        }
        let folder = tempfile::tempdir().map_err(|e| {
            StageError::because("cannot make a temporary folder", e)
                .help("make the folder for temporary files writable (TMPDIR), with room on its disk")
        })?;
        let cache = Cache::at(folder.path().to_owned());
        let hub = Self::new(Settings { cache, ..self.settings.clone() }, self.client.patience);
        hub.preview(pin, preview, options, listener)
    }

    /// Downloads what is missing, and gives the folder with the files: the cache's snapshot of the commit, which may
    /// hold others too.
    ///
    /// # Errors
    /// When a file is gone, changed, cannot be read or does not come whole; when the disk refuses or is too small.
    pub fn download(&self, pin: &Pin, listener: &dyn Listener) -> Result<PathBuf, StageError> {
        self.fetch(pin, self.missing(pin)?.into_iter(), listener)?;
        Ok(self.settings.cache.snapshot(&pin.repo, &pin.commit))
    }

    fn fetch<'p>(
        &self,
        pin: &'p Pin,
        missing: impl Iterator<Item = &'p str>,
        listener: &dyn Listener,
    ) -> Result<(), StageError> {
        for file in missing {
            if self.settings.offline {
                let message = format!(
                    "{file} of {} is not in {}, and HF_HUB_OFFLINE is set",
                    pin.name(),
                    self.settings.cache
                );
                return Err(StageError::new(message)
                    .help("unset HF_HUB_OFFLINE, or copy that cache from another machine, or use a `path`"));
            }
            transfer::fetch(&self.client, &self.settings.cache, pin, file, listener)?;
        }
        Ok(())
    }

    /// Reads all files, which must be there, and compares their hashes.
    ///
    /// # Errors
    /// When one is unreadable, or no longer what was pinned.
    pub fn verify(&self, pin: &Pin) -> Result<(), StageError> {
        self.verify_those(pin, |_| true)
    }

    fn verify_those(&self, pin: &Pin, which: fn(&str) -> bool) -> Result<(), StageError> {
        let mut those = pin.files.iter().filter(|(file, _)| which(file));
        those.try_for_each(|(file, hash)| self.settings.cache.verify(pin, file, hash))
    }

    /// Notes in the cache that the pin's commit is what its revision is now, for who asks without the network.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remember(&self, pin: &Pin) -> Result<(), StageError> {
        self.settings.cache.remember(pin)
    }

    /// All of it at once, for who keeps no pin: lists, chooses, looks, downloads, compares. What is returned is
    /// [`Hub::download`]'s folder.
    ///
    /// # Errors
    /// As [`Hub::list`], `needed`, [`Hub::preview`], [`Hub::download`] and [`Hub::verify`].
    pub fn get(
        &self,
        name: &Name,
        needed: Needed<'_>,
        preview: Preview,
        listener: &dyn Listener,
    ) -> Result<PathBuf, StageError> {
        let pin = self.list(name, listener)?.pin(name, needed)?;
        self.preview(&pin, preview, &Value::Null, listener)?;
        self.remember(&pin)?;
        let folder = self.download(&pin, listener)?;
        self.verify(&pin)?;
        Ok(folder)
    }
}

/// Where a model lies that a user gave: the path, or the folder of a repository of the hub, which is downloaded
/// ([`Name::given`], [`Hub::get`]).
///
/// # Errors
/// The name cannot be one, or as [`Hub::get`].
pub fn located<E: From<Invalid> + From<StageError>>(
    given: &Path,
    needed: Needed<'_>,
    preview: Preview,
    listener: &dyn Listener,
) -> Result<PathBuf, E> {
    match given.to_str().and_then(Name::given).transpose()? {
        Some(name) => Ok(Hub::from_env()?.get(&name, needed, preview, listener)?),
        None => Ok(given.to_owned()),
    }
}
