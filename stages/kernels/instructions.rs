//! Which instructions the kernels are compiled for and run with, decided once a process.

use std::sync::LazyLock;

use pulp::Arch;

use crate::dot::Dot;

/// What this process uses.
pub(crate) struct Instructions {
    /// For floating point.
    pub arch: Arch,
    /// For sums of products of bytes.
    pub dot: Dot,
}

/// The best that this processor has; tests may ask for less.
pub(crate) fn instructions() -> &'static Instructions {
    static CHOSEN: LazyLock<Instructions> = LazyLock::new(|| {
        #[cfg(test)]
        if let Some(limited) = tests::limited() {
            return limited;
        }
        Instructions { arch: Arch::new(), dot: Dot::best() }
    });
    &CHOSEN
}

#[cfg(test)]
mod tests {
    use std::{env, process::Command};

    use super::*;

    /// Names the best instructions that a test's process may use: `avx2` or `plain`.
    const LIMIT: &str = "KERNELS_LIMIT";

    #[expect(clippy::disallowed_methods, reason = "how tests run each other")]
    pub(super) fn limited() -> Option<Instructions> {
        let limit = env::var(LIMIT).ok()?;
        let plain = Instructions { arch: plain(), dot: Dot::Plain };
        match limit.as_str() {
            "plain" => Some(plain),
            #[cfg(target_arch = "x86_64")]
            "avx2" => Some(pulp::x86::V3::try_new().map_or(plain, |v3| Instructions {
                arch: Arch::V3(v3),
                dot: Dot::all().nth(1).expect("AVX2 comes after plain code"),
            })),
            #[cfg(not(target_arch = "x86_64"))]
            "avx2" => Some(plain),
            other => panic!("{other} instructions"),
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn plain() -> Arch {
        Arch::Scalar
    }

    /// Where pulp has no plain code to choose.
    #[cfg(not(target_arch = "x86_64"))]
    fn plain() -> Arch {
        Arch::new()
    }

    /// All tests of this crate but this one, in a process of their own each time.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test starts itself")]
    fn every_other_test_passes_without_the_newest_instructions() {
        for limit in ["avx2", "plain"] {
            let output = Command::new(env::current_exe().expect("this test's program"))
                .args(["--skip", "every_other_test_passes"])
                .env(LIMIT, limit)
                .env("PROPTEST_CASES", "24")
                .output()
                .expect("started");
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{limit}: {said}");
            assert!(said.contains("panels_are_the_product ... ok"), "{limit} ran nothing: {said}");
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    #[expect(clippy::disallowed_methods, reason = "as above")]
    fn the_limit_is_kept() {
        let Instructions { arch, dot } = instructions();
        match env::var(LIMIT).as_deref() {
            Ok("plain") => assert!(matches!((arch, dot), (Arch::Scalar, Dot::Plain))),
            Ok(_) => {
                assert!(!matches!(arch, Arch::V4(_)) && !matches!(dot, Dot::AvxVnni(_) | Dot::Avx512Vnni(_)));
            }
            Err(_) => assert!(*dot == Dot::best()),
        }
    }
}
