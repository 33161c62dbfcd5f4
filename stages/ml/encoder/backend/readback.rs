//! The only readback: from a device to the host. It waits until the device has done all that it was asked, so a training step
//! off the CPU must not read back; a test keeps every other way closed.

use burn::tensor::{Tensor, TensorData, Transaction};

/// A tensor's values, row after row.
#[must_use]
pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    passing();
    floats(tensor.into_data())
}

/// The values of several tensors, in one transfer.
pub fn hosts(tensors: impl IntoIterator<Item = Tensor<1>>) -> Vec<Vec<f32>> {
    passing();
    let all = tensors.into_iter().fold(Transaction::default(), Transaction::register);
    all.execute().into_iter().map(floats).collect()
}

fn floats(data: TensorData) -> Vec<f32> {
    data.try_into_vec_as().unwrap_or_else(|error| unreachable!("floats are floats: {error}"))
}

/// Tests of the packages above keep it shut too.
fn passing() {
    #[cfg(any(test, feature = "testing"))]
    assert!(!crate::testing::is_shut(), "a tensor was read back where nothing may be");
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::testing::shut;

    #[test]
    #[should_panic(expected = "read back where nothing may be")]
    fn nothing_is_read_back_where_that_is_forbidden() {
        let one = Tensor::<1>::ones([1], &burn::tensor::Device::flex());
        shut(|| host(one));
    }

    /// Burn's own ways are named in this file alone (and in tests and benches, which may wait).
    #[test]
    fn there_is_no_other_readback() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("stages");
        let files = walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok);
        let mut seen = 0;
        for entry in files.filter(|entry| entry.path().extension().is_some_and(|ext| ext == "rs")) {
            let path = entry.path().strip_prefix(root).expect("below").display().to_string();
            let others = [
                "benches/",
                "build/",
                "contract/",
                "kernels/",
                "serve/",
                "vendor/",
                "ml/encoder/backend/readback.rs",
            ];
            if others.iter().any(|other| path.starts_with(other))
                || path.contains("tests")
                || path.contains("benches/")
            {
                continue;
            }
            let text = fs::read_to_string(entry.path()).expect("readable");
            // Tests come last in a file.
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            for way in [".into_data", ".to_data", ".into_scalar", "Transaction", ".try_into_data"] {
                assert!(!code.contains(way), "{path} reads by `{way}`: use backend::readback");
            }
            seen += 1;
        }
        assert!(seen > 50, "{seen} files");
    }
}
