//! Results come out of the cache: published as artifacts, verified, and recorded in the lock file.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use stage_contract::StageError;

use super::{attempt::Input, failure::Failure, lock_writer::LockWriter, project::Project};
use crate::{
    executor::CancelToken,
    failpoint::{Point, reach},
    fingerprint::{file_name, observe},
    lock::Locked,
    pipeline::{Origin, Place},
    publish::{ArtifactState, PublishError, PublishTarget, artifact_state, publish},
    store::{Entry, Slot, WaitPolicy},
    watch::{Outcome, Watch},
};

/// Takes results out of the cache.
pub(super) struct Hydrate<'a, 'r> {
    pub project: &'a mut Project<'r>,
    pub watch: &'a mut dyn Watch,
    pub lock: &'a mut LockWriter,
}

impl Hydrate<'_, '_> {
    /// Takes a result; none when it turns out damaged: then it was moved away. `wait`: for a run that is at it.
    pub fn take(
        &mut self,
        node: usize,
        entry: &Entry,
        wait: bool,
        cancel: &CancelToken,
    ) -> Result<Option<Outcome>, Failure> {
        entry.mark_used();
        let placed = if entry.is_complete() { self.publish(node, entry)? } else { None };
        if let Some(placed) = placed {
            return Ok(Some(if placed == 0 { Outcome::Reused } else { Outcome::Restored }));
        }
        let mut waited = false;
        let policy =
            WaitPolicy { wait, cancelled: &|| cancel.is_cancelled(), waiting: &mut || waited = true };
        let aside = self.project.store.quarantine(&entry.key(), Some(&entry.record), policy);
        self.project.recheck |= waited;
        if let Some(aside) = aside? {
            self.note_damage(node, &aside);
        }
        Ok(None)
    }

    /// Says that a damaged result was moved away.
    pub fn note_damage(&mut self, node: usize, aside: &Path) {
        let (id, aside) = (&self.project.pipeline.nodes[node].id, self.project.shown(aside));
        self.watch.note(&format!(
            "{id}: the result in the cache was damaged; it is now in {aside}, and the stage executes again"
        ));
    }

    /// Publishes a result and records it in the lock; says how many outputs were not current, or none when
    /// the entry is damaged.
    pub fn publish(&mut self, node: usize, entry: &Entry) -> Result<Option<usize>, Failure> {
        let project = &mut *self.project;
        let item = &project.pipeline.nodes[node];
        let locked = Locked::new(&entry.manifest, &entry.record, item.seed);
        let right = item.outputs.iter().all(|out| {
            let path = project.pipeline.root.join(&out.published);
            let stored = entry.record.outputs.get(&out.name);
            stored.is_some_and(|s| artifact_state(&mut project.memo, &path, s) == ArtifactState::Current)
        });
        // A run with nothing to do writes nothing and takes no lock.
        if right && project.lock.get(&item.id) == Some(&locked) {
            return Ok(Some(0));
        }
        project.folder.expect_unmoved()?;
        let held = project.store.publish_lock()?;
        for out in &item.outputs {
            project.memo.recheck(&project.pipeline.root.join(&out.published));
        }
        let site = PublishTarget {
            root: &project.pipeline.root,
            file: &project.pipeline.file,
            outputs: &item.outputs,
            before: project.lock.get(&item.id),
        };
        let published = match publish(&project.store, entry, &site, &mut project.memo) {
            Ok(published) => published,
            Err(PublishError::Damaged(_)) => return Ok(None),
            Err(PublishError::Failed(error)) => return Err(error.into()),
        };
        reach(Point::Published).map_err(|e| StageError::io("write", &project.pipeline.lock, e))?;
        project.claim_artifacts()?;
        self.lock.record(project, node, locked);
        drop(held);
        for (path, home) in &published.displaced {
            let (path, home) = (path.display(), project.shown(home));
            self.watch.note(&format!("{path} was not a result of ner-pipe; it is now {home}"));
        }
        Ok(Some(published.placed))
    }

    /// Makes sure that what a stage will read is what its key says, and remembers how it looks.
    pub fn inputs(&mut self, node: usize, results: &[Option<Entry>]) -> Result<Vec<Input>, Failure> {
        let mut inputs = Vec::new();
        for wire in 0..self.project.pipeline.nodes[node].inputs.len() {
            let wire = &self.project.pipeline.nodes[node].inputs[wire];
            let (port, origin) = (wire.port.clone(), self.project.origin(wire));
            let path = self.project.input_path(wire);
            if let Origin::Output { node: upstream, output } = &wire.from {
                let (upstream, output) = (*upstream, output.clone());
                let Some(entry) = &results[upstream] else { continue };
                let right = |hydrate: &mut Self| {
                    let stored = entry.record.outputs.get(&output);
                    stored.is_some_and(|s| {
                        artifact_state(&mut hydrate.project.memo, &path, s) == ArtifactState::Current
                    })
                };
                // Changed since it was published: back to the result.
                if !right(self) {
                    self.publish(upstream, entry)?;
                }
                if !right(self) {
                    return Err(StageError::new(format!(
                        "input `{port}` was modified again after it was restored"
                    ))
                    .help("let nothing else write to the published outputs, then type `ner-pipe run`")
                    .into());
                }
            }
            let seen = self.project.memo.observe(&path);
            let seen =
                seen.map_err(|e| StageError::because(format!("cannot read input `{port}`"), e))?.clone();
            inputs.push(Input { port, origin, path, seen });
        }
        Ok(inputs)
    }

    /// A command that moves its source (`mv {data} {out}`) put the user's only copy into the slot, which goes: it is
    /// kept.
    pub fn salvage(&mut self, node: usize, slot: &Slot) {
        let pipeline = &self.project.pipeline;
        let sources = pipeline.nodes[node].inputs.iter().filter_map(|wire| match wire.from {
            Origin::Source(source) => match &pipeline.sources[source].at {
                Place::Path(path) => Some(path),
                Place::Hub(_) => None,
            },
            Origin::Output { .. } => None,
        });
        let is_gone = |path: &&PathBuf| {
            fs::symlink_metadata(pipeline.root.join(path)).is_err_and(|e| e.kind() == ErrorKind::NotFound)
        };
        let Some(gone) = sources.into_iter().find(is_gone) else { return };
        for out in &pipeline.nodes[node].outputs {
            let Ok(path) = slot.output(&out.name, &file_name(&out.published)) else { continue };
            if fs::symlink_metadata(&path).is_err() {
                continue;
            }
            let digest = observe(&path).ok().map(|seen| seen.digest);
            let kept = match self.project.store.displace(&path, digest) {
                Ok(home) => format!("what that wrote to `{}` is now {}", out.name, self.project.shown(&home)),
                Err(error) => error.to_string(),
            };
            let (id, gone) = (&pipeline.nodes[node].id, gone.display());
            self.watch.note(&format!("{id}: {gone} is gone since the stage ran; {kept}"));
        }
    }
}
