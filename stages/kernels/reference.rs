//! What kernels are tested against: plain f64, and derivatives by differences.

/// Numbers in [-1, 1] from a seed.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.value()).collect()
    }

    /// splitmix64
    fn value(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / 8_388_608.0 - 1.0
    }
}

pub(crate) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|x| f64::from(*x)).collect()
}

/// Each within `tolerance` of what is expected, absolute or relative, whichever is more.
pub(crate) fn assert_near(found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (place, (&found, expected)) in found.iter().zip(expected).enumerate() {
        let distance = (f64::from(found) - expected).abs();
        assert!(distance <= tolerance * expected.abs().max(1.0), "{place}: {found} for {expected}");
    }
}

/// df/dx by central differences.
pub(crate) fn derivative(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut x = x.to_vec();
    (0..x.len())
        .map(|i| {
            let here = x[i];
            x[i] = here + 1e-5;
            let above = f(&x);
            x[i] = here - 1e-5;
            let below = f(&x);
            x[i] = here;
            (above - below) / 2e-5
        })
        .collect()
}

/// erf by its series, or for large x by the continued fraction of erfc.
pub(crate) fn erf(x: f64) -> f64 {
    if x.abs() > 3.0 {
        let a = x.abs();
        let fraction = (1..60).rev().fold(0.0, |below, k| f64::from(k) / 2.0 / (a + below));
        let rest = (-a * a).exp() / std::f64::consts::PI.sqrt() / (a + fraction);
        return (1.0 - rest).copysign(x);
    }
    let mut term = x;
    let mut sum = x;
    for n in 1..100 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

/// What `work` gives in a pool of so many threads.
pub(crate) fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool").install(work)
}
