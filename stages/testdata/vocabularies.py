#!/usr/bin/env python3
"""Writes tokenizers.json: small vocabularies of each kind, and what transformers makes of awkward texts with them.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install transformers==5.24.0 sentencepiece==0.2.3 protobuf
    /tmp/venv/bin/python stages/testdata/vocabularies.py

A piece is `id@start-end`, in characters, and `id-end` where it starts at the end of the piece before it. Specials around
a text are left out.
"""

import base64
import io
import json
import sys
import tempfile
from pathlib import Path

import sentencepiece
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

transformers.logging.set_verbosity_error()

FIRST = "Anna Paul Élodie Jean Zoé François".split()
DOES = ["habite à", "travaille à l'hôpital de", "est né à", "n'aime guère", "a quitté", "reviendra bientôt de"]
WHERE = "Paris Lyon Aix Nîmes Saint-Étienne Besançon".split()
LINES = [f"{who} {does} {where}." for who in FIRST for does in DOES for where in WHERE]
LINES += [f"Le {n} mai, l'œuvre de {who} coûte {n * 7} € !" for n in range(1, 20) for who in FIRST]

TEXTS = [
    "Anna habite à Paris.", "", " ", "  deux  blancs ", "   trois   de suite", "la fin   ", "\tun\ttab\t",
    "ligne\nautre\r\nfin\r", "\n\n", "à l’hôpital", "e\u0301le\u0300ve a\u0300", "ﬁn ﬂux", "Œuvre ßÆ", "🎯 👩\u200d👧 fin",
    "🇫🇷👍🏽", "漢字 Paris 中", "パリ", "مرحبا", "नमस्ते", "\u0000\u0001abc\u001f", "x\u007fy\u0085z", "a\u00adb\u200bc\ufeffd",
    "l’an\u00a0: 5\u00a0€…", "12\u202f345,6\u2009€", "a\u2028b\u3000c", "«\u00a0Oui\u00a0», dit-il…", "½ ² № ™", "Ａｂ１２",
    "ÉLODIE À L'HÔPITAL", "İx ıX", "ΑΣ ς", "<mask> et <s> </s> <unk>", "[CLS] [SEP] [MASK] [UNK]", "Anna<mask>Paul",
    "<s>NOTUSED", "avant[MASK]après [SEP]", "<ent> l'ARS <ent>Aix l'ARS-Paris", "Aixois Aixoises, Aixois.", "▁a ▁▁b ▁",
    "a▁b", "_x_", "anticonstitutionnellement", "Anna" * 26, "1234567890 06 12", "l'an d'été n'aime",
    "don't I'll", "``x'' \"y\"", "— !!??", "#x @y 100% a+b", "\ue000\uffff", "😀😀", "a\u0327\u0301", "\u0301x",
    "\ufeffx", "Ġ Ã©", "##a ##", "%",
]  # fmt: skip

RULES = "".join(
    "\t".join(" ".join(f"{ord(c):X}" for c in part) for part in rule) + "\n"
    for rule in [("ﬁ", "fi"), ("\u00a0", " "), ("\u2009", " "), ("\t", " "), ("\n", " "), ("…", "..."), ("e\u0301", "é"), ("Ａ", "A"), ("\u200b", "")]
)


def pieces(kind, size, **more):
    """A SentencePiece model file with a few rules of normalisation."""
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        rules.write(RULES)
        rules.flush()
        out = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(LINES), model_writer=out, model_type=kind, vocab_size=size, minloglevel=2,
            normalization_rule_tsv=rules.name, **more,
        )  # fmt: skip
    return out.getvalue()


def word_piece(lower):
    """A tokenizer with BERT's vocabulary."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=lower)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(LINES, trainers.WordPieceTrainer(vocab_size=150, special_tokens=special, show_progress=False))
    return made


def lines(made):
    """Its vocab.txt."""
    vocab = made.get_vocab()
    return "".join(piece + "\n" for piece in sorted(vocab, key=vocab.get)).encode()


def byte_level():
    """vocab.json and merges.txt."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        LINES, trainers.BpeTrainer(vocab_size=330, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    )
    with tempfile.TemporaryDirectory() as folder:
        made.model.save(folder)
        return [(Path(folder) / name).read_bytes() for name in ("vocab.json", "merges.txt")]


