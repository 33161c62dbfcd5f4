//! From what was found out to `report.json`.

use std::{collections::BTreeMap, fs};

use stage_contract::{Context, StageError};

use super::{
    Subject,
    compare::Pair,
    gates::{self, Gates, Measured, Metric, Rate, Relation, Rule, Support, Table, Types},
    slices::{Board, Slice},
};
use crate::evaluate::evaluation::{
    Calibrations, Cell, Decodings, Fidelity, Foreign, Found, GoldPart, Latency, LayerReport, Length, Memory,
    ModelReport, Quality, Shape, Speed, TestPart, TextDifference, Throughput, Verdict,
};
use encoder::{batch::Encoded, flops};
use measure::{
    bootstrap::{Bootstrap, Estimate, Evidence, Measure, Part},
    latency::{self, Rounds, Timings},
};
use text::{
    corpus::{Gold, Record},
    folder,
    labels::Span,
};

/// All that was found out, by model in the order of `names`; the teacher first.
pub(super) struct Findings {
    pub names: Vec<String>,
    pub sizes: Vec<Size>,
    pub timings: Timings,
    /// What throughput was measured on, `[models][texts]`.
    pub texts: Vec<Vec<Encoded>>,
    pub fidelity: Board,
    /// `None`: no gold is wired.
    pub quality: Option<Board>,
    /// By model.
    pub decodings: Vec<Decodings>,
    /// By model.
    pub calibrations: Vec<Calibrations>,
    pub bootstrap: Bootstrap,
}

/// How large a model is.
pub(super) struct Size {
    parameters: usize,
    crf_parameters: usize,
    bytes: usize,
    bytes_on_disk: u64,
    flops: usize,
    memory: Memory,
    shape: Shape,
}

impl Size {
    /// `rows`: tokens read at once.
    pub fn of(cx: &Context<'_>, subject: &Subject, rows: usize) -> Result<Self, StageError> {
        let config = &subject.model.config;
        let mut bytes_on_disk = 0;
        for path in folder::files(&subject.folder.path)? {
            bytes_on_disk += fs::metadata(&path).map_err(|e| StageError::io("read", &path, e))?.len();
        }
        let parameters = config.all_parameters();
        let bytes = parameters * size_of::<f32>();
        let activations = flops::activations(config, rows, config.max_pieces().min(rows), cx.threads);
        let layers = config.layers.iter().map(|layer| LayerReport {
            heads: layer.heads,
            ffn: layer.ffn,
            from_teacher_layer: layer.from_teacher_layer,
        });
        Ok(Self {
            parameters,
            crf_parameters: config.crf_parameters(),
            bytes,
            bytes_on_disk,
            flops: flops::flops(config, flops::TOKENS),
            memory: Memory {
                how: "computed".to_owned(),
                tokens: rows,
                weights: bytes,
                activations,
                peak: bytes + activations,
            },
            shape: Shape {
                vocab: config.vocab,
                hidden: config.hidden,
                head_dim: config.head_dim,
                layers: layers.collect(),
            },
        })
    }

    fn number(&self, size: gates::Size) -> f64 {
        match size {
            gates::Size::Parameters => float(self.parameters),
            gates::Size::Bytes => float(self.bytes),
            gates::Size::BytesOnDisk => float(usize::try_from(self.bytes_on_disk).unwrap_or(usize::MAX)),
            gates::Size::Flops => float(self.flops),
            gates::Size::Memory => float(self.memory.peak),
        }
    }
}

impl Findings {
    /// One entry of `models` for each.
    pub fn models(&self, cx: &Context<'_>) -> Vec<(String, ModelReport)> {
        let of = |model: usize| {
            let size = &self.sizes[model];
            ModelReport {
                parameters: size.parameters,
                crf_parameters: size.crf_parameters,
                bytes: size.bytes,
                bytes_on_disk: size.bytes_on_disk,
                flops: size.flops,
                memory: size.memory.clone(),
                shape: size.shape.clone(),
                decoding: self.decodings[model].clone(),
                calibration: self.calibrations[model].clone(),
                latency: Latency {
                    main: self.cell(&self.timings.main, model),
                    precision: "f32".to_owned(),
                    device: cx.device.to_string(),
                    threads: cx.threads,
                    matrix: self.timings.cells.iter().map(|cell| self.cell(cell, model)).collect(),
                },
                throughput: self.throughput(model),
                fidelity: Fidelity {
                    all: self.fidelity.all(model),
                    by_source: self.fidelity.each(model, source),
                    by_length: self.fidelity.each(model, length),
                    by_mention: self.fidelity.each(model, mention),
                },
                quality: self.quality.as_ref().map(|board| Quality {
                    all: board.all(model),
                    sets: board.each(model, source),
                    by_length: board.each(model, length),
                    by_mention: board.each(model, mention),
                }),
            }
        };
        self.names.iter().enumerate().map(|(model, name)| (name.clone(), of(model))).collect()
    }

