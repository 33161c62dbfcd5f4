//! Sums of products of bytes, unsigned times signed, exact in i32 by whatever instructions there are.
//!
//! No way saturates: VNNI adds four products to 32 bits at once, and AVX2 multiplies what it has widened to 16 bits
//! (`pmaddwd`), because `pmaddubsw` would cut two products of 255 * 127 off at 32,767.

mod tile;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use self::tile::{COLUMNS, Fours, Line, PANELS, ROWS, Sums};

/// A way to compute them; all give the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dot {
    /// Whatever the compiler makes of it.
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    #[cfg(target_arch = "x86_64")]
    AvxVnni(x86::AvxVnni),
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(x86::Avx512Vnni),
}

impl Dot {
    /// All that this processor has, plainest first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let all = [Some(Self::Plain)];
        #[cfg(target_arch = "x86_64")]
        let all = all.into_iter().chain([
            x86::Avx2::find().map(Self::Avx2),
            x86::AvxVnni::find().map(Self::AvxVnni),
            x86::Avx512Vnni::find().map(Self::Avx512Vnni),
        ]);
        all.into_iter().flatten()
    }

    pub(crate) fn best() -> Self {
        Self::all().last().unwrap_or(Self::Plain)
    }

    /// `to[r * panels + p][c]` = Σ over k of row r times column c of panel p, for the first `rows` of a tile. The lines of the
    /// panels that stand side by side alternate.
    ///
    /// # Panics
    /// When lengths do not fit, or for more than [`ROWS`] rows or [`PANELS`] panels.
    #[inline(always)]
    pub(crate) fn tile(self, rows: usize, x: &[Fours], panels: usize, lines: &[Line], to: &mut [Sums]) {
        assert!(
            (1..=ROWS).contains(&rows) && (1..=PANELS).contains(&panels),
            "a tile of {rows} rows, {panels} panels"
        );
        assert!(
            lines.len() == panels * x.len() && to.len() == rows * panels,
            "a line for each four, a sum for each row"
        );
        match self {
            Self::Plain => plain(rows, x, panels, lines, to),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.tile(rows, x, panels, lines, to),
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni(vnni) => vnni.tile(rows, x, panels, lines, to),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(vnni) => vnni.tile(rows, x, panels, lines, to),
        }
    }
}

fn plain(rows: usize, x: &[Fours], panels: usize, lines: &[Line], to: &mut [Sums]) {
    to.fill([0; COLUMNS]);
    for (x, lines) in x.iter().zip(lines.chunks_exact(panels)) {
        for (to, x) in to.chunks_exact_mut(panels).zip(&x[..rows]) {
            for (to, Line(weights)) in to.iter_mut().zip(lines) {
                for (sum, weights) in to.iter_mut().zip(weights) {
                    for (x, weight) in x.iter().zip(weights) {
                        *sum += i32::from(*x) * i32::from(*weight);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every way, and i64 by the definition.
    fn check(rows: usize, x: &[Fours], panels: usize, lines: &[Line]) {
        let expected: Vec<_> = (0..rows * panels * COLUMNS)
            .map(|place| {
                let (row, panel, column) =
                    (place / COLUMNS / panels, place / COLUMNS % panels, place % COLUMNS);
                let of = |(x, lines): (&Fours, &[Line])| -> i64 {
                    let pairs = x[row].iter().zip(&lines[panel].0[column]);
                    pairs.map(|(x, weight)| i64::from(*x) * i64::from(*weight)).sum()
                };
                x.iter().zip(lines.chunks_exact(panels)).map(of).sum::<i64>()
            })
            .collect();
        for dot in Dot::all() {
            let mut found = vec![[7; COLUMNS]; rows * panels];
            dot.tile(rows, x, panels, lines, &mut found);
            let found: Vec<_> = found.as_flattened().iter().map(|sum| i64::from(*sum)).collect();
            assert_eq!(found, expected, "{dot:?}");
        }
    }

    proptest! {
        #[test]
        fn every_way_gives_the_same_numbers(
            rows in 1..=ROWS,
            (panels, x, lines) in (0_usize..20, 1..=PANELS).prop_flat_map(|(depth, panels)| (
                Just(panels),
                prop::collection::vec(any::<Fours>(), depth),
                prop::collection::vec(any::<[[i8; 4]; COLUMNS]>().prop_map(Line), depth * panels),
            ))
        ) {
            check(rows, &x, panels, &lines);
        }
    }

    #[test]
    fn the_largest_products_do_not_saturate() {
        for weight in [127, -128] {
            check(8, &vec![[[255; 4]; ROWS]; 1000], 3, &vec![Line([[weight; 4]; COLUMNS]); 3000]);
        }
    }

    #[test]
    #[should_panic(expected = "a line for each four")]
    fn a_tile_that_does_not_fit_is_refused() {
        let line = Line([[0; 4]; COLUMNS]);
        Dot::best().tile(1, &[[[0; 4]; ROWS]; 2], 1, &[line], &mut [[0; COLUMNS]]);
    }
}
