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
    nn::{LayerNorm, Linear},
    tensor::{
        Device, Tensor,
        activation::{gelu, softmax},
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
        match (self, &layer.bias) {
            (Self::Kernels { .. }, Some(bias)) => Tensor::from_dispatch(Dispatch::linear(
                x.into_dispatch(),
                layer.weight.val().into_dispatch(),
                bias.val().into_dispatch(),
            )),
            (Self::Kernels { .. }, None) => layer.forward(x),
            (Self::Burn(grid), _) => burn_linear(grid.precision, layer, x),
        }
    }

    /// GELU of a linear layer.
    #[must_use]
    pub fn linear_gelu(&self, layer: &Linear, x: Tensor<2>) -> Tensor<2> {
        match (self, &layer.bias) {
            (Self::Kernels { .. }, Some(bias)) => Tensor::from_dispatch(Dispatch::linear_gelu(
                x.into_dispatch(),
                layer.weight.val().into_dispatch(),
                bias.val().into_dispatch(),
            )),
            _ => gelu(self.linear(layer, x)),
        }
    }

    /// norm(x + residual), in f32
    #[must_use]
    pub fn add_norm(&self, norm: &LayerNorm, x: Tensor<2>, residual: Tensor<2>) -> Tensor<2> {
        match (self, &norm.beta) {
            (Self::Kernels { epsilon, .. }, Some(beta)) => Tensor::from_dispatch(Dispatch::add_norm(
                x.into_dispatch(),
                residual.into_dispatch(),
                norm.gamma.val().into_dispatch(),
                beta.val().into_dispatch(),
                *epsilon,
            )),
            _ => norm.forward(self.wide(x) + self.wide(residual)),
        }
    }

    /// Multi-head attention (Vaswani et al. 2017, eq. 1) of query, key and value layers within each window:
    /// `[tokens, hidden]` -> `[tokens, heads * head_dim]`
    #[must_use]
    pub fn attention(&self, [query, key, value]: [&Linear; 3], heads: usize, x: &Tensor<2>) -> Tensor<2> {
        match (self, &query.bias, &key.bias, &value.bias) {
            (Self::Kernels { starts, .. }, Some(query_bias), Some(key_bias), Some(value_bias)) => {
                let rows = Dispatch::linear_three(
                    x.clone().into_dispatch(),
                    query.weight.val().into_dispatch(),
                    query_bias.val().into_dispatch(),
                    key.weight.val().into_dispatch(),
                    key_bias.val().into_dispatch(),
                    value.weight.val().into_dispatch(),
                    value_bias.val().into_dispatch(),
                );
                Tensor::from_dispatch(Dispatch::attend(rows, starts.clone(), heads))
            }
            (Self::Kernels { .. }, ..) => unreachable!("every layer of an encoder has a bias"),
            (Self::Burn(grid), ..) => {
                let x = grid.precision.narrow(x.clone());
                padded(
                    [query, key, value].map(|layer| burn_linear(grid.precision, layer, x.clone())),
                    heads,
                    grid,
                )
            }
        }
    }
}

/// A linear layer of f32 weights, computed in `precision`: casts let gradients through, so the weights' own are f32.
fn burn_linear(precision: Precision, layer: &Linear, x: Tensor<2>) -> Tensor<2> {
    let bias = layer.bias.as_ref().map(|bias| precision.narrow(bias.val()));
    linear(precision.narrow(x), precision.narrow(layer.weight.val()), bias)
}

/// Attention on a rectangle `[windows, length]`, whose padding is masked.
fn padded(rows: [Tensor<2>; 3], heads: usize, grid: &Grid) -> Tensor<2> {
    let [query, key, value] = rows.map(|rows| {
        let [_, width] = rows.dims();
        let rows = match &grid.ragged {
            Some(ragged) => rows.select(0, ragged.gather.clone()),
            None => rows,
        };
        rows.reshape([grid.windows, grid.length, heads, width / heads]).swap_dims(1, 2)
    });
    let [windows, count, length, width] = query.dims();
    let mask =
        grid.ragged.as_ref().map(|ragged| ragged.mask.clone().expand([windows, count, length, length]));
    let context = if grid.fused {
        // A mask and no bias: with one, CubeCL takes the long way.
        attention(query, key, value, mask, None, AttentionModuleOptions::default())
    } else {
        #[expect(clippy::cast_precision_loss, reason = "a head is some tens wide")]
        let scale = 1.0 / (width as f64).sqrt();
        let mut scores = grid.precision.wide(query.matmul(key.swap_dims(2, 3))) * scale;
        if let Some(mask) = mask {
            scores = scores.mask_fill(mask, f32::NEG_INFINITY);
        }
        grid.precision.narrow(softmax(scores, 3)).matmul(value)
    };
    let context = context.swap_dims(1, 2).reshape([windows * length, count * width]);
    match &grid.ragged {
        Some(ragged) => context.select(0, ragged.scatter.clone()),
        None => context,
    }
}
