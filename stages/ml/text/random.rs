//! Seeded randomness: every draw follows from the context's seed and a name, never from the clock.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A generator for the draw called `name`: independent streams from one seed.
#[must_use]
pub fn rng(seed: u64, name: &str) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream(name));
    rng
}

/// A number for a name, the same on every platform and in every build (FNV-1a).
#[must_use]
pub fn stream(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}
