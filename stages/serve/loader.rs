use std::{
    io,
    sync::{Arc, mpsc},
    thread,
    time::Instant,
};

use stage_contract::{Invalid, StageError};
use tokio::sync::oneshot;

use crate::{gate::Gate, metrics::Metrics, model::Model};

/// Opens the model on a thread of its own, once and whenever a reload is asked for.
pub struct Loader {
    pub model: Arc<Model>,
    pub metrics: Arc<Metrics>,
    pub gate: Arc<Gate>,
}

impl Loader {
    /// Starts the thread. What is returned gets the error of the first load, and is closed when that succeeds.
    ///
    /// # Errors
    /// The system has no thread.
    pub fn start(self, reloads: mpsc::Receiver<()>) -> io::Result<oneshot::Receiver<StageError>> {
        let (failed, first) = oneshot::channel();
        let thread = thread::Builder::new().name("serve-loader".to_owned());
        thread.spawn(move || self.run(&reloads, failed))?;
        Ok(first)
    }

    fn run(&self, reloads: &mpsc::Receiver<()>, failed: oneshot::Sender<StageError>) {
        if let Err(error) = self.load() {
            // Nobody listens when the server was stopped meanwhile.
            let _ = failed.send(error);
            return;
        }
        drop(failed);
        self.gate.open();
        while reloads.recv().is_ok() {
            // Asked twice before it begins, once is enough.
            reloads.try_iter().for_each(drop);
            if let Err(error) = self.load() {
                let Invalid { message, help, .. } = Invalid::of(&error);
                tracing::error!(
                    "cannot reload the model, the one before stays in use: {message}{}",
                    help.map(|help| format!("\nhelp: {help}")).unwrap_or_default()
                );
            }
        }
    }

    fn load(&self) -> Result<(), StageError> {
        let start = Instant::now();
        let loaded = self.model.load();
        self.metrics.loaded(loaded.is_ok());
        let about = loaded?;
        tracing::info!(
            "loaded {} ({}) in {:.1} s",
            about.name,
            about.precision,
            start.elapsed().as_secs_f64()
        );
        Ok(())
    }
}
