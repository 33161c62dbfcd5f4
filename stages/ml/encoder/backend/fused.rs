//! The encoder's operations, each in two forms with the same result: fused on the CPU (the `kernels` crate, with a backward
//! pass written by hand), and in Burn's own operations, which are the reference and run on every other backend.
//!
//! Which of them runs is decided once a batch, by [`Ops`]; nothing else asks where it is.

mod autodiff;
mod flex;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, sync::Arc};

use burn::{
    backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor},
    module::Param,
    nn::{LayerNorm, Linear},
    tensor::{
        Device, Tensor,
        activation::gelu,
        module::{attention, linear},
        ops::AttentionModuleOptions,
    },
};

use kernels::adamw::AdamW;

use super::{grid::Grid, precision::Precision, prepacked::PrepackedLayer};

/// How the operations on a batch run.
#[derive(Clone, Debug)]
pub enum Ops {
    /// By the kernels, without padding.
    Kernels {
        /// `[windows + 1]` first row of each window.
        starts: Arc<[u32]>,
        /// Under the root of each `LayerNorm`, which does not show its own.
        epsilon: f32,
    },
    /// By Burn's operations; attention pads.
    Burn(Box<Grid>),
}

/// Whether the kernels run on a device.
#[must_use]
pub fn runs_on(device: &Device) -> bool {
    !pretended() && device.clone().inner() == Device::flex()
}

/// Whether a test has the CPU pass for another backend.
fn pretended() -> bool {
    #[cfg(any(test, feature = "testing"))]
    return crate::testing::is_elsewhere();
    #[cfg(not(any(test, feature = "testing")))]
    false
}

/// What the kernels offer to Burn. Called for Flex alone, plain or under autodiff.
#[backend_extension(Flex, Autodiff)]
pub trait Kernels: Backend {
    /// x W + b
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;

    /// GELU of x W + b
    fn linear_gelu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// Three linear layers side by side.
    fn linear_three(
        x: FloatTensor<Self>,
        weight_1: FloatTensor<Self>,
        bias_1: FloatTensor<Self>,
        weight_2: FloatTensor<Self>,
        bias_2: FloatTensor<Self>,
        weight_3: FloatTensor<Self>,
        bias_3: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// `LayerNorm` of x + residual.
    fn add_norm(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    /// Query, key and value side by side -> the heads' contexts.
    fn attend(rows: FloatTensor<Self>, starts: Arc<[u32]>, heads: usize) -> FloatTensor<Self>;
}

/// What the kernels offer to the optimiser, which works outside autodiff.
#[backend_extension(Flex)]
pub trait Steps: Backend {
    /// A parameter and its moments after a step, in their own memory when nothing else holds it.
    fn adamw(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamW,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Σ x², `[1]`.
    fn squares(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// A parameter and its first and second moment after a step. All must be where [`runs_on`] says so.
pub fn adamw<const D: usize>(
    step: AdamW,
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    [first, second]: [Tensor<D>; 2],
) -> (Tensor<D>, [Tensor<D>; 2]) {
    let (parameter, first, second) = Dispatch::adamw(
        parameter.into_dispatch(),
        gradient.into_dispatch(),
        first.into_dispatch(),
        second.into_dispatch(),
        step,
    );
    (Tensor::from_dispatch(parameter), [first, second].map(Tensor::from_dispatch))
}

/// Σ x², `[1]`; on every backend.
#[must_use]
pub fn squares<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    if runs_on(&x.device()) {
        Tensor::from_dispatch(Dispatch::squares(x.into_dispatch()))
    } else {
        x.powi_scalar(2).sum()
    }
}

/// What the kernels offer to inference alone.
#[backend_extension(Flex)]
pub trait Inference: Backend {
    /// A prepacked layer.
    fn prepacked(x: FloatTensor<Self>, layer: Arc<PrepackedLayer>, starts: Arc<[u32]>) -> FloatTensor<Self>;
}

/// A prepacked layer: `[tokens, hidden]` -> `[tokens, hidden]`. `x` must be where [`runs_on`] says so, and not under autodiff.
#[must_use]
pub fn prepacked(x: Tensor<2>, layer: &Arc<PrepackedLayer>, starts: &Arc<[u32]>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::prepacked(x.into_dispatch(), layer.clone(), starts.clone()))
}

impl Ops {
    /// The same operations for a network that computes in `precision`, which the kernels do in f32 alone.
    #[must_use]
    pub fn at(&self, precision: Precision, device: &Device) -> Cow<'_, Self> {
        match (self, precision) {
            (Self::Kernels { .. }, Precision::F32) => Cow::Borrowed(self),
            (Self::Kernels { starts, .. }, _) => {
                Cow::Owned(Self::Burn(Box::new(Grid::new(starts, precision, device))))
            }
            (Self::Burn(grid), _) if grid.precision == precision => Cow::Borrowed(self),
            (Self::Burn(grid), _) => Cow::Owned(Self::Burn(Box::new(grid.at(precision, device)))),
        }
    }

    /// In f32, for whoever reads what these give.
    #[must_use]
    pub fn wide<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Kernels { .. } => x,
            Self::Burn(grid) => grid.precision.wide(x),
        }
    }

