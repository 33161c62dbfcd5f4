//! `AdamW` with parameter groups (docs/math.md, "Optimiser"): no decay on biases, `LayerNorm` and CRF; faster head,
//! fastest CRF.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use burn::{
    module::{Module, ModuleVisitor, Param, ParamGroup},
    optim::{
        AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, GradientsParams, LearningRate,
        ModuleOptimizer, Optimizer,
    },
    store::RecordError,
    tensor::{Device, Tensor},
};
use kernels::adamw;

use encoder::backend::{fused, readback::host};

/// Learning-rate factors and decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Groups {
    /// Times the learning rate for the classifier.
    pub head: f64,
    /// Times the learning rate for the CRF.
    pub crf: f64,
    /// Times the learning rate for each layer down from the top one, at most 1; the embeddings are one below the lowest.
    pub layer: f64,
    /// Decoupled weight decay, for matrices alone.
    pub weight_decay: f64,
}

/// In the names of what does not decay.
const BARE: [&str; 3] = ["bias", "gamma", "beta"];

/// Of the moments, and under the root: as in `PyTorch`.
const BETAS: [f32; 2] = [0.9, 0.999];
const EPSILON: f32 = 1e-8;

/// `AdamW` at a multiple of the scheduled rate (Burn's schedulers know one rate a step), of gradients times a scale that all
/// groups share. In place on the CPU; elsewhere Burn's.
#[derive(Clone)]
struct Scaled {
    stock: AdamW,
    decay: f32,
    factor: f64,
    scale: Arc<Scale>,
}

/// What every gradient is multiplied by in the step under way: a number on the CPU, elsewhere a tensor `[1]`, for which no
/// device waits. Under a lock, because optimisers must be `Sync`.
#[derive(Debug)]
struct Scale(Mutex<Clip>);

#[derive(Clone, Debug)]
enum Clip {
    Host(f32),
    Device(Box<Tensor<1>>),
}

impl Scale {
    fn get(&self) -> Clip {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, clip: Clip) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = clip;
    }
}

impl Scaled {
    fn new(weight_decay: f64, factor: f64, scale: &Arc<Scale>) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a decay of about 0.01")]
        let decay = weight_decay as f32;
        let stock = AdamWConfig::new()
            .with_beta_1(BETAS[0])
            .with_beta_2(BETAS[1])
            .with_epsilon(EPSILON)
            .with_weight_decay(decay)
            .build();
        Self { stock, decay, factor, scale: scale.clone() }
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
        let rate = rate * self.factor;
        let scale = match self.scale.get() {
            Clip::Host(scale) => scale,
            Clip::Device(scale) => {
                let gradient = gradient * scale.reshape([1; D]);
                return self.stock.step(rate, tensor, gradient, state);
            }
        };
        let (time, moments) = match state.map(|state| state.momentum) {
            Some(AdaptiveMomentumState { time, moment_1, moment_2, .. }) => (time, [moment_1, moment_2]),
            None => (0, [gradient.zeros_like(), gradient.zeros_like()]),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_possible_wrap,
            reason = "a rate and a count of steps"
        )]
        let step = adamw::AdamW {
            rate: rate as f32,
            beta_1: BETAS[0],
            beta_2: BETAS[1],
            epsilon: EPSILON,
            decay: self.decay,
            time: time as i32 + 1,
            scale,
        };
        let (tensor, [moment_1, moment_2]) = fused::adamw(step, tensor, gradient, moments);
        let momentum = AdaptiveMomentumState { time: time + 1, moment_1, moment_2, max_moment_2: None };
        (tensor, Some(AdamWState { momentum }))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        AdamW::to_device(state, device)
    }
}

/// The optimiser of a network.
pub struct Groupwise {
    groups: ModuleOptimizer,
    scale: Arc<Scale>,
}

impl Groupwise {
    /// Before the first step of a network of so many layers.
    #[must_use]
    pub fn new(groups: Groups, layers: usize) -> Self {
        let scale = Arc::new(Scale(Mutex::new(Clip::Host(1.0))));
        let scaled = |decay, factor| Scaled::new(decay, factor, &scale);
        // The last group that matches a path wins.
        let mut all = ModuleOptimizer::from(scaled(groups.weight_decay, 1.0)).with_group(
            ParamGroup::from_any_predicates(BARE.to_vec()),
            scaled(0.0, 1.0),
            None,
        );
        let mut factor = 1.0;
        for layer in (0..layers).rev().filter(|_| groups.layer < 1.0) {
            let place = format!("layers.{layer}.");
            all =
                all.with_group(ParamGroup::from_predicate(&place), scaled(groups.weight_decay, factor), None);
            for bare in BARE {
                let both = ParamGroup::from_predicates(vec![place.as_str(), bare]);
                all = all.with_group(both, scaled(0.0, factor), None);
            }
            factor *= groups.layer;
        }
        if groups.layer < 1.0 {
            let tables = ParamGroup::from_paths(vec!["word.weight", "position.weight"]);
            let norm = ParamGroup::from_paths(vec!["norm.gamma", "norm.beta"]);
            all = all.with_group(tables, scaled(groups.weight_decay, factor), None).with_group(
                norm,
                scaled(0.0, factor),
                None,
            );
        }
        let groups = all
            .with_group(ParamGroup::from_path("head.weight"), scaled(groups.weight_decay, groups.head), None)
            .with_group(ParamGroup::from_path("head.bias"), scaled(0.0, groups.head), None)
            .with_group(ParamGroup::from_predicate("crf"), scaled(0.0, groups.crf), None);
        Self { groups, scale }
    }

