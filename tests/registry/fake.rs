//! Stages without machine learning: one that does as its parameters say, one that looks at the clock.

use std::{env, fs, path::Path, process, thread, time::Duration};

use rustix::process::{Signal, getpid, kill_process};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stage_contract::{
    Artifact, Available, Build, Code, Context, Device, DeviceRequest, Event, Further, Input, Invalid, Kind,
    Optional, Output, Registry, Spec, Stage, StageError, Tool,
};

/// Set where this binary is to be `ner-pipe`.
pub const UNDER_TEST: &str = "NER_PIPE_UNDER_TEST";

pub fn registry() -> Registry {
    let device = |request| match request {
        DeviceRequest::Exactly(devices) if devices.gpus().any(|index| index >= gpus()) => {
            Err(Invalid::new("no CUDA driver here").help("write `--device cpu`"))
        }
        DeviceRequest::Exactly(devices) => Ok((devices, None)),
        DeviceRequest::Auto if gpus() > 0 => Ok((Device::cuda(0).into(), None)),
        DeviceRequest::Auto => Ok((Device::CPU.into(), None)),
    };
    Registry::new(Build { code: code(), compiler: "rustc 9", device })
        .stage::<Probe>()
        .stage::<Watch>()
        .stage::<Gather>()
        .tool(Tool {
            name: "greet",
            command: || clap::Command::new("greet").about("Says hello"),
            run: |_, _| Ok(()),
        })
}

/// What the code of each stage is made of; `NER_PIPE_TEST_CODE="probe ml/losses.rs 2"` changes or adds one part.
fn code() -> &'static [Code] {
    let said = env::var("NER_PIPE_TEST_CODE").unwrap_or_default();
    let words: Vec<&'static str> = said.leak().split(' ').collect();
    let stages = ["probe", "clock"].map(|stage| {
        let mut parts = vec![("ml/corpus.rs", "1"), ("ml/losses.rs", "1")];
        if let [named, part, hash] = words.as_slice()
            && *named == stage
        {
            parts.retain(|(name, _)| name != part);
            parts.push((part, hash));
            parts.sort_unstable();
        }
        Code { stage, parts: parts.leak() }
    });
    Vec::from(stages).leak()
}

/// GPUs that this binary believes to have.
fn gpus() -> usize {
    env::var("FAKE_GPUS").ok().and_then(|count| count.parse().ok()).unwrap_or(0)
}

struct Text(String);

impl Artifact for Text {
    const KIND: Kind = Kind::FILE;
    fn load(path: &Path) -> Result<Self, StageError> {
        fs::read_to_string(path).map(Self).map_err(|e| StageError::io("read", path, e))
    }
    fn save(&self, path: &Path) -> Result<(), StageError> {
        fs::write(path, &self.0).map_err(|e| StageError::io("write", path, e))
    }
}

struct Report(Value);

impl Artifact for Report {
    const KIND: Kind =
        Kind { name: "report", shape: stage_contract::Shape::File, extension: "json", doc: "a JSON report" };
    fn load(path: &Path) -> Result<Self, StageError> {
        Text::load(path).map(|text| Self(text.0.into()))
    }
    fn save(&self, path: &Path) -> Result<(), StageError> {
        Text(format!("{:#}", self.0)).save(path)
    }
    fn schema() -> Option<Value> {
        Some(json!({ "type": "object" }))
    }
}

const TEXT: Input<Text> = Input::new("text", "something to read");
const REPORT: Output<Report> = Output::new("report", "what it saw");

/// How a probe ends, unless a file `calm` lies in the project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum End {
    #[default]
    Well,
    Error,
    Panic,
    Exit,
    Kill,
    /// Until it is asked to stop.
    Wait,
    /// Whoever asks.
    Hang,
    /// With an error, if another stage is at it at the same time.
    Alone,
    /// When another stage is at it at the same time.
    Together,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Probe {
    end: End,
    gate: String,
    temperature: f32,
}

impl Default for Probe {
    fn default() -> Self {
        Self { end: End::Well, gate: "pass".to_owned(), temperature: 2.5 }
    }
}

impl Stage for Probe {
    const SPEC: Spec = Spec {
        name: "probe",
        version: 1,
        doc: "tells what it sees",
        inputs: &[TEXT.port()],
        outputs: &[REPORT.port()],
        measures: false,
    };

