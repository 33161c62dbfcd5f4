//! The kernels on Flex's tensors, without gradients.

use std::sync::Arc;

use burn::{
    backend::{DType, Flex},
    tensor::{Bytes, Shape},
};
use burn_flex::{FlexTensor, Layout};
use kernels::{
    adamw::{self, AdamW},
    attention::Attention,
    gelu::gelu,
    linear::{self, Linear},
    matrix::Matrix,
    norm::Norm,
};

use super::{Inference, Kernels, Steps};
use crate::backend::prepacked::PrepackedLayer;

impl Kernels for Flex {
    fn linear(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let [x, weight, bias] = [x, weight, bias].map(whole);
        project(&x, &[(&weight, &bias)])
    }

    fn linear_gelu(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let mut y = Self::linear(x, weight, bias);
        gelu(y.storage_mut());
        y
    }

    fn linear_three(
        x: FlexTensor,
        weight_1: FlexTensor,
        bias_1: FlexTensor,
        weight_2: FlexTensor,
        bias_2: FlexTensor,
        weight_3: FlexTensor,
        bias_3: FlexTensor,
    ) -> FlexTensor {
        let x = whole(x);
        let [weight_1, weight_2, weight_3] = [weight_1, weight_2, weight_3].map(whole);
        let [bias_1, bias_2, bias_3] = [bias_1, bias_2, bias_3].map(whole);
        project(&x, &[(&weight_1, &bias_1), (&weight_2, &bias_2), (&weight_3, &bias_3)])
    }

    fn add_norm(
        x: FlexTensor,
        residual: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f32,
    ) -> FlexTensor {
        let [mut x, residual, gamma, beta] = [x, residual, gamma, beta].map(whole);
        Norm { gamma: gamma.storage(), beta: beta.storage(), epsilon }
            .forward(x.storage_mut(), Some(residual.storage()));
        x
    }

    fn attend(rows: FlexTensor, starts: Arc<[u32]>, heads: usize) -> FlexTensor {
        let rows = whole(rows);
        let [tokens, columns] = dims(&rows);
        let context = attention(&starts, heads, columns).forward(rows.storage());
        tensor(context, &[tokens, columns / 3])
    }
}

impl Steps for Flex {
    fn adamw(
        parameter: FlexTensor,
        gradient: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        step: AdamW,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [mut parameter, gradient, mut first, mut second] =
            [parameter, gradient, first, second].map(whole);
        step.step(parameter.storage_mut(), gradient.storage(), first.storage_mut(), second.storage_mut());
        (parameter, first, second)
    }

    #[expect(clippy::cast_possible_truncation, reason = "a tensor holds f32")]
    fn squares(x: FlexTensor) -> FlexTensor {
        tensor(vec![adamw::squares(whole(x).storage()) as f32], &[1])
    }
}

impl Inference for Flex {
    fn prepacked(x: FlexTensor, layer: Arc<PrepackedLayer>, starts: Arc<[u32]>) -> FlexTensor {
        let mut x = whole(x);
        layer.forward(x.storage_mut(), &starts);
        x
    }
}

/// Several linear layers side by side, of tensors that are [`whole`].
pub(super) fn project(x: &FlexTensor, layers: &[(&FlexTensor, &FlexTensor)]) -> FlexTensor {
    let [tokens, _] = dims(x);
    let layers: Vec<_> =
        layers.iter().map(|(weight, bias)| Linear { weight: matrix(weight), bias: bias.storage() }).collect();
    let columns = layers.iter().map(|layer| layer.bias.len()).sum();
    tensor(linear::forward(matrix(x), &layers), &[tokens, columns])
}

/// What `columns` of query, key and value side by side are to attention.
pub(super) fn attention(starts: &[u32], heads: usize, columns: usize) -> Attention<'_> {
    Attention { starts, heads, width: columns / 3 / heads.max(1) }
}

/// The tensor with its elements in order and nothing else in its memory; itself where that is so already.
pub(super) fn whole(tensor: FlexTensor) -> FlexTensor {
    let elements: usize = tensor.layout().shape().iter().product();
    let in_order = tensor.is_contiguous() && tensor.layout().start_offset() == 0;
    if in_order && tensor.bytes().len() == elements * size_of::<f32>() {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

pub(super) fn matrix(tensor: &FlexTensor) -> Matrix<'_> {
    let [_, columns] = dims(tensor);
    Matrix::new(tensor.storage(), columns)
}

pub(super) fn dims(tensor: &FlexTensor) -> [usize; 2] {
    let shape = tensor.layout().shape();
    [shape[0], shape[1]]
}

pub(super) fn tensor(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    let layout = Layout::contiguous(Shape::from(shape.to_vec()));
    FlexTensor::new(Bytes::from_elems(values), layout, DType::F32)
}
