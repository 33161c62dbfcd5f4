//! Views of matrices and their products.

use std::{marker::PhantomData, ops::Range};

use gemm::Parallelism;

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

    /// One element.
    #[inline(always)]
    pub(crate) fn at(&self, row: usize, column: usize) -> f32 {
        self.values[row * self.row_stride + column * self.column_stride]
    }

    /// Whether every element lies in the slice.
    fn is_whole(&self) -> bool {
        self.rows == 0
            || self.columns == 0
            || (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride < self.values.len()
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

/// Whether a product may use every core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cores {
    /// The caller has cut its work into tasks already.
    One,
    /// Rows and columns are shared out; each element is summed in the same order all the same.
    All,
}

impl Cores {
    fn parallelism(self) -> Parallelism {
        match self {
            Self::One => Parallelism::None,
            Self::All => Parallelism::Rayon(0),
        }
    }
}

/// `to += scale * left * right`
///
/// # Panics
/// When the shapes do not fit.
#[expect(clippy::needless_pass_by_value, reason = "a view that is written is a borrow: taking it ends it")]
pub fn add_product(to: MatrixMut<'_>, scale: f32, left: Matrix<'_>, right: Matrix<'_>, cores: Cores) {
    assert_eq!(to.shape(), (left.rows, right.columns), "shape of a product");
    // SAFETY: `to` is an exclusive borrow of initialised elements at these strides.
    unsafe { raw(to.first, to.stride, true, scale, left, right, cores) }
}

/// `to = scale * left * right`
///
/// # Panics
/// When the shapes do not fit.
#[expect(clippy::needless_pass_by_value, reason = "a view that is written is a borrow: taking it ends it")]
pub fn write_product(to: MatrixMut<'_>, scale: f32, left: Matrix<'_>, right: Matrix<'_>, cores: Cores) {
    assert_eq!(to.shape(), (left.rows, right.columns), "shape of a product");
    // SAFETY: `to` is an exclusive borrow of its elements at these strides.
    unsafe { raw(to.first, to.stride, false, scale, left, right, cores) }
}

/// `left * right` in new memory.
///
/// # Panics
/// When the shapes do not fit.
#[must_use]
pub fn product(left: Matrix<'_>, right: Matrix<'_>, cores: Cores) -> Vec<f32> {
    let length = left.rows * right.columns;
    let mut values = Vec::with_capacity(length);
    // SAFETY: there is room for `rows` rows at a stride of `columns`, and nothing is read from it.
    unsafe { raw(values.as_mut_ptr(), right.columns, false, 1.0, left, right, cores) };
    // SAFETY: `raw` without `add` has written every element of the product.
    unsafe { values.set_len(length) };
    values
}

/// `to = (add ? to : 0) + scale * left * right`
///
/// # Safety
/// `to` must be exclusively borrowed memory for `left.rows` rows of `right.columns`, `stride` apart; initialised with
/// `add`. Every element is written.
unsafe fn raw(
    to: *mut f32,
    stride: usize,
    add: bool,
    scale: f32,
    left: Matrix<'_>,
    right: Matrix<'_>,
    cores: Cores,
) {
    assert_eq!(left.columns, right.rows, "inner sides of a product");
    assert!(left.is_whole() && right.is_whole(), "a view is longer than its memory");
    let (rows, columns, depth) = (left.rows, right.columns, left.columns);
    // Within `isize`, because each is less than the length of a slice or a matrix in memory.
    #[expect(clippy::cast_possible_wrap, reason = "strides of what lies in memory")]
    let [stride, left_row, left_column, right_row, right_column] =
        [stride, left.row_stride, left.column_stride, right.row_stride, right.column_stride]
            .map(|stride| stride as isize);
    // SAFETY: the caller vouches for `to`, and `is_whole` for both operands; gemm writes all of `to` even at depth 0.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            depth,
            to,
            1,
            stride,
            add,
            left.values.as_ptr(),
            left_column,
            left_row,
            right.values.as_ptr(),
            right_column,
            right_row,
            1.0,
            scale,
            false,
            false,
            false,
            cores.parallelism(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

    #[test]
    fn blocks_and_turned_views_read_the_same_elements() {
        let a = Matrix::new(&A, 3);
        assert_eq!(product(a, a.transposed(), Cores::One), [14.0, 32.0, 32.0, 77.0]);
        let corner = a.block(1..2, 1..3);
        assert_eq!(product(corner, corner.transposed(), Cores::All), [61.0]);
        assert_eq!(product(corner.transposed(), corner, Cores::One), [25.0, 30.0, 30.0, 36.0]);
    }

    #[test]
    fn parts_of_a_matrix_are_written_apart() {
        let mut to = [1.0; 6];
        let (above, below) = MatrixMut::new(&mut to, 3).split_rows(1);
        let (left, right) = below.split_columns(1);
        let one = Matrix::new(&A[..1], 1);
        write_product(above, 2.0, one, Matrix::new(&A[..3], 3), Cores::One);
        add_product(left, 10.0, one, one, Cores::One);
        write_product(right, 1.0, one, Matrix::new(&A[4..], 2), Cores::One);
        assert_eq!(to, [2.0, 4.0, 6.0, 11.0, 5.0, 6.0]);
    }

    /// `product` hands out memory that nothing else has written.
    #[test]
    fn a_product_over_nothing_is_zero() {
        let a = Matrix::new(&A, 3).block(0..2, 0..0);
        assert_eq!(product(a, a.transposed(), Cores::All), [0.0; 4]);
    }

    #[test]
    #[should_panic(expected = "inner sides of a product")]
    fn shapes_that_do_not_fit_are_refused() {
        let _ = product(Matrix::new(&A, 3), Matrix::new(&A, 3), Cores::One);
    }

    #[test]
    #[should_panic(expected = "a block of (2, 3)")]
    fn a_block_beyond_the_edge_is_refused() {
        let _ = Matrix::new(&A, 3).block(0..3, 0..1);
    }
}
