//! A graph under construction: nodes in the order in which they run, constants under the checkpoint's names.

use std::collections::BTreeSet;

use super::proto::{
    self, Attribute, Dimension, Node, OperatorSet, Shape, Tensor, TensorType, Type, ValueInfo,
};

/// Version of the file format and of the operators. `LayerNormalization` is new in this set of operators (July 2022), which
/// ONNX Runtime reads from 1.12 on.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;

/// What a node gives, a constant, or an input of the graph.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(String);

/// Nodes and constants so far.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    constants: Vec<Tensor>,
    named: BTreeSet<String>,
    inputs: Vec<ValueInfo>,
}

/// A whole number that a node is told.
pub fn int(name: &str, value: usize) -> Attribute {
    Attribute { i: Some(signed(value)), ..attribute(name, proto::INT_ATTRIBUTE) }
}

/// The last axis.
pub fn last() -> Attribute {
    Attribute { i: Some(-1), ..attribute("axis", proto::INT_ATTRIBUTE) }
}

fn attribute(name: &str, kind: i32) -> Attribute {
    Attribute { name: Some(name.to_owned()), kind: Some(kind), ..Attribute::default() }
}

fn signed(value: usize) -> i64 {
    i64::try_from(value).expect("sizes are below 2^63")
}

impl Graph {
    /// An input of whole numbers `[batch, length]`.
    pub fn input(&mut self, name: &str) -> Value {
        self.inputs.push(described(name, proto::INT64, &[Axis::Free("batch"), Axis::Free("length")]));
        Value(name.to_owned())
    }

    /// The model whose output `[batch, length, labels]` is what the last node gave.
    ///
    /// # Panics
    /// Of a graph without nodes.
    #[must_use]
    pub fn finish(mut self, name: &str, labels: usize) -> proto::Model {
        let last = self.nodes.last_mut().expect("a classifier");
        name.clone_into(&mut last.output[0]);
        let shape = [Axis::Free("batch"), Axis::Free("length"), Axis::Fixed(labels)];
        let graph = proto::Graph {
            node: self.nodes,
            name: Some("token-classifier".to_owned()),
            initializer: self.constants,
            input: self.inputs,
            output: vec![described(name, proto::FLOAT, &shape)],
        };
        proto::Model {
            ir_version: Some(IR_VERSION),
            producer_name: Some("ner-pipe".to_owned()),
            graph: Some(graph),
            opset_import: vec![OperatorSet { domain: Some(String::new()), version: Some(OPSET) }],
        }
    }

    /// A node with one output.
    pub fn node<const N: usize>(
        &mut self,
        operator: &str,
        inputs: [&Value; N],
        attributes: impl IntoIterator<Item = Attribute>,
    ) -> Value {
        let [output] = self.outputs(operator, inputs, attributes);
        output
    }

    /// A node with several outputs.
    pub fn outputs<const N: usize, const M: usize>(
        &mut self,
        operator: &str,
        inputs: [&Value; N],
        attributes: impl IntoIterator<Item = Attribute>,
    ) -> [Value; M] {
        let name = format!("{operator}_{}", self.nodes.len());
        let outputs: [Value; M] =
            std::array::from_fn(|place| Value(if M == 1 { name.clone() } else { format!("{name}.{place}") }));
        self.nodes.push(Node {
            input: inputs.iter().map(|value| value.0.clone()).collect(),
            output: outputs.iter().map(|value| value.0.clone()).collect(),
            name: Some(name),
            op_type: Some(operator.to_owned()),
            attribute: attributes.into_iter().collect(),
        });
        outputs
    }

    /// A constant of f32, under its name.
    pub fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Value {
        self.constant(name, proto::FLOAT, shape, || {
            values.iter().flat_map(|value| value.to_le_bytes()).collect()
        })
    }

    /// A constant of signed bytes, under its name.
    pub fn bytes(&mut self, name: &str, shape: &[usize], values: &[i8]) -> Value {
        self.constant(name, proto::INT8, shape, || values.iter().map(|value| value.cast_unsigned()).collect())
    }

    /// One number.
    pub fn float(&mut self, value: f32) -> Value {
        self.floats(&format!("float {value}"), &[], &[value])
    }

    /// Whole numbers, as axes, sizes and indices are told.
    pub fn ints(&mut self, values: &[i64]) -> Value {
        self.constant(&format!("ints {values:?}"), proto::INT64, &[values.len()], || whole(values))
    }

    /// One whole number.
    pub fn int(&mut self, value: i64) -> Value {
        self.constant(&format!("int {value}"), proto::INT64, &[], || whole(&[value]))
    }

