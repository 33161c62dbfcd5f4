//! The kernels under autodiff: what a forward pass keeps, and the backward pass. Only gradients that someone waits for are
//! computed: a frozen network's weights cost nothing.

use std::sync::Arc;

use burn::backend::{
    Autodiff, Flex,
    autodiff::{
        NodeId,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};
use burn_flex::FlexTensor;
use kernels::{
    gelu::{gelu_backward, gelu_of},
    linear,
    norm::{Norm, Statistics},
};

use super::{
    Kernels,
    flex::{attention, dims, matrix, project, tensor, whole},
};

impl<C: CheckpointStrategy> Kernels for Autodiff<Flex, C> {
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        let prepared = LinearStep.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound();
        let [x, weight, bias] = [x, weight, bias].map(|tensor| whole(tensor.into_primitive()));
        let y = project(&x, &[(&weight, &bias)]);
        match prepared.stateful() {
            OpsKind::Tracked(step) => step.finish(Layers { x, weights: [weight] }, y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn linear_gelu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let prepared = GeluStep.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound();
        let [x, weight, bias] = [x, weight, bias].map(|tensor| whole(tensor.into_primitive()));
        match prepared.stateful() {
            OpsKind::Tracked(step) => {
                let before = project(&x, &[(&weight, &bias)]);
                let y = tensor(gelu_of(before.storage()), &dims(&before));
                step.finish((Layers { x, weights: [weight] }, before), y)
            }
            OpsKind::UnTracked(step) => step.finish(Flex::linear_gelu(x, weight, bias)),
        }
    }

    fn linear_three(
        x: FloatTensor<Self>,
        weight_1: FloatTensor<Self>,
        bias_1: FloatTensor<Self>,
        weight_2: FloatTensor<Self>,
        bias_2: FloatTensor<Self>,
        weight_3: FloatTensor<Self>,
        bias_3: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let weights = [weight_1, weight_2, weight_3];
        let biases = [bias_1, bias_2, bias_3];
        let [w1, w2, w3] = [weights[0].node(), weights[1].node(), weights[2].node()];
        let [b1, b2, b3] = [biases[0].node(), biases[1].node(), biases[2].node()];
        let prepared = ThreeStep.prepare::<C>([x.node(), w1, w2, w3, b1, b2, b3]).compute_bound();
        let x = whole(x.into_primitive());
        let weights = weights.map(|tensor| whole(tensor.into_primitive()));
        let biases = biases.map(|tensor| whole(tensor.into_primitive()));
        let layers: Vec<_> = weights.iter().zip(&biases).collect();
        let y = project(&x, &layers);
        match prepared.stateful() {
            OpsKind::Tracked(step) => step.finish(Layers { x, weights }, y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn add_norm(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), residual.node(), gamma.node(), beta.node()];
        let prepared = NormStep.prepare::<C>(nodes).compute_bound();
        let [mut x, residual, gamma, beta] =
            [x, residual, gamma, beta].map(|tensor| whole(tensor.into_primitive()));
        match prepared.stateful() {
            OpsKind::Tracked(step) => {
                let norm = Norm { gamma: gamma.storage(), beta: beta.storage(), epsilon };
                let (y, statistics) = norm.forward_kept(x.storage_mut(), Some(residual.storage()));
                let y = tensor(y, &dims(&x));
                step.finish(Normed { sums: x, gamma, beta, statistics: Arc::new(statistics), epsilon }, y)
            }
            OpsKind::UnTracked(step) => step.finish(Flex::add_norm(x, residual, gamma, beta, epsilon)),
        }
    }

    fn attend(rows: FloatTensor<Self>, starts: Arc<[u32]>, heads: usize) -> FloatTensor<Self> {
        let prepared = AttentionStep.prepare::<C>([rows.node()]).compute_bound();
        let rows = whole(rows.into_primitive());
        let context = Flex::attend(rows.clone(), starts.clone(), heads);
        match prepared.stateful() {
            OpsKind::Tracked(step) => step.finish(Attended { rows, starts, heads }, context),
            OpsKind::UnTracked(step) => step.finish(context),
        }
    }
}

/// What linear layers side by side keep.
#[derive(Clone, Debug)]
struct Layers<const N: usize> {
    x: FlexTensor,
    weights: [FlexTensor; N],
}

impl<const N: usize> Layers<N> {
    /// Gradients of x, of the weights and of the biases, each where it is wanted.
    fn backward(&self, gradient: &FlexTensor, wanted: (bool, [bool; N], [bool; N])) -> LayerGradients<N> {
        let (by_x, by_weights, by_biases) = wanted;
        let [tokens, columns] = dims(gradient);
        let outs = self.weights.each_ref().map(|weight| dims(weight)[1]);
        let mut first = 0;
        let spans = outs.map(|out| {
            first += out;
            first - out..first
        });
        let rows = matrix(gradient);
        let sums = by_biases.contains(&true).then(|| linear::by_bias(gradient.storage(), columns));
        LayerGradients {
            x: by_x.then(|| {
                let weights = self.weights.each_ref().map(matrix);
                tensor(linear::by_input(rows, &weights), &dims(&self.x))
            }),
            weights: std::array::from_fn(|i| {
                by_weights[i].then(|| {
                    let own = rows.block(0..tokens, spans[i].clone());
                    tensor(linear::by_weight(matrix(&self.x), own), &dims(&self.weights[i]))
                })
            }),
            biases: std::array::from_fn(|i| {
                let sums = sums.as_ref().filter(|_| by_biases[i])?;
                Some(tensor(sums[spans[i].clone()].to_vec(), &[outs[i]]))
            }),
        }
    }
}

struct LayerGradients<const N: usize> {
    x: Option<FlexTensor>,
    weights: [Option<FlexTensor>; N],
    biases: [Option<FlexTensor>; N],
}

/// What `LayerNorm` keeps.
#[derive(Clone, Debug)]
struct Normed {
    sums: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    statistics: Arc<Statistics>,
    epsilon: f32,
}

/// What attention keeps.
#[derive(Clone, Debug)]
struct Attended {
    rows: FlexTensor,
    starts: Arc<[u32]>,
    heads: usize,
}

#[derive(Debug)]
struct LinearStep;

impl Backward<Flex, 3> for LinearStep {
    type State = Layers<1>;

    fn backward(self, ops: Ops<Layers<1>, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = whole(grads.consume::<Flex>(&ops.node));
        linear_backward(ops.parents.map(|parent| parent.map(|node| node.id)), &ops.state, &gradient, grads);
    }
}

#[derive(Debug)]
struct GeluStep;

impl Backward<Flex, 3> for GeluStep {
    type State = (Layers<1>, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut gradient = whole(grads.consume::<Flex>(&ops.node));
        let (layers, before) = ops.state;
        gelu_backward(before.storage(), gradient.storage_mut());
        linear_backward(ops.parents.map(|parent| parent.map(|node| node.id)), &layers, &gradient, grads);
    }
}

fn linear_backward(
    parents: [Option<NodeId>; 3],
    layers: &Layers<1>,
    gradient: &FlexTensor,
    grads: &mut Gradients,
) {
    let [x, weight, bias] = parents;
    let wanted = (x.is_some(), [weight.is_some()], [bias.is_some()]);
    let LayerGradients { x: by_x, weights: [by_weight], biases: [by_bias] } =
        layers.backward(gradient, wanted);
    register(grads, [(x, by_x), (weight, by_weight), (bias, by_bias)]);
}

#[derive(Debug)]
struct ThreeStep;

impl Backward<Flex, 7> for ThreeStep {
    type State = Layers<3>;

    fn backward(self, ops: Ops<Layers<3>, 7>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = whole(grads.consume::<Flex>(&ops.node));
        let [x, w1, w2, w3, b1, b2, b3] = ops.parents.map(|parent| parent.map(|node| node.id));
        let (weights, biases) = ([w1, w2, w3], [b1, b2, b3]);
        let wanted =
            (x.is_some(), weights.each_ref().map(Option::is_some), biases.each_ref().map(Option::is_some));
        let found = ops.state.backward(&gradient, wanted);
        register(grads, [(x, found.x)]);
        register(grads, weights.into_iter().zip(found.weights));
        register(grads, biases.into_iter().zip(found.biases));
    }
}

#[derive(Debug)]
struct NormStep;

impl Backward<Flex, 4> for NormStep {
    type State = Normed;

    fn backward(self, ops: Ops<Normed, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut gradient = whole(grads.consume::<Flex>(&ops.node));
        let Normed { sums, gamma, beta, statistics, epsilon } = ops.state;
        let norm = Norm { gamma: gamma.storage(), beta: beta.storage(), epsilon };
        let found = norm.backward(sums.storage(), &statistics, gradient.storage_mut());
        let [x, residual, to_gamma, to_beta] = ops.parents.map(|parent| parent.map(|node| node.id));
        let width = found.gamma.len();
        register(
            grads,
            [
                (residual, Some(gradient.clone())),
                (x, Some(gradient)),
                (to_gamma, Some(tensor(found.gamma, &[width]))),
                (to_beta, Some(tensor(found.beta, &[width]))),
            ],
        );
    }
}

#[derive(Debug)]
struct AttentionStep;

impl Backward<Flex, 1> for AttentionStep {
    type State = Attended;

    fn backward(self, ops: Ops<Attended, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = whole(grads.consume::<Flex>(&ops.node));
        let Attended { rows, starts, heads } = ops.state;
        let shape = dims(&rows);
        let by_rows = attention(&starts, heads, shape[1]).backward(rows.storage(), gradient.storage());
        let [parent] = ops.parents.map(|parent| parent.map(|node| node.id));
        register(grads, [(parent, Some(tensor(by_rows, &shape)))]);
    }
}

/// Hands each gradient to the node that waits for it.
fn register(grads: &mut Gradients, found: impl IntoIterator<Item = (Option<NodeId>, Option<FlexTensor>)>) {
    for (node, gradient) in found {
        if let (Some(node), Some(gradient)) = (node, gradient) {
            grads.register::<Flex>(node, gradient);
        }
    }
}