    fn cell(&self, cell: &latency::Cell, model: usize) -> Cell {
        let ratio = self.over(&cell.rounds, &cell_name(cell), 50, model, 0);
        Cell {
            tokens: cell.tokens,
            batch: cell.batch,
            p50_ms: cell.rounds.quantile(model, 0.5),
            p90_ms: cell.rounds.quantile(model, 0.9),
            p99_ms: cell.rounds.quantile(model, 0.99),
            ratio: ratio.value,
            ratio_interval: ratio.interval,
            rounds: cell.rounds.len(),
            warmup: cell.warmup,
        }
    }

    /// One model's time over another's.
    fn over(&self, rounds: &Rounds, name: &str, percent: u8, model: usize, against: usize) -> Estimate {
        let share = f64::from(percent) / 100.0;
        rounds.estimate(&self.bootstrap, name, share, [model, against], |one, other| one / other)
    }

    fn tokens(&self, model: usize) -> usize {
        self.texts[model].iter().map(Encoded::tokens).sum()
    }

    fn throughput(&self, model: usize) -> Throughput {
        let rounds = &self.timings.texts;
        let ratio = self.over(rounds, TEXTS, 50, 0, model);
        let seconds = rounds.quantile(model, 0.5) / 1e3;
        let (texts, tokens) = (self.texts[model].len(), self.tokens(model));
        Throughput {
            texts,
            tokens,
            rounds: rounds.len(),
            sentences_per_s: float(texts) / seconds,
            tokens_per_s: float(tokens) / seconds,
            ratio: ratio.value,
            ratio_interval: ratio.interval,
        }
    }

    pub fn speed(&self, seconds: f64) -> Speed {
        Speed { seconds, skipped: self.timings.skipped.clone() }
    }

    /// What each gate says.
    pub fn verdicts(
        &self,
        gates: &Gates,
        foreign: &Foreign,
    ) -> Result<BTreeMap<String, Verdict>, StageError> {
        let rules = gates::rules(gates)?;
        let verdict = |(name, gate, rule): (&str, _, Rule)| {
            (name.to_owned(), rule.verdict(gate, self.measure(&rule), foreign))
        };
        Ok(rules.into_iter().map(verdict).collect())
    }

    /// What a gate asks for, and what that rests on.
    fn measure(&self, rule: &Rule) -> Measured {
        let index = |name: &str| self.names.iter().position(|known| known == name);
        let support = match &rule.metric {
            Metric::Size(..) => Support::Exact,
            Metric::Latency(cell, ..) => {
                Support::Rounds(self.timed(*cell).map_or(0, |cell| cell.rounds.len()))
            }
            Metric::Throughput(..) => Support::Rounds(self.timings.texts.len()),
            Metric::Score(..) => Support::Entities(Evidence { texts: 0, entities: 0 }),
        };
        // What stands alone needs no other, and so not even a teacher.
        let models = index(&rule.model).zip(index(&rule.against));
        let Some((model, against)) = models else { return Measured { estimate: None, support } };
        if let Metric::Score(table, types, part, relation) = &rule.metric {
            let scored = self.score((*table, types, *part, *relation), &rule.slice, [model, against]);
            return scored.unwrap_or(Measured { estimate: None, support });
        }
        Measured { estimate: self.exact_or_timed(rule, model, against), support }
    }

    fn timed(&self, cell: Option<(usize, usize)>) -> Option<&latency::Cell> {
        match cell {
            None => Some(&self.timings.main),
            Some(size) => self.timings.cells.iter().find(|cell| (cell.tokens, cell.batch) == size),
        }
    }

