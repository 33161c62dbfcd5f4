"""Writes what transformers computes for small encoders whose weights follow from their tensors' names:
`python parity.py`, with torch and transformers; results in parity.json, which the tests of `encoder` read.

Weights are those of values.py.
"""

import json
import pathlib

import numpy as np
import torch
from transformers import (
    BertConfig,
    BertForTokenClassification,
    DebertaV2Config,
    DebertaV2ForTokenClassification,
    DistilBertConfig,
    DistilBertForTokenClassification,
    ModernBertConfig,
    ModernBertForTokenClassification,
    RobertaConfig,
    RobertaForTokenClassification,
)

from values import value

LABELS = {i: name for i, name in enumerate(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])}
IDS = [[2, 7, 9, 30, 41, 3], [2, 11, 3], [2, 5, 6, 7, 8, 9, 10, 11, 12, 49, 3]]


def states(model, out):
    """Hidden states as layers give them: ModernBERT's last is normalised once more before it is shown."""
    if hasattr(model.base_model, "final_norm"):
        return list(out.hidden_states[:-1]) + [model.last_layer]
    return out.hidden_states


def case(kind, config):
    model = kind(config).eval()
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
    state = {name: torch.from_numpy(value(name, shape)) for name, shape in shapes.items()}
    model.load_state_dict(state, strict=False)
    if hasattr(model.base_model, "final_norm"):
        keep = lambda module, given: setattr(model, "last_layer", given[0])
        model.base_model.final_norm.register_forward_pre_hook(keep)
    texts = []
    for ids in IDS:
        with torch.no_grad():
            out = model(torch.tensor([ids]), output_hidden_states=True)
        hidden = [[[round(float(x), 6) for x in row[:4]] for row in state[0]] for state in states(model, out)]
        logits = [[round(float(x), 6) for x in row] for row in out.logits[0]]
        texts.append({"ids": ids, "logits": logits, "hidden_first_4": hidden})
    config = config.to_dict() | {"architectures": [kind.__name__]}
    keep = (
        "architectures model_type vocab_size hidden_size dim num_hidden_layers n_layers num_attention_heads n_heads "
        "intermediate_size hidden_dim max_position_embeddings type_vocab_size pad_token_id layer_norm_eps hidden_act "
        "activation id2label label2id hidden_activation norm_eps local_attention layer_types rope_parameters "
        "relative_attention share_att_key position_biased_input norm_rel_ebd pos_att_type position_buckets "
        "max_relative_positions"
    ).split()
    return {
        "config": {key: config[key] for key in keep if key in config},
        "parameters": sum(int(np.prod(shape)) for shape in shapes.values()),
        "tensors": shapes,
        "texts": texts,
    }


common = dict(vocab_size=50, max_position_embeddings=20, id2label=LABELS, label2id={v: k for k, v in LABELS.items()})
wide = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24)
MODELS = [
    (RobertaForTokenClassification, RobertaConfig(**common, **wide, type_vocab_size=1, layer_norm_eps=1e-5)),
    (BertForTokenClassification, BertConfig(**common, **wide, type_vocab_size=2)),
    (DistilBertForTokenClassification, DistilBertConfig(**common, dim=16, n_layers=2, n_heads=4, hidden_dim=24)),
    (
        ModernBertForTokenClassification,
        ModernBertConfig(**common, **(wide | {"num_hidden_layers": 4}), local_attention=4, pad_token_id=0),
    ),
    (
        DebertaV2ForTokenClassification,
        DebertaV2Config(
            **common,
            **wide,
            type_vocab_size=0,
            relative_attention=True,
            share_att_key=True,
            position_biased_input=False,
            norm_rel_ebd="layer_norm",
            pos_att_type=["p2c", "c2p"],
            position_buckets=6,
        ),
    ),
]

if __name__ == "__main__":
    torch.set_default_dtype(torch.float32)
    text = json.dumps([case(*model) for model in MODELS], separators=(",", ":"))
    pathlib.Path(__file__).with_name("parity.json").write_text(text + "\n")
