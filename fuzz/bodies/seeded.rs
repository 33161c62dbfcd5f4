//! The fuzzing that ordinary tests do: every seed, and mutants of them that are the same each time.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

/// A mutant is not longer.
const LARGEST: usize = 1 << 16;

/// Gives a loader the seeds in a folder, and so many mutants.
///
/// # Panics
/// The loader panics, or there are no seeds.
pub fn fuzz(folder: &Path, name: &str, loader: impl Fn(&[u8]), mutants: usize) {
    let entries = fs::read_dir(folder.join(name)).expect("a folder of seeds");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).expect("readable")).collect();
    assert!(!seeds.is_empty(), "{name} has no seeds");
    let mut random = Random(1);
    let changed = (0..mutants).map(|_| mutant(&mut random, &seeds));
    for (number, file) in seeds.iter().cloned().chain(changed).enumerate() {
        let done = catch_unwind(AssertUnwindSafe(|| loader(&file)));
        let sort = if number < seeds.len() { "seed" } else { "mutant" };
        if done.is_err() {
            let kept = std::env::temp_dir().join(format!("{name}-{number}"));
            let kept =
                fs::write(&kept, &file).map_or_else(|e| e.to_string(), |()| kept.display().to_string());
            panic!("{name}: {sort} {number} panics: {kept}");
        }
    }
}

/// `SplitMix64` (Steele et al. 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or_default()
    }

    fn of<'t, T: ?Sized>(&mut self, all: &[&'t T]) -> &'t T {
        all[self.below(all.len())]
    }

    /// A part of so many bytes, of 64 at most.
    fn part(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..start + self.below((length - start).min(64) + 1)
    }
}

/// What formats are made of, and numbers at the ends of types.
const WORDS: [&str; 36] = [
    "0",
    "-1",
    "255",
    "65536",
    "2147483647",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1e999",
    "1e-400",
    "NaN",
    "null",
    "true",
    "[]",
    "{}",
    "[[[[[[[[",
    "}",
    "]",
    "\"",
    "\\u0000",
    "\\ud800",
    "\"\"",
    "\0",
    "\n",
    "\r",
    "\t",
    "\n\n",
    "\u{feff}",
    "\u{202e}",
    "é",
    "ﷺ",
    "\u{301}",
    ",",
    ":",
];

fn mutant(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut file = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        change(random, &mut file, seeds);
    }
    file.truncate(LARGEST);
    file
}

fn change(random: &mut Random, file: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let part = random.part(file.len());
    match random.below(8) {
        0 if !file.is_empty() => {
            let at = random.below(file.len());
            file[at] ^= 1 << random.below(8);
        }
        1 if !file.is_empty() => {
            let at = random.below(file.len());
            file[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)];
        }
        2 => drop(file.drain(part)),
        3 => {
            let again = file[part.clone()].repeat(1 << random.below(8));
            file.splice(part, again);
        }
        4 => drop(file.splice(part.start..part.start, random.of(&WORDS).bytes())),
        // A number, a word or a text becomes another.
        5 | 6 => {
            let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
            let start = part.start + file[part.start..].iter().position(word).unwrap_or_default();
            let end = start + file[start..].iter().take_while(|byte| word(byte)).count();
            file.splice(start..end, random.of(&WORDS).bytes());
        }
        _ => {
            let other = &seeds[random.below(seeds.len())];
            let piece = random.part(other.len());
            file.splice(part, other[piece].iter().copied());
        }
    }
}
