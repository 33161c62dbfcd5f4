//! Scheduling options of a node: resources, timeouts, retries. None of them changes a result, so none is in a
//! key.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytesize::ByteSize;
use toml::de::DeValue;

use super::keys::{Table, Value, expect_name, offer, whole, wrong_type};
use crate::problem::{Code, Location, Problem, Problems};

/// The upper bound of `retries`.
pub(super) const MAX_RETRIES: u32 = 100;

/// Built-in resources, whose totals may be left to the machine; all others are user-defined, with totals in
/// `[resources]`.
pub const MACHINE: [&str; 3] = ["cpu", "memory", "gpu"];

/// A node's scheduling options: they are in no key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scheduling {
    /// How much of each resource it reserves; memory in bytes.
    pub resources: BTreeMap<String, u64>,
    /// Mutexes: no two nodes that execute at the same time share one.
    pub mutexes: BTreeSet<String>,
    /// It is stopped after this.
    pub timeout: Option<Duration>,
    /// How long it may take to stop before it is killed.
    pub grace: Option<Duration>,
    /// How many retries it has when its process fails.
    pub retries: u32,
    /// The delay before the first retry; it doubles with each.
    pub backoff: Option<Duration>,
}

/// Amounts of resources and their source locations.
pub(super) type Amounts = BTreeMap<String, (u64, Location)>;

/// Reads the scheduling options of `[stage.<id>]`.
pub(super) fn read(table: &Table<'_>, problems: &mut Problems) -> (Scheduling, BTreeMap<String, Location>) {
    let amounts = amounts(table, problems);
    let scheduling = Scheduling {
        resources: amounts.iter().map(|(name, (amount, _))| (name.clone(), *amount)).collect(),
        mutexes: mutexes(table, problems),
        timeout: duration(table, "timeout", "30m", problems),
        grace: duration(table, "grace", "10s", problems),
        retries: retries(table, problems),
        backoff: duration(table, "backoff", "5s", problems),
    };
    if let (Some(timeout), Some((_, value))) = (scheduling.timeout, table.get("timeout"))
        && timeout.is_zero()
    {
        problems.push(
            Problem::new(Code::BadDuration, "a stage with no time at all cannot do anything")
                .at(&table.location(value.span()), "no time")
                .help("write a time like `timeout = \"30m\"`, or remove it"),
        );
    }
    (scheduling, amounts.into_iter().map(|(name, (_, place))| (name, place)).collect())
}

/// Reads a table of amounts: `resources` of a stage, or `[resources]` of the file.
pub(super) fn amounts(table: &Table<'_>, problems: &mut Problems) -> Amounts {
    const EXAMPLE: &str = "resources = { cpu = 2, memory = \"4GiB\" }";
    let Some(resources) = table.table("resources", EXAMPLE, problems) else { return Amounts::new() };
    let mut found = Amounts::new();
    for (key, value) in resources.entries {
        let name: &str = key.get_ref();
        let place = resources.location(value.span());
        expect_name("resource", name, &resources.location(key.span()), problems);
        match amount(name, value, &place) {
            Ok(amount) => drop(found.insert(name.to_owned(), (amount, place))),
            Err(problem) => problems.push(problem),
        }
    }
    found
}

fn amount(name: &str, value: &Value<'_>, place: &Location) -> Result<u64, Problem> {
    const HELP: &str = "write `memory = \"4GiB\"`, or a number of bytes";
    if let Some(number) = whole(value.get_ref()) {
        return Ok(number);
    }
    if name != "memory" {
        let problem = match value.get_ref() {
            DeValue::Integer(_) => {
                Problem::new(Code::WrongType, format!("`{name}` must be a whole number from 0"))
                    .at(place, "out of range")
            }
            other => wrong_type(name, "a whole number from 0", other, place),
        };
        return Err(problem.help(format!("write `{name} = 1`")));
    }
    let DeValue::String(text) = value.get_ref() else {
        return Err(wrong_type(name, "an amount of memory", value.get_ref(), place).help(HELP));
    };
    text.parse::<ByteSize>().map(|size| size.as_u64()).map_err(|_| {
        Problem::new(Code::BadAmount, format!("`{text}` is no amount of memory"))
            .at(place, "a number and a unit")
            .help(HELP)
    })
}