own = {"user_defined_symbols": ["<ent>", "l'ARS"]}
upper, lower, (vocab, merges) = word_piece(False), word_piece(True), byte_level()
FILES = {
    "unigram": pieces("unigram", 90, **own),
    "bpe": pieces("bpe", 110, **own),
    "deberta": pieces(
        "unigram", 85, pad_id=0, bos_id=1, eos_id=2, unk_id=3, pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]",
        unk_piece="[UNK]", user_defined_symbols=["[MASK]"],
    ),
    "albert": pieces(
        "unigram", 85, pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, pad_piece="<pad>", control_symbols=["[CLS]", "[SEP]", "[MASK]"]
    ),
    "upper": lines(upper),
    "lower": lines(lower),
    "json": upper.to_str().encode(),
    "vocab": vocab,
    "merges": merges,
}  # fmt: skip

GENERIC = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>"}
TOWN = {"content": "Aixois", "special": False, "normalized": True, "lstrip": False, "rstrip": False, "single_word": True}
MASK = {"content": "<mask>", "special": True, "normalized": False, "lstrip": True, "rstrip": False, "single_word": False}
BYTES = {"vocab.json": "vocab", "merges.txt": "merges"}
# name, model_type, files, tokenizer_config.json
CASES = [
    ("camembert", "camembert", {"sentencepiece.bpe.model": "unigram"}, None),
    ("xlm-roberta", "xlm-roberta", {"sentencepiece.bpe.model": "unigram"}, {"tokenizer_class": "XLMRobertaTokenizerFast"}),
    ("xlm-roberta bpe", "xlm-roberta", {"sentencepiece.bpe.model": "bpe"}, None),
    ("own unigram", "camembert", {"tokenizer.model": "unigram"}, GENERIC),
    ("own bpe", "camembert", {"tokenizer.model": "bpe"}, GENERIC),
    ("deberta", "deberta-v2", {"spm.model": "deberta"}, {"split_by_punct": True}),
    ("albert", "albert", {"spiece.model": "albert"}, {"do_lower_case": False}),
    ("bert uncased", "bert", {"vocab.txt": "lower"}, None),
    ("bert cased", "bert", {"vocab.txt": "upper"}, {"do_lower_case": False, "tokenize_chinese_chars": False, "strip_accents": True, "never_split": ["Anna"], "do_basic_tokenize": False}),
    ("bert json", "bert", {"tokenizer.json": "json"}, {"strip_accents": False, "tokenizer_class": "BertTokenizer"}),
    ("roberta", "roberta", BYTES, None),
    ("roberta added", "roberta", BYTES, {"add_prefix_space": True, "added_tokens_decoder": {"4": MASK, "330": TOWN}}),
]  # fmt: skip


def expected(tokenizer, text):
    """The pieces of a text."""
    made = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=False)
    found, bare = list(zip(made["input_ids"], made["offset_mapping"])), tokenizer(text, add_special_tokens=False)["input_ids"]
    around = (len(found) - len(bare)) // 2
    parts, end = [], 0
    for piece, (start, stop) in found[around : len(found) - around]:
        parts.append(f"{piece}-{stop}" if start == end else f"{piece}@{start}-{stop}")
        end = stop
    return " ".join(parts)


def case(name, model_type, files, config):
    with tempfile.TemporaryDirectory() as folder:
        for file, content in files.items():
            (Path(folder) / file).write_bytes(FILES[content])
        if config is not None:
            (Path(folder) / "tokenizer_config.json").write_text(json.dumps(config))
        (Path(folder) / "config.json").write_text(json.dumps({"model_type": model_type}))
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    made = [expected(tokenizer, text) for text in TEXTS]
    return {"name": name, "model_type": model_type, "files": files, "config": config, "size": len(tokenizer), "pieces": made}


result = {
    "texts": TEXTS,
    "files": {name: base64.b64encode(content).decode() for name, content in FILES.items()},
    "cases": [case(*it) for it in CASES],
}
out = Path(__file__).with_name("tokenizers.json")
out.write_text(json.dumps(result, ensure_ascii=True, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")
print(out, out.stat().st_size, "bytes;", {name: len(content) for name, content in FILES.items()}, file=sys.stderr)