    /// One step, with gradients scaled so that their global `norm` becomes at most `limit` (0 = no limit).
    #[must_use]
    pub fn step<M: Module>(
        &mut self,
        rate: f64,
        module: M,
        gradients: GradientsParams,
        norm: &Norm,
        limit: f64,
    ) -> M {
        self.scale.set(norm.clip(limit));
        self.groups.step(rate, module, gradients)
    }

    /// Writes the moments.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, path: &Path) -> Result<(), RecordError> {
        self.groups.save(path)
    }

    /// Reads the moments.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn load(self, path: &Path) -> Result<Self, RecordError> {
        Ok(Self { groups: self.groups.load(path)?, ..self })
    }
}

/// The global L2 norm of all gradients, on their device.
#[derive(Clone, Debug)]
pub struct Norm {
    /// Σ g² `[1]`
    squares: Tensor<1>,
}

/// `PyTorch`'s `clip_grad_norm_` adds the same.
const BESIDE_THE_NORM: f64 = 1e-6;

impl Norm {
    /// Of a module's gradients; 0 when it has none.
    pub fn of<M: Module>(module: &M, gradients: &GradientsParams, device: &Device) -> Self {
        let mut squares = Squares { gradients, sum: None };
        module.visit(&mut squares);
        Self { squares: squares.sum.unwrap_or_else(|| Tensor::zeros([1], &device.clone().inner())) }
    }

    /// Σ g² `[1]`, from which [`Self::from_squares`] makes the number.
    #[must_use]
    pub fn squares(&self) -> Tensor<1> {
        self.squares.clone()
    }

    /// The norm of what [`Self::squares`] turned out to be.
    #[must_use]
    pub fn from_squares(squares: f32) -> f64 {
        f64::from(squares).sqrt()
    }

    /// What brings the gradients to at most `limit` (0 = no limit).
    fn clip(&self, limit: f64) -> Clip {
        if fused::runs_on(&self.squares.device()) {
            let norm = host(self.squares.clone()).into_iter().map(Self::from_squares).sum();
            return Clip::Host(clip(norm, limit));
        }
        if limit > 0.0 {
            let scale = (self.squares.clone().sqrt() + BESIDE_THE_NORM).recip() * limit;
            Clip::Device(Box::new(scale.clamp_max(1.0)))
        } else {
            Clip::Device(Box::new(self.squares.ones_like()))
        }
    }
}

