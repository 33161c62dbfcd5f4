//! Views of matrices.

use std::{marker::PhantomData, ops::Range};

/// A matrix to read: any two strides, so that a transposed matrix and a block of columns cost nothing.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// From the first element to at least the last.
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `[values.len() / columns, columns]`
    ///
    /// # Panics
    /// When the rows are not whole.
    #[must_use]
    pub fn new(values: &'a [f32], columns: usize) -> Self {
        assert!(columns > 0 && values.len().is_multiple_of(columns), "{} in rows of {columns}", values.len());
        Self { values, rows: values.len() / columns, columns, row_stride: columns, column_stride: 1 }
    }

    /// A matrix without elements that still has a number of rows or of columns.
    ///
    /// # Panics
    /// When it has elements.
    #[must_use]
    pub fn empty(rows: usize, columns: usize) -> Self {
        assert!(rows == 0 || columns == 0, "a matrix of {rows} x {columns} has elements");
        Self { values: &[], rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// Rows and columns.
    #[must_use]
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// The same elements, with rows for columns.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    /// Some rows and columns of it.
    ///
    /// # Panics
    /// When it has fewer.
    #[must_use]
    pub fn block(self, rows: Range<usize>, columns: Range<usize>) -> Self {
        assert!(rows.end <= self.rows && columns.end <= self.columns, "a block of {:?}", self.shape());
        let first = rows.start * self.row_stride + columns.start * self.column_stride;
        Self {
            values: self.values.get(first..).unwrap_or_default(),
            rows: rows.len(),
            columns: columns.len(),
            ..self
        }
    }

    /// Its rows, where the elements of each lie side by side.
    #[inline(always)]
    pub(crate) fn by_rows(self) -> Option<impl Iterator<Item = &'a [f32]>> {
        let rows = move |row| &self.values[row * self.row_stride..][..self.columns];
        (self.column_stride == 1).then(|| (0..self.rows).map(rows))
    }

    /// One element.
    #[inline(always)]
    pub(crate) fn at(&self, row: usize, column: usize) -> f32 {
        self.values[row * self.row_stride + column * self.column_stride]
    }
}

/// A row-major matrix, or a block of columns of one, to write. No two that exist at once share an element, so parts may
/// be written by different threads.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    first: *mut f32,
    rows: usize,
    columns: usize,
    /// From a row to the next.
    stride: usize,
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is an exclusive borrow of its elements, as `&mut [f32]` is, and no other view reaches them.
unsafe impl Send for MatrixMut<'_> {}

impl<'a> MatrixMut<'a> {
    /// `[values.len() / columns, columns]`
    ///
    /// # Panics
    /// When the rows are not whole.
    #[must_use]
    pub fn new(values: &'a mut [f32], columns: usize) -> Self {
        assert!(columns > 0 && values.len().is_multiple_of(columns), "{} in rows of {columns}", values.len());
        Self {
            rows: values.len() / columns,
            first: values.as_mut_ptr(),
            columns,
            stride: columns,
            borrowed: PhantomData,
        }
    }

    /// Rows and columns.
    #[must_use]
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// The same elements for a shorter while.
    #[must_use]
    pub fn reborrow(&mut self) -> MatrixMut<'_> {
        MatrixMut { borrowed: PhantomData, ..*self }
    }

    /// One row of it.
    ///
    /// # Panics
    /// When it has fewer.
    #[inline(always)]
    pub fn row(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let first = self.first.wrapping_add(row * self.stride);
        // SAFETY: the row lies in what is borrowed here, and `&mut self` lends it out once at a time.
        unsafe { std::slice::from_raw_parts_mut(first, self.columns) }
    }

    /// Writes elements of a row that may not have been written before.
    ///
    /// # Panics
    /// When they do not lie in it.
    #[inline(always)]
    pub(crate) fn put(&mut self, row: usize, column: usize, values: &[f32]) {
        assert!(row < self.rows && column + values.len() <= self.columns, "a place in {:?}", self.shape());
        let first = self.first.wrapping_add(row * self.stride + column);
        // SAFETY: these elements lie in what is borrowed here exclusively; `values` is borrowed too, so none is among them.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), first, values.len()) };
    }

    /// The first rows and the rest.
    ///
    /// # Panics
    /// When it has fewer.
    #[must_use]
    pub fn split_rows(self, at: usize) -> (Self, Self) {
        assert!(at <= self.rows, "{at} of {} rows", self.rows);
        // `wrapping_add`: one past the end when nothing is left, and then nothing is read or written there.
        let rest = self.first.wrapping_add(at * self.stride);
        (Self { rows: at, ..self }, Self { first: rest, rows: self.rows - at, ..self })
    }

    /// The first columns and the rest.
    ///
    /// # Panics
    /// When it has fewer.
    #[must_use]
    pub fn split_columns(self, at: usize) -> (Self, Self) {
        assert!(at <= self.columns, "{at} of {} columns", self.columns);
        let rest = self.first.wrapping_add(at);
        (Self { columns: at, ..self }, Self { first: rest, columns: self.columns - at, ..self })
    }
}

/// New memory for a matrix, row-major.
///
/// # Safety
/// `write` must write every element, and read none before.
pub(crate) unsafe fn written(rows: usize, columns: usize, write: impl FnOnce(MatrixMut<'_>)) -> Vec<f32> {
    let length = rows.checked_mul(columns).expect("a matrix that fits into memory");
    let mut values = Vec::with_capacity(length);
    write(MatrixMut { first: values.as_mut_ptr(), rows, columns, stride: columns, borrowed: PhantomData });
    // SAFETY: the caller vouches for it.
    unsafe { values.set_len(length) };
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

    #[test]
    fn blocks_and_turned_views_read_the_same_elements() {
        let corner = Matrix::new(&A, 3).block(1..2, 1..3);
        assert_eq!((corner.shape(), corner.at(0, 0), corner.at(0, 1)), ((1, 2), 5.0, 6.0));
        let turned = corner.transposed();
        assert_eq!((turned.shape(), turned.at(0, 0), turned.at(1, 0)), ((2, 1), 5.0, 6.0));
        assert_eq!(corner.by_rows().expect("side by side").collect::<Vec<_>>(), [&A[4..]]);
        assert!(turned.by_rows().is_none());
    }

    #[test]
    fn parts_of_a_matrix_are_written_apart() {
        let mut to = [1.0; 6];
        let (mut above, below) = MatrixMut::new(&mut to, 3).split_rows(1);
        let (mut left, mut right) = below.split_columns(1);
        above.put(0, 0, &[2.0, 4.0, 6.0]);
        left.row(0)[0] += 10.0;
        right.put(0, 1, &[7.0]);
        assert_eq!(to, [2.0, 4.0, 6.0, 11.0, 1.0, 7.0]);
    }

    #[test]
    #[should_panic(expected = "a place in (2, 3)")]
    fn nothing_is_written_beyond_a_row() {
        MatrixMut::new(&mut [0.0; 6], 3).put(0, 2, &[1.0, 1.0]);
    }

    #[test]
    #[should_panic(expected = "a block of (2, 3)")]
    fn a_block_beyond_the_edge_is_refused() {
        let _ = Matrix::new(&A, 3).block(0..3, 0..1);
    }
}
