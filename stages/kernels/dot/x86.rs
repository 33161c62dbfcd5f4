//! Tiles for AVX2, AVX-VNNI and AVX-512 VNNI.
//!
//! Each way is a value that exists only where the processor was found to have it.

use std::arch::x86_64::{
    __m256i, _mm_set1_epi32, _mm256_add_epi32, _mm256_castsi256_si128, _mm256_cvtepi8_epi16,
    _mm256_cvtepu8_epi16, _mm256_dpbusd_avx_epi32, _mm256_extracti128_si256, _mm256_hadd_epi32,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_permute4x64_epi64, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_storeu_si256, _mm512_dpbusd_epi32, _mm512_load_si512, _mm512_set1_epi32, _mm512_setzero_si512,
    _mm512_storeu_si512,
};

use super::tile::{COLUMNS, Fours, Line, PANELS, ROWS, Sums};

macro_rules! found {
    ($name:ident: $($feature:tt)*) => {
        #[doc = concat!("Proof of ", stringify!($($feature)*))]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) struct $name(());

        impl $name {
            pub(super) fn find() -> Option<Self> {
                (true $(&& is_x86_feature_detected!($feature))*).then_some(Self(()))
            }
        }
    };
}

found!(Avx2: "avx2");
found!(AvxVnni: "avx2" "avxvnni");
found!(Avx512Vnni: "avx512f" "avx512vnni");

