//! Linear layers for inference: weights packed once, in f32 or 8 bits.

use rayon::prelude::*;

use crate::{linear::Linear, product};

/// Most rows of a task: weights are read once for all of them, and what lies between two layers stays in the second cache.
const ROWS: usize = 64;

/// One or more linear layers side by side, packed once.
pub trait Packed: Sized + Sync {
    /// Memory of one thread, used again for its next rows.
    type Scratch: Default + Send;

    /// From layers that read the same x.
    ///
    /// # Panics
    /// When shapes do not fit.
    #[must_use]
    fn pack(layers: &[Linear<'_>]) -> Self;

    /// Lengths of a row of x and of y.
    #[must_use]
    fn shape(&self) -> (usize, usize);

    /// So many rows of x to those of y, or to GELU of them, on this thread. Lengths fit, and there is something to write.
    fn multiply_rows(&self, rows: usize, x: &[f32], y: &mut [f32], room: &mut Self::Scratch, gelu: bool);

    /// Rows of x to those of y, or to GELU of them, on this thread.
    ///
    /// # Panics
    /// When the lengths do not fit.
    fn rows(&self, x: &[f32], y: &mut [f32], room: &mut Self::Scratch, gelu: bool) {
        let (inner, outer) = self.shape();
        if !y.is_empty() {
            let rows = y.len() / outer;
            assert_eq!((x.len(), y.len()), (rows * inner, rows * outer), "rows of {:?}", self.shape());
            self.multiply_rows(rows, x, y, room, gelu);
        }
    }

    /// `[rows, in]` -> `[rows, out]`, on all cores.
    ///
    /// # Panics
    /// When the lengths do not fit.
    #[must_use]
    fn forward(&self, x: &[f32], rows: usize) -> Vec<f32> {
        let (inner, outer) = self.shape();
        assert_eq!(x.len(), rows * inner, "{rows} rows of {inner}");
        let mut y = vec![0.0; rows * outer];
        if outer > 0 {
            let task = task(rows);
            y.par_chunks_mut(task * outer).enumerate().for_each_init(
                Self::Scratch::default,
                |room, (number, y)| {
                    let (first, rows) = (number * task, y.len() / outer);
                    self.rows(&x[first * inner..(first + rows) * inner], y, room, false);
                },
            );
        }
        y
    }
}

/// Rows of a task: few rows are cut for all threads, and no cut shows in a row.
pub(crate) fn task(rows: usize) -> usize {
    rows.div_ceil(rayon::current_num_threads()).next_multiple_of(product::ROWS).clamp(product::ROWS, ROWS)
}