    /// A score of the slice; none where there is no such slice.
    fn score(
        &self,
        (table, types, part, relation): (Table, &Types, Part, Relation),
        slice: &Slice,
        [model, against]: [usize; 2],
    ) -> Option<Measured> {
        let board = match table {
            Table::Fidelity => &self.fidelity,
            Table::Quality => self.quality.as_ref()?,
        };
        let measure = match types {
            Types::Micro => Measure::Micro(part),
            Types::Macro => Measure::Macro(part),
            Types::Only(kind) => Measure::Type(board.column(kind)?, part),
        };
        let slice = board.slice(slice)?;
        let (estimate, evidence) = match relation {
            Relation::Drop => {
                (slice.drop(model, against, measure), slice.evidence_of_both([model, against], measure))
            }
            Relation::Alone | Relation::Ratio => {
                (slice.estimate(model, measure), slice.evidence(model, measure))
            }
        };
        Some(Measured { estimate, support: Support::Entities(evidence) })
    }

    fn exact_or_timed(&self, rule: &Rule, model: usize, against: usize) -> Option<Estimate> {
        match &rule.metric {
            Metric::Size(size, relation) => {
                let of = |model: usize| self.sizes[model].number(*size);
                let value = if *relation == Relation::Ratio { of(model) / of(against) } else { of(model) };
                Some(Estimate { value, interval: None })
            }
            Metric::Latency(cell, percent, relation) => {
                let cell = self.timed(*cell)?;
                let name = cell_name(cell);
                Some(match relation {
                    Relation::Ratio => self.over(&cell.rounds, &name, *percent, model, against),
                    Relation::Alone | Relation::Drop => {
                        self.alone(&cell.rounds, &name, *percent, model, |ms| ms)
                    }
                })
            }
            Metric::Throughput(rate, relation) => {
                let rounds = &self.timings.texts;
                let count = match rate {
                    Rate::Sentences => float(self.texts[model].len()),
                    Rate::Tokens => float(self.tokens(model)),
                };
                Some(match relation {
                    Relation::Ratio => self.over(rounds, TEXTS, 50, against, model),
                    Relation::Alone | Relation::Drop => {
                        self.alone(rounds, TEXTS, 50, model, |ms| 1e3 * count / ms)
                    }
                })
            }
            Metric::Score(..) => None,
        }
    }

    fn alone(
        &self,
        rounds: &Rounds,
        name: &str,
        percent: u8,
        model: usize,
        value: impl Fn(f64) -> f64,
    ) -> Estimate {
        let share = f64::from(percent) / 100.0;
        rounds.estimate(&self.bootstrap, name, share, [model, model], |one, _| value(one))
    }
}

/// The draws of rounds of whole texts.
const TEXTS: &str = "texts";

/// The draws of a cell's rounds: the same for every number of it.
fn cell_name(cell: &latency::Cell) -> String {
    format!("{}x{}", cell.tokens, cell.batch)
}

fn source(slice: &Slice) -> Option<String> {
    if let Slice::Source(name) = slice { Some(name.clone()) } else { None }
}

fn length(slice: &Slice) -> Option<Length> {
    if let Slice::Length(length) = slice { Some(*length) } else { None }
}

fn mention(slice: &Slice) -> Option<crate::evaluate::evaluation::Mention> {
    if let Slice::Mention(mention) = slice { Some(*mention) } else { None }
}

pub(super) fn test_part(test: &[Record]) -> TestPart {
    TestPart { texts: test.len(), words: test.iter().map(|record| record.words.len()).sum() }
}

pub(super) fn gold_part(gold: &Gold) -> GoldPart {
    let sets: BTreeMap<_, _> = gold.sets.iter().map(|set| (set.name.clone(), set.records.len())).collect();
    GoldPart { texts: sets.values().sum(), sets }
}

/// From how many words to how many.
pub(super) fn lengths([short, medium]: [usize; 2]) -> BTreeMap<Length, (usize, Option<usize>)> {
    BTreeMap::from([
        (Length::Short, (0, Some(short))),
        (Length::Medium, (short + 1, Some(medium))),
        (Length::Long, (medium + 1, None)),
    ])
}

/// The first texts that teacher and final model tag differently.
pub(super) fn differences(test: &[Record], pairs: &[Pair], most: usize) -> Vec<TextDifference> {
    let found = |spans: &[Span]| -> Vec<Found> {
        let of = |span: &Span| Found { start: span.start, end: span.end, kind: span.kind.clone() };
        spans.iter().map(of).collect()
    };
    let differ = test.iter().zip(pairs).filter(|(_, (teacher, last))| teacher != last);
    let differ = differ.map(|(record, (teacher, last))| TextDifference {
        id: record.id.clone(),
        teacher: found(teacher),
        last: found(last),
    });
    differ.take(most).collect()
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 parameters, bytes and operations")]
fn float(count: usize) -> f64 {
    count as f64
}
