//! One file, from the hub to its blob: whole, or not at all.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use stage_contract::StageError;

use crate::{
    cache::Cache,
    client::Client,
    connection::Reply,
    content::{changed, has_hash},
    listener::Listener,
    name::{Name, is_hash},
    pin::Pin,
    refusal::Asked,
};

/// Bytes that are read at once.
const CHUNK: usize = 1 << 16;

/// Of files with fewer bytes nothing is said: they are there at once.
const SMALL: u64 = 1_000_000;

/// How often it is said how much of a file is there.
const STEPS: u64 = 100;

/// Downloads a file that is missing, unless another process was faster.
pub(crate) fn fetch(
    client: &Client,
    cache: &Cache,
    pin: &Pin,
    file: &str,
    listener: &dyn Listener,
) -> Result<(), StageError> {
    let Some(hash) = pin.files.get(file) else { return Ok(()) };
    let blob = cache.blob(&pin.repo, hash);
    let folder = blob.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|e| StageError::io("create", folder, e))?;
    let held = cache.lock(&pin.repo, hash, file, listener)?;
    if !blob.exists() {
        let mut part = blob.clone().into_os_string();
        part.push(".incomplete");
        Transfer { client, pin, file, hash, part: part.into(), listener }.complete(&blob)?;
    }
    drop(held);
    cache.place(pin, file, hash)
}

struct Transfer<'a> {
    client: &'a Client,
    pin: &'a Pin,
    file: &'a str,
    hash: &'a str,
    part: PathBuf,
    listener: &'a dyn Listener,
}

