use burn::tensor::Device;
use encoder::{
    arch::{ARCHITECTURES, Settings},
    backend::{positions::Buckets, readback::host},
    batch::Batch,
    config::{Config, LayerShape},
    inputs::Inputs,
    testing::{furthest, tiny, tokenizer, trained},
};
use text::tokenizer::{Anchor, Window};

use super::*;
use crate::runtime::Runtime;

/// Every encoder with layers of different widths, one of which sees its neighbours alone.
fn shapes() -> impl Iterator<Item = Config> {
    let settings =
        Settings { rotary: Some([1e4, 1e3]), relative: Some(Buckets { count: Some(4), farthest: 20 }) };
    ARCHITECTURES.into_iter().map(move |architecture| {
        let reach = (architecture.keys().activation == "hidden_activation").then_some(2);
        let layers = tiny().layers.into_iter().enumerate();
        let layers = layers.map(|(index, layer)| LayerShape {
            reach: reach.filter(|_| index == 1),
            bare: index == 0 && reach.is_some(),
            ..layer
        });
        Config { architecture, settings, layers: layers.collect(), ..tiny() }
    })
}

/// A window of so many pieces, each an anchor.
fn window(length: usize) -> Window {
    let ids = (0..length).map(|place| u32::try_from(4 + place * 7 % 40).expect("small")).collect();
    Window {
        ids,
        anchors: (0..length).map(|row| Anchor { word: row, row, owned: true }).collect(),
        ..Window::default()
    }
}

/// The furthest that an ONNX logit is from the model's, over windows of these lengths in one padded batch.
fn distance(model: &Model, precision: Precision, lengths: &[usize]) -> f32 {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, encode(model, precision).expect("an ONNX model")).expect("written");
    let runtime = Runtime::load(&path, model.config.pad, takes_types(&model.config)).expect("it is read");
    let windows: Vec<Window> = lengths.iter().map(|length| window(*length)).collect();
    let found = runtime.read(&windows.iter().collect::<Vec<_>>()).expect("it runs");
    let inputs = Inputs::new(&Batch::windows(&windows), &model.config, &Device::flex());
    furthest(&found, &host(model.network.forward(&inputs, &[]).logits))
}

fn model(config: Config) -> Model {
    let network = trained(&config, &Device::flex());
    Model { config, network, tokenizer: tokenizer(&["un", "deux"]) }
}

#[test]
fn every_encoder_computes_as_onnx_what_it_computes_here_padded_or_not() {
    for config in shapes() {
        let name = config.architecture.families()[0].model_type;
        let model = model(config);
        for lengths in [&[1][..], &[2], &[18], &[7, 7], &[3, 18, 1, 11]] {
            let distance = distance(&model, Precision::F32, lengths);
            assert!(distance < 1e-4, "{name} {lengths:?}: {distance}");
        }
    }
}

#[test]
fn bytes_are_near_and_smaller() {
    for config in shapes() {
        let name = config.architecture.families()[0].model_type;
        let model = model(config);
        let distance = distance(&model, Precision::Int8, &[3, 18, 1, 11]);
        assert!(distance > 0.0 && distance < 1.5, "{name}: {distance}");
        let size = |precision| encode(&model, precision).expect("a model").len();
        assert!(size(Precision::Int8) < size(Precision::F32), "{name}");
    }
}

#[test]
fn every_encoder_has_a_form_or_is_refused_by_name() {
    #[derive(Debug)]
    struct Stranger;
    impl Architecture for Stranger {
        fn families(&self) -> &'static [arch::Family] {
            &[arch::Family { model_type: "stranger", class: "StrangerForTokenClassification" }]
        }
        fn keys(&self) -> &'static arch::Keys {
            arch::bert::Bert.keys()
        }
        fn tensors(&self) -> &'static arch::Tensors {
            arch::bert::Bert.tensors()
        }
    }
    for architecture in ARCHITECTURES {
        check(architecture).expect("a form of its own");
    }
    let error = check(&Stranger).expect_err("nobody wrote one");
    assert_eq!(error.to_string(), "stranger has no ONNX form");
    assert!(error.advice().expect("a way out").contains("hf"));
}

#[test]
fn equal_models_give_equal_bytes() {
    for precision in [Precision::F32, Precision::Int8] {
        let bytes = || encode(&model(tiny()), precision).expect("a model");
        assert!(bytes() == bytes());
    }
}
