//! `AdamW` with the groups of ML.md §3: no decay on biases, `LayerNorm` and CRF; faster head, fastest CRF.

use burn::{
    module::{Module, ModuleVisitor, Param, ParamGroup},
    optim::{AdamW, AdamWConfig, AdamWState, GradientsParams, LearningRate, ModuleOptimizer, Optimizer},
    tensor::{Device, Tensor},
};

/// Learning-rate factors and decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Groups {
    /// Times the learning rate for the classifier.
    pub head: f64,
    /// Times the learning rate for the CRF.
    pub crf: f64,
    /// Decoupled weight decay, for matrices alone.
    pub weight_decay: f64,
}

/// `AdamW` at a multiple of the scheduled rate: Burn's schedulers know one rate a step.
#[derive(Clone)]
struct Scaled {
    inner: AdamW,
    factor: f64,
}

impl Scaled {
    fn new(weight_decay: f64, factor: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a decay of about 0.01")]
        let config = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(weight_decay as f32);
        Self { inner: config.build(), factor }
    }
}

impl Optimizer for Scaled {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        self.inner.step(rate * self.factor, tensor, gradient, state)
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        AdamW::to_device(state, device)
    }
}

/// The optimiser of a network.
#[must_use]
pub fn adamw(groups: Groups) -> ModuleOptimizer {
    // The last group that matches a path wins.
    ModuleOptimizer::from(Scaled::new(groups.weight_decay, 1.0))
        .with_group(
            ParamGroup::from_any_predicates(vec!["bias", "gamma", "beta"]),
            Scaled::new(0.0, 1.0),
            None,
        )
        .with_group(ParamGroup::from_path("head.weight"), Scaled::new(groups.weight_decay, groups.head), None)
        .with_group(ParamGroup::from_path("head.bias"), Scaled::new(0.0, groups.head), None)
        .with_group(ParamGroup::from_predicate("crf"), Scaled::new(0.0, groups.crf), None)
}

/// Scales all gradients so that their global L2 norm is at most `limit` (0 = no limit); gives the norm before.
pub fn clip<M: Module>(module: &M, gradients: &mut GradientsParams, limit: f64) -> f64 {
    let mut squares = Squares { gradients, sum: None };
    module.visit(&mut squares);
    let norm = squares.sum.map_or(0.0, |sum| f64::from(sum.into_scalar::<f32>())).sqrt();
    if limit > 0.0 && norm > limit {
        // PyTorch's `clip_grad_norm_` adds the same 1e-6.
        module.visit(&mut Scale { gradients, factor: limit / (norm + 1e-6) });
    }
    norm
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let square = gradient.powi_scalar(2).sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, gradient.mul_scalar(self.factor));
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::{
        nn::{Linear, LinearConfig},
        tensor::Device,
    };

    use super::*;

    fn gradients(layer: &Linear, factor: f32) -> GradientsParams {
        let x = Tensor::<2>::ones([3, 4], &Device::flex().autodiff());
        let loss = layer.forward(x).sum().mul_scalar(factor);
        GradientsParams::from_grads(loss.backward(), layer)
    }

    /// sum over a 4 x 2 layer of 3 rows of ones: every gradient is 3, so the norm is 3 sqrt(8 + 2).
    #[test]
    fn the_norm_is_over_all_parameters_and_clipping_brings_it_to_the_limit() {
        let layer = LinearConfig::new(4, 2).init(&Device::flex()).train();
        let mut found = gradients(&layer, 1.0);
        let norm = clip(&layer, &mut found, 1.0);
        assert!((norm - 3.0 * 10.0_f64.sqrt()).abs() < 1e-4, "{norm}");
        assert!((clip(&layer, &mut found, 0.0) - 1.0).abs() < 1e-4);
    }

    #[test]
    fn a_norm_below_the_limit_stays() {
        let layer = LinearConfig::new(4, 2).init(&Device::flex()).train();
        let mut found = gradients(&layer, 0.01);
        let before = clip(&layer, &mut found, 1.0);
        assert!((clip(&layer, &mut found, 1.0) - before).abs() < 1e-9);
    }
}
