"""Compares ONNX models that `ner-pipe export` wrote with transformers:

    python onnx_parity.py NER_PIPE [MODEL..]

with torch, transformers, onnx, onnxruntime and optimum-onnx. NER_PIPE is the program. Small models of every encoder with the weights
of values.py are made and exported; then each MODEL, a folder that transformers loads. Batches are padded; lengths go from 1
to the longest that the model reads. Exits with 1 where logits differ by more than 1e-4.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

import parity
from values import value

TOLERANCE = 1e-4


def small(folder, kind, config):
    """A model folder of a case of parity.py, with a tokenizer of words."""
    model = kind(config).eval()
    state = {name: torch.from_numpy(value(name, list(t.shape))) for name, t in model.state_dict().items() if t.is_floating_point()}
    model.load_state_dict(state, strict=False)
    model.save_pretrained(folder)
    words = ["<s>", "<pad>", "</s>", "<unk>"] + [f"w{i}" for i in range(46)]
    if config.pad_token_id == 0:
        words[0], words[1] = words[1], words[0]
    special = [
        {"id": words.index(w), "content": w, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        for w in ["<s>", "<pad>", "</s>", "<unk>"]
    ]
    special.sort(key=lambda token: token["id"])
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": {w: i for i, w in enumerate(words)}, "unk_token": "<unk>"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return model


def export(program, model, to, out):
    subprocess.run([program, "export", str(model), "--to", to, "--out", str(out)], check=True)


def furthest(model, session, lengths, vocabulary, pad):
    """The largest difference of a logit over windows of these lengths in one padded batch."""
    draw = np.random.default_rng(7)
    longest = max(lengths)
    ids = np.full((len(lengths), longest), pad, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, :length] = draw.integers(4, vocabulary, length)
        mask[row, :length] = 1
    ids[ids == pad] = 4
    ids[mask == 0] = pad
    given = {"input_ids": ids, "attention_mask": mask}
    if "token_type_ids" in [entry.name for entry in session.get_inputs()]:
        given["token_type_ids"] = np.zeros_like(ids)
    [found] = session.run(["logits"], given)
    with torch.no_grad():
        right = model(torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.numpy()
    return float(np.abs(found - right)[mask == 1].max())


def check(name, program, folder, model, work):
    out = work / f"{name}-onnx"
    export(program, folder, "onnx", out)
    file = str(out / "model.onnx")
    onnx.checker.check_model(file, full_check=True)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    config = model.config
    room = json.loads((out / "tokenizer_config.json").read_text())["model_max_length"]
    distances = [furthest(model, session, lengths, config.vocab_size, config.pad_token_id)
                 for lengths in ([1], [2, 1], [room], [3, room // 2, room, 5])]
    AutoTokenizer.from_pretrained(out)
    try:
        from optimum.onnxruntime import ORTModelForTokenClassification
    except ImportError:
        loads = "optimum is not here"
    else:
        other = ORTModelForTokenClassification.from_pretrained(out)
        ids = torch.tensor([[5, 6, 7]])
        theirs = other(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.numpy()
        with torch.no_grad():
            distances.append(float(np.abs(theirs - model(ids).logits.numpy()).max()))
        loads = "ORTModelForTokenClassification loads it"
    print(f"{name}: furthest {max(distances):.1e}, {loads}")
    return max(distances) <= TOLERANCE


def main():
    program, *models = sys.argv[1:]
    program = str(pathlib.Path(program).resolve())
    good = True
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        for kind, config in parity.MODELS:
            name = config.model_type
            folder = work / name
            folder.mkdir()
            good &= check(name, program, folder, small(folder, kind, config), work)
        for number, path in enumerate(models):
            model = AutoModelForTokenClassification.from_pretrained(path, dtype=torch.float32).eval()
            good &= check(f"{pathlib.Path(path).name}-{number}", program, path, model, work)
    sys.exit(0 if good else 1)


main()