fn mutexes(table: &Table<'_>, problems: &mut Problems) -> BTreeSet<String> {
    const HELP: &str = "write `mutex = \"name\"`, or a list of names";
    let Some((_, value)) = table.get("mutex") else { return BTreeSet::new() };
    let one = std::slice::from_ref(value);
    let names = match value.get_ref() {
        DeValue::Array(names) => names,
        _ => one,
    };
    let mut found = BTreeSet::new();
    for name in names {
        let place = table.location(name.span());
        match name.get_ref() {
            DeValue::String(name) => {
                expect_name("mutex", name, &place, problems);
                found.insert(name.to_string());
            }
            other => problems.push(wrong_type("mutex", "a name", other, &place).help(HELP)),
        }
    }
    found
}

fn duration(table: &Table<'_>, key: &str, example: &str, problems: &mut Problems) -> Option<Duration> {
    let (text, place) = table.string(key, problems)?;
    let parsed = humantime::parse_duration(text);
    if parsed.is_err() {
        problems.push(
            Problem::new(Code::BadDuration, format!("`{text}` is no duration"))
                .at(&place, "a number and a unit")
                .help(format!(
                    "write it with `ms`, `s`, `m` or `h`: `{key} = \"{example}\"`, or `\"1h 30m\"`"
                )),
        );
    }
    parsed.ok()
}

fn retries(table: &Table<'_>, problems: &mut Problems) -> u32 {
    let Some((_, value)) = table.get("retries") else { return 0 };
    match whole(value.get_ref()).and_then(|number| u32::try_from(number).ok()) {
        Some(number) if number <= MAX_RETRIES => number,
        _ => {
            let place = table.location(value.span());
            let problem = match value.get_ref() {
                DeValue::Integer(_) => {
                    Problem::new(Code::BadAmount, format!("`retries` must be from 0 to {MAX_RETRIES}"))
                        .at(&place, "out of range")
                }
                other => wrong_type("retries", "a whole number from 0", other, &place),
            };
            problems.push(problem.help("write `retries = 2`"));
            0
        }
    }
}

/// Reports requests for an undeclared resource, or for more than its total.
pub(super) fn expect_enough<'d>(
    totals: &Amounts,
    stages: impl Iterator<Item = (&'d Scheduling, &'d BTreeMap<String, Location>)>,
    problems: &mut Problems,
) {
    for (scheduling, places) in stages {
        for (name, amount) in &scheduling.resources {
            let Some(place) = places.get(name) else { continue };
            match totals.get(name) {
                Some((total, at)) if amount > total => problems.push(
                    too_much(name, *amount, *total).at(place, "more than there is").at(at, "there is this"),
                ),
                None if !MACHINE.contains(&name.as_str()) => {
                    let known =
                        MACHINE.into_iter().chain(totals.keys().map(String::as_str)).collect::<BTreeSet<_>>();
                    problems.push(
                        Problem::new(
                            Code::UnknownResource,
                            format!("nothing says how much `{name}` there is"),
                        )
                        .at(place, "asked for here")
                        .help(format!(
                            "add `[resources]` with `{name} = {amount}`; or {}",
                            offer(name, known.iter().copied())
                        )),
                    );
                }
                _ => {}
            }
        }
    }
}

/// A request that exceeds the total; the caller adds the source location.
#[must_use]
pub fn too_much(name: &str, wanted: u64, total: u64) -> Problem {
    let shown = |amount: u64| match name {
        "memory" => ByteSize(amount).to_string(),
        _ => amount.to_string(),
    };
    let (wanted, total) = (shown(wanted), shown(total));
    Problem::new(Code::TooMuch, format!("this stage needs {wanted} {name}, and there is {total}")).help(
        format!(
            "ask for at most {total}, or say in `[resources]` how much `{name}` there is for this pipeline"
        ),
    )
}
