//! `ner-pipe serve`: a model over HTTP.

use std::{path::Path, sync::Arc, time::Duration};

use ::serve::{About, Limits, Tagger};
use clap::{ArgMatches, Args, Command, FromArgMatches};
use stage_contract::{Invalid, StageError, Tool, ToolContext, ToolError};

use crate::chosen::{Chosen, Found};
use encoder::predictor::Predictor;
use text::entities::Entity;

/// The subcommand.
pub const SERVE: Tool = Tool { name: "serve", command, run };

/// Answer requests over HTTP with the entities of their texts.
///
/// POST /predict takes {"text": ..}, {"texts": [..]}, or lines of JSON (application/x-ndjson); / is a page to try it, and
/// /openapi.json describes all of it, with /health, /ready and /metrics. SIGHUP loads the model anew, Ctrl-C finishes
/// what was accepted. There is no authentication: put it behind what has one.
#[derive(Debug, Args)]
struct Arguments {
    #[command(flatten)]
    model: Chosen,
    /// Listen here
    #[arg(long, value_name = "HOST:PORT", default_value = ::serve::ADDRESS)]
    address: String,
    /// Let so many texts wait for the model; beyond that, clients are told to come back (429)
    #[arg(long, value_name = "TEXTS", default_value_t = Limits::default().queue)]
    queue: usize,
    /// Take so many texts in one request
    #[arg(long, value_name = "TEXTS", default_value_t = Limits::default().texts)]
    texts: usize,
    /// Take texts of so many characters
    #[arg(long, value_name = "CHARACTERS", default_value_t = Limits::default().characters)]
    characters: usize,
    /// Take bodies of so many bytes
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().body)]
    body: usize,
    /// Let the model read so many tokens at once
    #[arg(long, value_name = "TOKENS", default_value_t = Limits::default().batch_tokens)]
    batch_tokens: usize,
    /// Let a text wait so long for others to share its batch while the model is idle
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 2)]
    wait: u64,
    /// Answer within so many seconds, or say that it took too long
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().timeout.as_secs())]
    timeout: u64,
}

fn command() -> Command {
    Arguments::augment_args(Command::new("serve"))
}

fn run(matches: &ArgMatches, cx: &ToolContext) -> Result<(), ToolError> {
    let arguments = Arguments::from_arg_matches(matches).map_err(|e| Invalid::new(e.to_string()))?;
    let limits = Limits {
        queue: arguments.queue,
        texts: arguments.texts,
        characters: arguments.characters,
        body: arguments.body,
        batch_tokens: arguments.batch_tokens,
        wait: Duration::from_millis(arguments.wait),
        timeout: Duration::from_secs(arguments.timeout),
        ..Limits::default()
    };
    limits.check()?;
    let chosen = arguments.model;
    let found = chosen.found(cx)?;
    let name = chosen.model.display().to_string();
    let open = move || -> Result<Arc<dyn Tagger>, StageError> { Ok(Arc::new(Served::open(&name, &found)?)) };
    Ok(::serve::run(&arguments.address, Arc::new(open), limits)?)
}

/// The model behind the server.
struct Served {
    predictor: Predictor,
    about: About,
}

impl Served {
    fn open(name: &str, found: &Found) -> Result<Self, StageError> {
        let predictor = found.open()?;
        let config = &predictor.model().config;
        let short = Path::new(name)
            .file_name()
            .map_or_else(|| name.to_owned(), |name| name.to_string_lossy().into_owned());
        let about = About {
            name: if name.starts_with("hub:") { name.to_owned() } else { short },
            types: config.labels.types().to_vec(),
            parameters: config.all_parameters() as u64,
            precision: found.precision.name().to_owned(),
        };
        Ok(Self { predictor, about })
    }
}

impl Tagger for Served {
    fn tag(&self, texts: &[String]) -> Result<Vec<Vec<Entity>>, StageError> {
        self.predictor.entities(texts)
    }

    fn tokens(&self, text: &str) -> usize {
        // French has about four bytes a sub-word; two are around each text.
        text.len() / 4 + 2
    }

    fn about(&self) -> About {
        self.about.clone()
    }
}
