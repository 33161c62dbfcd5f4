#!/usr/bin/env python3
"""Writes teachers.json: folders with the habits of public teachers, and what transformers says of texts with them.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch transformers==5.24.0 sentencepiece protobuf
    /tmp/venv/bin/python stages/testdata/teachers.py

Weights follow from the tensors' names, as in parity.py; vocabularies are those of tokenizers.json. Of each text there are the
ids that the tokenizer gives and, for each of them, the column of the greatest logit.
"""

import base64
import json
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file

import values

here = Path(__file__).parent
transformers.logging.set_verbosity_error()
vocabularies = json.loads((here / "tokenizers.json").read_text())
kinds = {case["name"]: case for case in vocabularies["cases"]}
TEXTS = [
    "Anna habite à Paris.", "Paul travaille à l'hôpital de Lyon.", "Élodie est né à Aix, François n'aime guère Nîmes !",
    "Zoé a quitté Saint-Étienne le 12 mai", "anticonstitutionnellement", "l'œuvre de Jean coûte 84 €", "12/03/2024 — 06 12 34",
    "PARIS ET LYON", "漢字 Paris 🎯", "Besançon  reviendra   bientôt",
]  # fmt: skip

IO = ["O", "I-LOC", "I-PER", "I-MISC", "I-ORG"]
BIO = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"]
TORCH = {
    "camembert": ("CamembertForTokenClassification", "CamembertConfig"),
    "roberta": ("RobertaForTokenClassification", "RobertaConfig"),
    "xlm-roberta": ("XLMRobertaForTokenClassification", "XLMRobertaConfig"),
    "bert": ("BertForTokenClassification", "BertConfig"),
    "distilbert": ("DistilBertForTokenClassification", "DistilBertConfig"),
    "modernbert": ("ModernBertForTokenClassification", "ModernBertConfig"),
    "deberta-v2": ("DebertaV2ForTokenClassification", "DebertaV2Config"),
}


def with_specials(name):
    """The tokenizer.json of a vocabulary, with a post-processor that puts its specials around a text."""
    tokenizer = json.loads(base64.b64decode(vocabularies["files"][kinds[name]["files"]["tokenizer.json"]]))
    ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    pair = [("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {token: {"id": token, "ids": [id], "tokens": [token]} for token, id in pair},
    }  # fmt: skip
    return tokenizer


def teacher(name, kind, vocabulary, labels, habit=None, vocab=0, tokenizer=None, **more):
    """A folder of an encoder with a vocabulary; `habit` is what is odd about its files, `more` about its config.json."""
    case = kinds[vocabulary]
    pad = 1 if kind in ("camembert", "roberta", "xlm-roberta") else 0
    sizes = dict(vocab_size=case["size"] + vocab, max_position_embeddings=140, pad_token_id=pad)
    if kind == "distilbert":
        sizes |= dict(dim=16, n_layers=2, n_heads=2, hidden_dim=24)
    else:
        sizes |= dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24)
    if kind == "modernbert":
        sizes |= dict(local_attention=8)
    if kind == "deberta-v2":
        sizes |= dict(
            relative_attention=True, share_att_key=True, position_biased_input=False, norm_rel_ebd="layer_norm",
            pos_att_type=["p2c", "c2p"], position_buckets=8, type_vocab_size=0,
        )  # fmt: skip
    model_class, config_class = (getattr(transformers, name) for name in TORCH[kind])
    model = model_class(config_class(**sizes, num_labels=len(labels))).eval()
    shapes = {n: list(t.shape) for n, t in model.state_dict().items() if t.is_floating_point()}
    state = {n: torch.from_numpy(values.value(n, shape)) for n, shape in shapes.items()}
    config = {"model_type": kind, "architectures": [TORCH[kind][0]], **sizes}
    config["id2label"] = {str(i): label for i, label in enumerate(labels)}
    config["label2id"] = {label: i for i, label in enumerate(labels)}
    config |= more
    config = {key: value for key, value in config.items() if value is not None}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        (folder / "config.json").write_text(json.dumps(config))
        for file, content in case["files"].items():
            (folder / file).write_bytes(base64.b64decode(vocabularies["files"][content]))
        if tokenizer:
            (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        if case["config"]:
            (folder / "tokenizer_config.json").write_text(json.dumps(case["config"]))
        model = transformers.AutoModelForTokenClassification.from_pretrained(folder).eval()
        reader = transformers.AutoTokenizer.from_pretrained(folder)
        said = []
        for text in TEXTS:
            ids = reader(text)["input_ids"]
            with torch.no_grad():
                logits = model(torch.tensor([ids])).logits[0]
            two = logits.topk(2).values
            assert (two[:, 0] - two[:, 1]).min() > 1e-4, f"{name}: {text!r} is too close a call"
            said.append({"ids": ids, "labels": "".join(str(int(c)) for c in logits.argmax(-1))})
    return {
        "name": name, "vocabulary": vocabulary, "habit": habit, "config": config, "tensors": shapes, "said": said,
        "tokenizer": tokenizer,
    }  # fmt: skip


cases = [
    teacher("camembert-ner", "camembert", "camembert", IO, habit="position_ids", bos_token_id=5, eos_token_id=6),
    teacher("camembert-ner-with-dates", "camembert", "camembert", IO + ["I-DATE"]),
    teacher("camembert-large", "camembert", "camembert", IO, bos_token_id=0, eos_token_id=2),
    teacher("label2id as strings", "camembert", "camembert", IO, label2id={n: str(i) for i, n in enumerate(IO)}),
    teacher("label2id has more", "camembert", "camembert", IO, label2id={n: i for i, n in enumerate(IO + ["I-DATE"])}),
    teacher("plain names", "camembert", "camembert", ["O", "LOC", "PER", "MISC", "ORG"]),
    teacher("all begin", "camembert", "camembert", ["B-O", "B-LOC", "B-PER", "B-MISC", "B-ORG"]),
    teacher("clinical", "bert", "bert cased", ["O"] + [p + t for t in ("problem", "treatment", "test") for p in ("B-", "I-")]),
    teacher("bioes", "camembert", "camembert", ["O"] + [f"{p}-{k}" for k in ("PER", "LOC") for p in "BIES"]),
    teacher("module prefix", "camembert", "camembert", IO, habit="module"),
    teacher("padded vocabulary", "camembert", "camembert", IO, vocab=3),
    teacher("pooler", "camembert", "camembert", IO, habit="pooler"),
    teacher("no architectures", "camembert", "camembert", IO, architectures=None),
    teacher("sharded", "camembert", "camembert", IO, habit="sharded"),
    teacher("xlm-roberta", "xlm-roberta", "xlm-roberta", ["O", "B-DATE", "I-DATE"] + BIO[1:]),
    teacher("camembert v2", "roberta", "bert json", BIO, layer_norm_eps=1e-7, pad_token_id=0),
    teacher("roberta", "roberta", "roberta", BIO),
    teacher("bert cased", "bert", "bert cased", BIO, habit="gamma"),
    teacher("bert uncased", "bert", "bert uncased", BIO),
    teacher("distilbert", "distilbert", "bert cased", BIO),
    teacher("modernbert", "modernbert", "bert json", BIO, tokenizer=with_specials("bert json")),
    teacher("deberta", "deberta-v2", "deberta", BIO),
]  # fmt: skip
shared = {"texts": TEXTS, "teachers": cases}
(here / "teachers.json").write_text(json.dumps(shared, ensure_ascii=False, separators=(",", ":")) + "\n")