/// What brings gradients of global norm `norm` to at most `limit` (0 = no limit).
#[expect(clippy::cast_possible_truncation, reason = "a share")]
fn clip(norm: f64, limit: f64) -> f32 {
    if limit > 0.0 && norm > limit { (limit / (norm + BESIDE_THE_NORM)) as f32 } else { 1.0 }
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let square = fused::squares(gradient);
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::{
        module::Param,
        nn::{Linear, LinearConfig},
        tensor::Device,
    };

    use super::*;
    use encoder::arch::post_norm::{DOWN, FFN_NORM, UP};
    use encoder::{
        backend::readback::host, batch::Batch, config::Config, inputs::Inputs, layer::Layer,
        network::Network, testing::tiny,
    };

    const PLAIN: Groups = Groups { head: 1.0, crf: 1.0, layer: 1.0, weight_decay: 0.1 };

    fn layer() -> Linear {
        let layer = LinearConfig::new(4, 2).init(&Device::flex());
        let weight = Tensor::from_floats([[0.1, -0.2], [0.3, 0.4], [-0.5, 0.6], [0.7, 0.8]], &Device::flex());
        Linear { weight: Param::from_tensor(weight), ..layer }.train()
    }

    fn gradients(layer: &Linear, factor: f32) -> GradientsParams {
        let x = Tensor::<2>::ones([3, 4], &Device::flex().autodiff());
        let loss = layer.forward(x).sum().mul_scalar(factor);
        GradientsParams::from_grads(loss.backward(), layer)
    }

    fn norm(layer: &Linear, gradients: &GradientsParams) -> Norm {
        Norm::of(layer, gradients, &Device::flex())
    }

    fn number(norm: &Norm) -> f64 {
        Norm::from_squares(host(norm.squares())[0])
    }

    /// A norm that clips nothing.
    fn small() -> Norm {
        Norm { squares: Tensor::ones([1], &Device::flex()) }
    }

    /// sum over a 4 x 2 layer of 3 rows of ones: every gradient is 3, so the norm is 3 sqrt(8 + 2).
    #[test]
    fn the_norm_is_over_all_parameters_and_clipping_brings_it_to_the_limit() {
        let layer = layer();
        let norm = number(&norm(&layer, &gradients(&layer, 1.0)));
        assert!((norm - 3.0 * 10.0_f64.sqrt()).abs() < 1e-4, "{norm}");
        assert!((f64::from(clip(norm, 1.0)) * norm - 1.0).abs() < 1e-4);
        assert!([clip(norm, 0.0), clip(0.5, 1.0)].iter().all(|scale| scale.to_bits() == 1.0_f32.to_bits()));
    }

    /// The same steps by Burn's optimiser, of gradients scaled beforehand.
    #[test]
    fn steps_in_place_are_those_of_burn() {
        let mut ours = layer();
        let mut stock = ours.clone();
        let mut optimizer = Groupwise::new(PLAIN, 0);
        let config = AdamWConfig::new().with_epsilon(EPSILON);
        let mut reference = ModuleOptimizer::from(config.clone().with_weight_decay(0.1).build()).with_group(
            ParamGroup::from_predicate("bias"),
            config.with_weight_decay(0.0).build(),
            None,
        );
        for factor in [1.0, -0.3, 2.0, 0.01] {
            let found = gradients(&ours, factor);
            let before = norm(&ours, &found);
            ours = optimizer.step(0.05, ours, found, &before, 1.0);
            let clipped = gradients(&stock, factor * clip(number(&before), 1.0));
            stock = reference.step(0.05, stock, clipped);
            let near = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 2e-6);
            assert!(near(host(ours.weight.val()), host(stock.weight.val())));
            let bias = |layer: &Linear| host(layer.bias.as_ref().expect("a bias").val());
            assert!(near(bias(&ours), bias(&stock)));
        }
    }

    /// The first step of `AdamW` moves every weight by the rate, whatever its gradient.
    #[test]
    fn each_layer_down_from_the_top_learns_more_slowly() {
        let config = Config { layers: vec![tiny().layers[0]; 3], ..tiny() };
        let network = Network::init(&config, 3, &Device::flex()).train();
        let groups = Groups { head: 5.0, crf: 1.0, layer: 0.5, weight_decay: 0.0 };
        let batch = Batch { ids: vec![0, 5, 2], starts: vec![0, 3], rows: vec![1], ..Batch::default() };
        let packed = Inputs::new(&batch, &config, &Device::flex().autodiff());
        let loss = network.forward(&packed, &[]).logits.powi_scalar(2).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        let stepped = Groupwise::new(groups, 3).step(0.01, network.clone(), gradients, &small(), 0.0);
        let moved = |before: Tensor<2>, after: Tensor<2>| {
            let (before, after) = (host(before), host(after));
            let steps = before.iter().zip(&after).map(|(before, after)| (before - after).abs());
            steps.fold(0.0, f32::max)
        };
        let near = |found: f32, right: f32| (found / right - 1.0).abs() < 0.02;
        for (layer, right) in [(2, 0.01), (1, 0.005), (0, 0.0025)] {
            let (before, after) = (&network.layers[layer], &stepped.layers[layer]);
            let found = moved(before.linear(UP).weight.val(), after.linear(UP).weight.val());
            assert!(near(found, right), "layer {layer}: {found}");
            let bias = |layer: &Layer| layer.linear(DOWN).bias.as_ref().expect("a bias").val().unsqueeze();
            assert!(near(moved(bias(before), bias(after)), right), "bias of layer {layer}");
            let gamma = |layer: &Layer| layer.norm(FFN_NORM).gamma.val().unsqueeze();
            assert!(near(moved(gamma(before), gamma(after)), right), "norm of layer {layer}");
        }
        let found = moved(network.word.weight.val(), stepped.word.weight.val());
        assert!(near(found, 0.00125), "embeddings: {found}");
        let norm = |network: &Network| network.norm.gamma.val().unsqueeze();
        assert!(near(moved(norm(&network), norm(&stepped)), 0.00125));
        assert!(
            near(moved(network.head.weight.val(), stepped.head.weight.val()), 0.05),
            "the head has its own"
        );
    }

    #[test]
    fn moments_read_back_give_the_same_bits() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("optimizer.bpk");
        let mut layer = layer();
        let mut optimizer = Groupwise::new(PLAIN, 0);
        layer = optimizer.step(0.05, layer.clone(), gradients(&layer, 1.0), &small(), 0.0);
        optimizer.save(&path).expect("saved");
        let mut again = Groupwise::new(PLAIN, 0).load(&path).expect("loaded");
        let step = |optimizer: &mut Groupwise| {
            host(optimizer.step(0.05, layer.clone(), gradients(&layer, 0.7), &small(), 0.0).weight.val())
        };
        assert!(step(&mut optimizer) == step(&mut again));
    }
}
