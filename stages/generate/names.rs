//! Names of people: the French lists of the crate `fake`, with a table of our own that tells which first names are
//! women's and which are men's (frames agree with them), and names that those lists lack.

use fake::locales::{Data, FR_FR};

use super::shares::{Part, Shares};

/// People's names, each in one part.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// First names of women.
    pub(super) women: Shares<&'static str>,
    /// First names of men.
    pub(super) men: Shares<&'static str>,
    /// Family names.
    pub(super) last: Shares<&'static str>,
    /// Family names that are also a town's.
    pub(super) towns: Shares<&'static str>,
    /// First names that are also common words, months or places.
    pub(super) words: Shares<&'static str>,
}

const WOMEN: &str = include_str!("tables/women.txt");
const MEN: &str = include_str!("tables/men.txt");
const MORE: &str = include_str!("tables/more_names.txt");

impl Names {
    /// Reads and deals them.
    ///
    /// # Errors
    /// An unknown heading.
    pub(super) fn read() -> Result<Self, String> {
        let mut names = Self::default();
        let known = |text: &'static str| {
            lines(text).flat_map(str::split_whitespace).filter(|name| FR_FR::NAME_FIRST_NAME.contains(name))
        };
        known(WOMEN).for_each(|name| deal(&mut names.women, name));
        known(MEN).for_each(|name| deal(&mut names.men, name));
        // Of two letters (Le, Li, Ly) they look like words.
        let longer = FR_FR::NAME_LAST_NAME.iter().filter(|name| name.chars().count() > 2);
        longer.for_each(|name| deal(&mut names.last, name));
        let mut heading = "";
        for line in lines(MORE) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                heading = name;
                continue;
            }
            match heading {
                "women" => line.split_whitespace().for_each(|name| deal(&mut names.women, name)),
                "men" => line.split_whitespace().for_each(|name| deal(&mut names.men, name)),
                "rose" => line.split_whitespace().for_each(|name| deal(&mut names.words, name)),
                "last" => line.split(", ").for_each(|name| deal(&mut names.last, name)),
                "homonym" => line.split(", ").for_each(|name| deal(&mut names.towns, name)),
                _ => return Err(format!("more_names: no list is called `{heading}`")),
            }
        }
        Ok(names)
    }
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn deal(shares: &mut Shares<&'static str>, name: &'static str) {
    // Costa and Da Costa go together: readers of names see the last word.
    let part = Part::of(name.rsplit([' ', '\'']).next().unwrap_or(name));
    // `fake` repeats some.
    if !shares.of(part).contains(&name) {
        shares.give(part, name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_women_and_men_names_only_what_the_crate_has() {
        for name in lines(WOMEN).chain(lines(MEN)).flat_map(str::split_whitespace) {
            assert!(FR_FR::NAME_FIRST_NAME.contains(&name), "{name}");
        }
    }

    #[test]
    fn every_part_has_enough_names() {
        let names = Names::read().expect("the lists");
        for part in Part::ALL {
            assert!(names.women.of(part).len() >= 40, "{part:?}");
            assert!(names.men.of(part).len() >= 40, "{part:?}");
            assert!(names.last.of(part).len() >= 150, "{part:?}");
            assert!(names.towns.of(part).len() >= 3, "{part:?}");
            assert!(names.words.of(part).len() >= 4, "{part:?}");
        }
    }
}