    /// A constant has one name, and a name that is there stands for the same constant.
    fn constant(&mut self, name: &str, kind: i32, shape: &[usize], data: impl FnOnce() -> Vec<u8>) -> Value {
        if self.named.insert(name.to_owned()) {
            self.constants.push(Tensor {
                dims: shape.iter().map(|size| signed(*size)).collect(),
                data_type: Some(kind),
                name: Some(name.to_owned()),
                raw_data: Some(data()),
            });
        }
        Value(name.to_owned())
    }

    /// x y
    pub fn matmul(&mut self, x: &Value, y: &Value) -> Value {
        self.node("MatMul", [x, y], [])
    }

    /// x + y
    pub fn add(&mut self, x: &Value, y: &Value) -> Value {
        self.node("Add", [x, y], [])
    }

    /// x - y
    pub fn sub(&mut self, x: &Value, y: &Value) -> Value {
        self.node("Sub", [x, y], [])
    }

    /// x * y, entry by entry.
    pub fn mul(&mut self, x: &Value, y: &Value) -> Value {
        self.node("Mul", [x, y], [])
    }

    /// The rows of a table that indices name.
    pub fn gather(&mut self, table: &Value, indices: &Value) -> Value {
        self.node("Gather", [table, indices], [])
    }

    /// As f32.
    pub fn cast_to_float(&mut self, x: &Value) -> Value {
        let to = Attribute { i: Some(proto::FLOAT.into()), ..attribute("to", proto::INT_ATTRIBUTE) };
        self.node("Cast", [x], [to])
    }

    /// Axes in another order.
    pub fn transpose(&mut self, x: &Value, order: &[i64]) -> Value {
        let order = Attribute { ints: order.to_vec(), ..attribute("perm", proto::INTS_ATTRIBUTE) };
        self.node("Transpose", [x], [order])
    }

    /// Another shape; 0 keeps an axis.
    pub fn reshape(&mut self, x: &Value, shape: &[usize]) -> Value {
        let shape: Vec<i64> = shape.iter().map(|size| signed(*size)).collect();
        let shape = self.ints(&shape);
        self.node("Reshape", [x, &shape], [])
    }

    /// Axes of length 1 at these places.
    pub fn unsqueeze(&mut self, x: &Value, axes: &[i64]) -> Value {
        let axes = self.ints(axes);
        self.node("Unsqueeze", [x, &axes], [])
    }

    /// Two halves of the last axis.
    pub fn halves(&mut self, x: &Value, width: usize) -> [Value; 2] {
        let half = signed(width / 2);
        let sizes = self.ints(&[half, half]);
        self.outputs("Split", [x, &sizes], [last()])
    }

    /// Normalises the last axis; `epsilon` is added to the variance.
    pub fn normalise(&mut self, x: &Value, gain: &Value, bias: Option<&Value>, epsilon: f32) -> Value {
        let epsilon = Attribute { f: Some(epsilon), ..attribute("epsilon", proto::FLOAT_ATTRIBUTE) };
        match bias {
            Some(bias) => self.node("LayerNormalization", [x, gain, bias], [last(), epsilon]),
            None => self.node("LayerNormalization", [x, gain], [last(), epsilon]),
        }
    }

    /// GELU by the error function (Hendrycks and Gimpel 2016), in the steps that ONNX Runtime makes one kernel of.
    pub fn gelu(&mut self, x: &Value) -> Value {
        let (root, one, half) = (self.float(std::f32::consts::SQRT_2), self.float(1.0), self.float(0.5));
        let share = self.node("Div", [x, &root], []);
        let share = self.node("Erf", [&share], []);
        let share = self.add(&share, &one);
        let twice = self.mul(x, &share);
        self.mul(&twice, &half)
    }

    /// 0, 1 and on, as many as `ids [batch, length]` are long.
    pub fn places(&mut self, ids: &Value) -> Value {
        let length = self.length(ids);
        let (from, step) = (self.int(0), self.int(1));
        self.node("Range", [&from, &length, &step], [])
    }

    /// Length of the second axis, as one number.
    pub fn length(&mut self, ids: &Value) -> Value {
        let length = self.node("Shape", [ids], [int("start", 1), int("end", 2)]);
        self.node("Squeeze", [&length], [])
    }
}

fn whole(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[derive(Clone, Copy)]
enum Axis {
    Free(&'static str),
    Fixed(usize),
}

fn described(name: &str, kind: i32, axes: &[Axis]) -> ValueInfo {
    let dim = axes.iter().map(|axis| match axis {
        Axis::Free(name) => Dimension { dim_param: Some((*name).to_owned()), dim_value: None },
        Axis::Fixed(size) => Dimension { dim_value: Some(signed(*size)), dim_param: None },
    });
    let tensor_type = TensorType { elem_type: Some(kind), shape: Some(Shape { dim: dim.collect() }) };
    ValueInfo { name: Some(name.to_owned()), kind: Some(Type { tensor_type: Some(tensor_type) }) }
}