    /// `[tokens, in]` -> `[tokens, out]`
    #[must_use]
    pub fn linear(&self, layer: &Linear, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Kernels { .. } => Tensor::from_dispatch(Dispatch::linear(
                x.into_dispatch(),
                layer.weight.val().into_dispatch(),
                bias(layer).into_dispatch(),
            )),
            Self::Burn(grid) => burn_linear(grid.precision, layer, x),
        }
    }

    /// GELU of a linear layer.
    #[must_use]
    pub fn linear_gelu(&self, layer: &Linear, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Kernels { .. } => Tensor::from_dispatch(Dispatch::linear_gelu(
                x.into_dispatch(),
                layer.weight.val().into_dispatch(),
                bias(layer).into_dispatch(),
            )),
            Self::Burn(_) => gelu(self.linear(layer, x)),
        }
    }

    /// norm(x + residual), in f32
    #[must_use]
    pub fn add_norm(&self, norm: &LayerNorm, x: Tensor<2>, residual: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Kernels { epsilon, .. } => {
                let gamma = norm.gamma.val();
                let none = || Tensor::zeros(gamma.dims(), &gamma.device());
                let beta = norm.beta.as_ref().map_or_else(none, Param::val);
                Tensor::from_dispatch(Dispatch::add_norm(
                    x.into_dispatch(),
                    residual.into_dispatch(),
                    gamma.clone().into_dispatch(),
                    beta.into_dispatch(),
                    *epsilon,
                ))
            }
            Self::Burn(_) => {
                let sum = self.wide(x) + self.wide(residual);
                if sum.device().is_autodiff() {
                    return norm.forward(sum);
                }
                // As in the kernels: a variance beyond f32 must not divide by infinity, which makes an overflow read as a row of
                // zeros. Training is spared the reduction: what it makes is read here, on dev.
                let squares = (sum.clone() * sum.clone()).sum_dim(1);
                norm.forward(sum) + squares * 0.0
            }
        }
    }

    /// norm(x), in f32
    #[must_use]
    pub fn norm(&self, norm: &LayerNorm, x: Tensor<2>) -> Tensor<2> {
        let nothing = x.zeros_like();
        self.add_norm(norm, x, nothing)
    }

    /// Multi-head attention (Vaswani et al. 2017, eq. 1) of query, key and value layers within each window:
    /// `[tokens, hidden]` -> `[tokens, heads * head_dim]`
    #[must_use]
    pub fn attention(&self, [query, key, value]: [&Linear; 3], heads: usize, x: &Tensor<2>) -> Tensor<2> {
        match self {
            Self::Kernels { starts, .. } => {
                let rows = Dispatch::linear_three(
                    x.clone().into_dispatch(),
                    query.weight.val().into_dispatch(),
                    bias(query).into_dispatch(),
                    key.weight.val().into_dispatch(),
                    bias(key).into_dispatch(),
                    value.weight.val().into_dispatch(),
                    bias(value).into_dispatch(),
                );
                Tensor::from_dispatch(Dispatch::attend(rows, starts.clone(), heads))
            }
            Self::Burn(grid) => {
                let x = grid.precision.narrow(x.clone());
                let rows = [query, key, value].map(|layer| burn_linear(grid.precision, layer, x.clone()));
                padded(rows, heads, grid, None)
            }
        }
    }

    /// Attention of queries, keys and values `[tokens, heads * head_dim]`, each to those of its window within `reach` tokens.
    #[must_use]
    pub fn attend(&self, rows: [Tensor<2>; 3], heads: usize, reach: Option<usize>) -> Tensor<2> {
        let longest = self.longest();
        let reach = reach.filter(|reach| longest > reach + 1);
        if let (Self::Kernels { starts, .. }, None) = (self, reach) {
            let rows = Tensor::cat(rows.to_vec(), 1).into_dispatch();
            return Tensor::from_dispatch(Dispatch::attend(rows, starts.clone(), heads));
        }
        let grid = self.grid(&rows[0].device());
        padded(rows.map(|rows| grid.precision.narrow(rows)), heads, &grid, reach)
    }

    /// The windows as a rectangle.
    #[must_use]
    pub fn grid(&self, device: &Device) -> Cow<'_, Grid> {
        match self {
            Self::Kernels { starts, .. } => Cow::Owned(Grid::new(starts, Precision::F32, device)),
            Self::Burn(grid) => Cow::Borrowed(grid),
        }
    }

    /// Tokens of the longest window.
    fn longest(&self) -> usize {
        match self {
            Self::Kernels { starts, .. } => {
                starts.windows(2).map(|window| window[1] - window[0]).max().unwrap_or(0) as usize
            }
            Self::Burn(grid) => grid.length,
        }
    }
}

/// A linear layer's bias `[out]`; zeros where it has none.
fn bias(layer: &Linear) -> Tensor<1> {
    let weight = layer.weight.val();
    let none = || Tensor::zeros([weight.dims()[1]], &weight.device());
    layer.bias.as_ref().map_or_else(none, Param::val)
}

/// A linear layer of f32 weights, computed in `precision`: casts let gradients through, so the weights' own are f32.
fn burn_linear(precision: Precision, layer: &Linear, x: Tensor<2>) -> Tensor<2> {
    let bias = layer.bias.as_ref().map(|bias| precision.narrow(bias.val()));
    linear(precision.narrow(x), precision.narrow(layer.weight.val()), bias)
}

/// Attention on a rectangle `[windows, length]`, whose padding is masked, as is what is out of reach.
fn padded(rows: [Tensor<2>; 3], heads: usize, grid: &Grid, reach: Option<usize>) -> Tensor<2> {
    let [query, key, value] = rows.map(|rows| grid.cells(rows, heads));
    let [_, _, _, width] = query.dims();
    let mask = grid.mask(heads, reach, &query.device());
    let context = if grid.fused {
        // A mask and no bias: with one, CubeCL takes the long way.
        attention(query, key, value, mask, None, AttentionModuleOptions::default())
    } else {
        #[expect(clippy::cast_precision_loss, reason = "a head is some tens wide")]
        let scale = 1.0 / (width as f64).sqrt();
        let scores = grid.precision.wide(query.matmul(key.swap_dims(2, 3))) * scale;
        grid.weigh(scores, value, mask)
    };
    grid.rows(context)
}