    fn preflight(&self, inputs: &Available<'_>, _device: Device) -> Result<(), Invalid> {
        // What another stage is yet to make is not there.
        let empty =
            inputs.path(&TEXT).is_some_and(|path| fs::metadata(path).is_ok_and(|meta| meta.len() == 0));
        if empty { Err(Invalid::new("the text is empty").at("text").help("write some")) } else { Ok(()) }
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let Text(text) = cx.read(&TEXT)?;
        cx.progress("reading", 2, "lines").advance(2);
        cx.metric("dev.f1", 0.5);
        cx.measured("latency", 1.5);
        cx.show("a table");
        cx.metric("dev.loss", f64::NAN);
        cx.sink.send(Event::Gate { name: "size".to_owned(), outcome: self.gate.clone() });
        eprintln!("on standard error");
        let checkpoint = cx.checkpoint.join("step");
        let resumed = checkpoint.exists();
        if !Path::new("calm").exists() {
            self.end(cx, &checkpoint)?;
        }
        cx.write(
            &REPORT,
            &Report(json!({
                "text": text,
                "seed": cx.seed,
                "temperature": self.temperature,
                "threads": cx.threads,
                "rayon": env::var("RAYON_NUM_THREADS").ok(),
                "device": cx.device.to_string(),
                "further": cx.further.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "clock": cx.measure().is_ok(),
                "resumed": resumed,
            })),
        )
    }
}

impl Probe {
    fn end(&self, cx: &Context<'_>, checkpoint: &Path) -> Result<(), StageError> {
        let step = || fs::write(checkpoint, "1").map_err(|e| StageError::io("write", checkpoint, e));
        let tell = || fs::write("stage", process::id().to_string()).expect("writes");
        match self.end {
            End::Well => Ok(()),
            End::Error => {
                let cause = StageError::new("no such line").help("write the line");
                Err(StageError::because("cannot read the corpus", cause))
            }
            End::Panic => panic!("not so"),
            End::Exit => process::exit(9),
            End::Kill => {
                step()?;
                kill_process(getpid(), Signal::KILL).expect("is alive");
                Ok(())
            }
            End::Wait => {
                tell();
                loop {
                    if cx.check_cancelled().is_err() {
                        step()?;
                        return Err(StageError::Cancelled);
                    }
                    thread::sleep(Duration::from_millis(5));
                }
            }
            End::Alone => {
                let inside = |e| StageError::because("another stage is inside", e);
                fs::create_dir("inside").map_err(inside)?;
                thread::sleep(Duration::from_millis(100));
                fs::remove_dir("inside").map_err(inside)
            }
            End::Together => {
                fs::create_dir_all("met").expect("creates");
                fs::write(format!("met/{}", process::id()), "").expect("writes");
                while fs::read_dir("met").expect("is there").count() < 2 {
                    cx.check_cancelled()?;
                    thread::sleep(Duration::from_millis(5));
                }
                Ok(())
            }
            End::Hang => {
                tell();
                thread::sleep(Duration::from_mins(10));
                Ok(())
            }
        }
    }
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Watch {}

impl Stage for Watch {
    const SPEC: Spec = Spec {
        name: "clock",
        version: 1,
        doc: "looks at the clock",
        inputs: &[TEXT.port()],
        outputs: &[REPORT.port()],
        measures: true,
    };

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let clock = cx.measure().is_ok();
        cx.write(&REPORT, &Report(json!({ "clock": clock })))
    }
}

const FIRST: Optional<Text> = Optional::new("first", "what comes first");
const OTHERS: Further<Text> = Further::new("text", "what else there is, under a name of your own");

/// Takes any number of texts.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Gather {}

impl Stage for Gather {
    const SPEC: Spec = Spec {
        name: "gather",
        version: 1,
        doc: "gathers texts",
        inputs: &[FIRST.port(), OTHERS.port()],
        outputs: &[REPORT.port()],
        measures: false,
    };

    fn preflight(&self, inputs: &Available<'_>, _device: Device) -> Result<(), Invalid> {
        let mut empty = inputs
            .further::<Self, _>(&OTHERS)
            .filter(|(_, path)| fs::metadata(path).is_ok_and(|meta| meta.len() == 0));
        empty
            .next()
            .map_or(Ok(()), |(name, _)| Err(Invalid::new("a text is empty").at(name).help("write some")))
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let first = cx.read_optional(&FIRST)?.map(|Text(text)| text);
        let others = cx.read_further(&Self::SPEC, &OTHERS)?;
        let others: Vec<_> = others.into_iter().map(|(name, Text(text))| json!([name, text])).collect();
        cx.write(&REPORT, &Report(json!({ "first": first, "others": others })))
    }
}