impl Transfer<'_> {
    /// Only what has the right hash becomes the blob.
    fn complete(&self, blob: &Path) -> Result<(), StageError> {
        let resumed = self.length()? > 0;
        self.receive()?;
        if has_hash(&self.part, self.hash)? {
            return fs::rename(&self.part, blob).map_err(|e| StageError::io("write", blob, e));
        }
        fs::remove_file(&self.part).map_err(|e| StageError::io("remove", &self.part, e))?;
        if resumed {
            self.listener
                .note(&format!("{}: what was there was not its beginning; it comes anew", self.file));
            return self.complete(blob);
        }
        let message = format!(
            "{} of {} came, and is not what the hub lists: its hash differs",
            self.file,
            self.pin.name()
        );
        Err(StageError::new(message)
            .help("try again; if it stays so, what stands between here and the hub changes files"))
    }

    fn length(&self) -> Result<u64, StageError> {
        match self.part.metadata() {
            Ok(found) => Ok(found.len()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(StageError::io("look at", &self.part, error)),
        }
    }

    /// Until all of it is there, in as many pieces as it takes.
    fn receive(&self) -> Result<(), StageError> {
        let patience = self.client.patience;
        let (mut failed, mut furthest) = (0, self.length()?);
        let name = Name { repo: self.pin.repo.clone(), revision: self.pin.commit.clone() };
        let asked = Asked { name: &name, file: Some(self.file) };
        let address = ["resolve", &self.pin.commit].into_iter().chain(self.file.split('/'));
        let url = self.client.connection.url(&[], &self.pin.repo, &address.collect::<Vec<_>>());
        loop {
            let reply = self.client.get(&url, self.length()?, &asked, self.listener)?;
            let said = reply
                .etag
                .as_deref()
                .filter(|etag| etag.len() == self.hash.len() && is_hash(etag, etag.len()));
            if said.is_some_and(|etag| etag != self.hash) {
                return Err(changed(self.pin, self.file).help(format!(
                    "find out why at {}/{}; `ner-pipe lock update` takes what it is now",
                    self.client.connection.host(),
                    self.pin.repo
                )));
            }
            let Some(why) = self.append(reply)? else { return Ok(()) };
            let length = self.length()?;
            failed = if length > furthest { 1 } else { failed + 1 };
            furthest = furthest.max(length);
            if failed >= patience.attempts {
                let message = format!("{} breaks off at byte {length}, each time", self.file);
                return Err(StageError::because(message, why).help(format!(
                    "try again later: what came stays, and the next attempt resumes it ({})",
                    self.part.display()
                )));
            }
            self.listener
                .note(&format!("{}: the transfer broke off at byte {length} ({why}); it resumes", self.file));
            patience.pause(failed, self.listener)?;
        }
    }

    /// Adds what comes to the part; says why that ended too early, if it did.
    fn append(&self, mut reply: Reply) -> Result<Option<io::Error>, StageError> {
        let had = self.length()?;
        let (start, total) = match reply.status() {
            206 => range(reply.header("content-range").unwrap_or_default()),
            200 => (Some(0), reply.response.body().content_length()),
            _ => {
                // All of it is there, or more than all.
                let (_, total) = range(reply.header("content-range").unwrap_or_default());
                if total == Some(had) {
                    return Ok(None);
                }
                (None, None)
            }
        };
        let write = |error| StageError::io("write", &self.part, error);
        let mut part =
            OpenOptions::new().write(true).create(true).truncate(false).open(&self.part).map_err(write)?;
        let Some(start) = start.filter(|start| *start <= had) else {
            part.set_len(0).map_err(write)?;
            return Ok(Some(io::Error::other("the hub does not resume there")));
        };
        self.expect_room(total.unwrap_or(0).saturating_sub(start))?;
        part.set_len(start).and_then(|()| part.seek(SeekFrom::Start(start))).map_err(write)?;
        let (mut done, mut buffer) = (start, vec![0; CHUNK]);
        let mut told = None;
        // A body of unknown length has no limit.
        let mut body = reply.response.body_mut().with_config().limit(u64::MAX).reader();
        let broke = loop {
            if self.listener.is_cancelled() {
                return Err(StageError::Cancelled);
            }
            match body.read(&mut buffer) {
                Ok(0) => break None,
                Ok(read) => {
                    part.write_all(&buffer[..read]).map_err(write)?;
                    done += read as u64;
                    let total = total.unwrap_or(0);
                    let step =
                        done.checked_div((total / STEPS).max(SMALL / STEPS)).filter(|_| total >= SMALL);
                    if step.is_some() && (step != told || done == total) {
                        self.listener.bytes(self.file, done, total);
                        told = step;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Some(error),
            }
        };
        part.sync_all().map_err(write)?;
        Ok(broke.or_else(|| {
            let short = total.is_some_and(|total| done < total);
            short.then(|| io::Error::new(ErrorKind::UnexpectedEof, "the connection ended"))
        }))
    }

    fn expect_room(&self, bytes: u64) -> Result<(), StageError> {
        const MEGABYTE: u64 = 1_000_000;
        let folder = self.part.parent().unwrap_or(Path::new("."));
        let Ok(disk) = rustix::fs::statvfs(folder) else { return Ok(()) };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if bytes <= free {
            return Ok(());
        }
        let message = format!(
            "{} needs {} MB more, and {} MB are free at {}",
            self.file,
            bytes.div_ceil(MEGABYTE),
            free / MEGABYTE,
            folder.display()
        );
        Err(StageError::new(message)
            .help("free some space there, or set HF_HUB_CACHE to a folder on another disk"))
    }
}

/// Start and total of `bytes 5-9/10` or `bytes */10`.
fn range(header: &str) -> (Option<u64>, Option<u64>) {
    let Some((span, total)) = header.trim_start_matches("bytes").trim().split_once('/') else {
        return (None, None);
    };
    (span.split_once('-').and_then(|(start, _)| start.parse().ok()), total.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_has_a_start_and_a_total() {
        assert_eq!(range("bytes 5-9/10"), (Some(5), Some(10)));
        assert_eq!(range("bytes */10"), (None, Some(10)));
        assert_eq!(range("bytes 5-9/*"), (Some(5), None));
        assert_eq!(range(""), (None, None));
    }
}