impl Avx512Vnni {
    /// As [`super::Dot::tile`].
    pub(super) fn tile(self, rows: usize, x: &[Fours], panels: usize, lines: &[Line], to: &mut [Sums]) {
        let Self(()) = self;
        // SAFETY: a value of `Self` exists only where these instructions do.
        unsafe { avx512_tile(rows, x, panels, lines, to) }
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn avx512_tile(rows: usize, x: &[Fours], panels: usize, lines: &[Line], to: &mut [Sums]) {
    match panels {
        1 => avx512_rows::<1>(rows, x, lines, to),
        2 => avx512_rows::<2>(rows, x, lines, to),
        _ => avx512_rows::<PANELS>(rows, x, lines, to),
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn avx512_rows<const P: usize>(rows: usize, x: &[Fours], lines: &[Line], to: &mut [Sums]) {
    match rows {
        1 => avx512::<1, P>(x, lines, to),
        2 => avx512::<2, P>(x, lines, to),
        3 => avx512::<3, P>(x, lines, to),
        4 => avx512::<4, P>(x, lines, to),
        5 => avx512::<5, P>(x, lines, to),
        6 => avx512::<6, P>(x, lines, to),
        7 => avx512::<7, P>(x, lines, to),
        _ => avx512::<ROWS, P>(x, lines, to),
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn avx512<const R: usize, const P: usize>(x: &[Fours], lines: &[Line], to: &mut [Sums]) {
    let mut sums = [[_mm512_setzero_si512(); P]; R];
    for (x, lines) in x.iter().zip(lines.as_chunks::<P>().0) {
        let mut weights = [_mm512_setzero_si512(); P];
        for (weights, line) in weights.iter_mut().zip(lines) {
            let line: *const Line = line;
            // SAFETY: a line is 64 bytes, aligned to 64.
            *weights = unsafe { _mm512_load_si512(line.cast()) };
        }
        for (sums, x) in sums.iter_mut().zip(x) {
            let x = _mm512_set1_epi32(i32::from_ne_bytes(*x));
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = _mm512_dpbusd_epi32(*sum, x, weights);
            }
        }
    }
    for (to, sum) in to.iter_mut().zip(sums.as_flattened()) {
        // SAFETY: 16 sums are 64 bytes, at whatever address.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), *sum) };
    }
}

impl AvxVnni {
    /// As [`super::Dot::tile`].
    pub(super) fn tile(self, rows: usize, x: &[Fours], panels: usize, lines: &[Line], to: &mut [Sums]) {
        let Self(()) = self;
        // SAFETY: a value of `Self` exists only where these instructions do.
        by_parts(rows, panels, to, |part| unsafe { avx_vnni(part, x, panels, lines) });
    }
}

#[target_feature(enable = "avx2,avxvnni")]
fn avx_vnni((first, panel): (usize, usize), x: &[Fours], panels: usize, lines: &[Line]) -> [Sums; 4] {
    let mut sums = [[_mm256_setzero_si256(); 2]; 4];
    for (x, lines) in x.iter().zip(lines.chunks_exact(panels)) {
        let weights = [load::<0>(&lines[panel]), load::<1>(&lines[panel])];
        for (sums, x) in sums.iter_mut().zip(&x.as_chunks::<4>().0[first]) {
            let x = _mm256_set1_epi32(i32::from_ne_bytes(*x));
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = _mm256_dpbusd_avx_epi32(*sum, x, weights);
            }
        }
    }
    sums.map(|sums| store(sums))
}

impl Avx2 {
    /// As [`super::Dot::tile`].
    pub(super) fn tile(self, rows: usize, x: &[Fours], panels: usize, lines: &[Line], to: &mut [Sums]) {
        let Self(()) = self;
        // SAFETY: a value of `Self` exists only where these instructions do.
        by_parts(rows, panels, to, |part| unsafe { avx2(part, x, panels, lines) });
    }
}

#[target_feature(enable = "avx2")]
fn avx2((first, panel): (usize, usize), x: &[Fours], panels: usize, lines: &[Line]) -> [Sums; 2] {
    // Of each column the sum over the first two of each four, and the sum over the other two.
    let mut sums = [[_mm256_setzero_si256(); 4]; 2];
    for (x, lines) in x.iter().zip(lines.chunks_exact(panels)) {
        let [low, high] = [load::<0>(&lines[panel]), load::<1>(&lines[panel])];
        let weights = [
            _mm256_cvtepi8_epi16(_mm256_castsi256_si128(low)),
            _mm256_cvtepi8_epi16(_mm256_extracti128_si256::<1>(low)),
            _mm256_cvtepi8_epi16(_mm256_castsi256_si128(high)),
            _mm256_cvtepi8_epi16(_mm256_extracti128_si256::<1>(high)),
        ];
        for (sums, x) in sums.iter_mut().zip(&x.as_chunks::<2>().0[first]) {
            let x = _mm256_cvtepu8_epi16(_mm_set1_epi32(i32::from_ne_bytes(*x)));
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(x, weights));
            }
        }
    }
    sums.map(|[a, b, c, d]| {
        // Pairs are added within each half of a register, which leaves the halves' columns interleaved.
        let order = |pairs| _mm256_permute4x64_epi64::<0b11_01_10_00>(pairs);
        store([order(_mm256_hadd_epi32(a, b)), order(_mm256_hadd_epi32(c, d))])
    })
}

/// Half of a line.
#[target_feature(enable = "avx2")]
fn load<const HALF: usize>(line: &Line) -> __m256i {
    let (halves, _) = line.0.as_flattened().as_chunks::<32>();
    // SAFETY: a half is 32 bytes, at whatever address.
    unsafe { _mm256_loadu_si256(halves[HALF].as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn store(sums: [__m256i; 2]) -> Sums {
    let mut to = [0; COLUMNS];
    for (to, sums) in to.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
        // SAFETY: 8 sums are 32 bytes, at whatever address.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), sums) };
    }
    to
}

/// A tile in parts of `R` rows of one panel; `part` gets their number and the panel's.
#[inline(always)]
fn by_parts<const R: usize>(
    rows: usize,
    panels: usize,
    to: &mut [Sums],
    part: impl Fn((usize, usize)) -> [Sums; R],
) {
    for panel in 0..panels {
        for (number, to) in to[..rows * panels].chunks_mut(R * panels).enumerate() {
            let sums = part((number, panel));
            for (to, sums) in to[panel..].iter_mut().step_by(panels).zip(sums) {
                *to = sums;
            }
        }
    }
}
