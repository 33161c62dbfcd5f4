#!/usr/bin/env python3
"""Measures one epoch of distillation beside a transformers Trainer with the same losses, and prints a Markdown table.

    python3 benches/distill.py --texts FILE --teacher DIR

Both begin with the same student (10 of the teacher's layers, its head, a CRF) and learn the same sentences from the same
teacher with cross-entropy, soft targets, hidden states and the CRF's likelihood. Ours is the whole stage of `ner-pipe run`:
process, loading, training, dev part, saving. Theirs is `Trainer.train()` alone: loading is not counted, and nothing is
scored or saved; with its batches as they come, and with sentences grouped by length. It uses the virtual environment of
`encoder.py`.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import time
from pathlib import Path

import encoder
from encoder import ROOT, say

WEIGHTS = {"ce": 1.0, "kd": 1.0, "hidden": 0.2, "crf": 0.2}  # as `distill` has them from its second epoch on
TEMPERATURE, BOUNDARY, LAYERS = 2.5, 0.5, 10
TRAINERS = {"transformers' Trainer": "random", "the same, batches by length": "group_by_length"}

PIPELINE = """seed = 42
[sources]
corpus  = {{ path = "corpus.txt", kind = "text" }}
teacher = {{ path = "teacher", kind = "model" }}
[stage.annotate]
inputs = {{ text = "sources.corpus", teacher = "sources.teacher" }}
[stage.split]
inputs = {{ records = "annotate.records" }}
[stage.distill]
inputs = {{ train = "split.train", dev = "split.dev", teacher = "sources.teacher" }}
params = {{ keep_layers = {layers}, epochs = 1, lr = 2e-5, temperature = {temperature}, boundary = {boundary}, weights_first = {weights}, batch_tokens = {tokens} }}
"""


def inline(table: dict[str, float]) -> str:
    """A TOML inline table."""
    return "{ " + ", ".join(f"{key} = {value}" for key, value in table.items()) + " }"


def main() -> None:
    options = arguments()
    encoder.enter(options)
    import torch

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    binary = options.ner_pipe or encoder.build("bin", "ner-pipe")
    ours = Ours(binary, options)
    ours.untrained()
    theirs = Theirs(ours.folder, options)
    agree(ours.terms(), theirs.untrained())
    runs = {"ner-pipe": ours.epoch}
    runs |= {title: lambda sampling=sampling: theirs.epoch(sampling) for title, sampling in TRAINERS.items()}
    seconds: dict[str, list[float]] = {who: [] for who in runs}
    for turn in range(1, options.rounds + 1):
        for who, run in runs.items():
            seconds[who].append(run())
            say(f"round {turn} of {options.rounds}: {who} {seconds[who][-1]:.1f} s")
    print(table(seconds, theirs.sentences, options))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    encoder.common(parser)
    parser.add_argument("--teacher", type=Path, required=True, help="a token classifier in Hugging Face layout")
    parser.add_argument("--sentences", type=int, default=1000, help="before the split (%(default)s)")
    parser.add_argument("--batch-tokens", type=int, default=1024, help="of ours (%(default)s); theirs is sentences")
    return encoder.checked(parser)


class Ours:
    """`ner-pipe run distill` in a project of its own."""

    def __init__(self, binary: Path, options: argparse.Namespace):
        self.command = [binary, "run", "distill", "--device", "cpu", "--threads", str(options.threads)]
        self.folder = options.work / "distill"
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "corpus.txt").write_text("\n".join(encoder.sentences(options, options.sentences)) + "\n")
        teacher = self.folder / "teacher"
        teacher.unlink(missing_ok=True)
        teacher.symlink_to(options.teacher.resolve())
        settings = dict(
            layers=LAYERS, temperature=TEMPERATURE, boundary=BOUNDARY, weights=inline(WEIGHTS), tokens=options.batch_tokens
        )
        (self.folder / "pipeline.toml").write_text(PIPELINE.format(**settings))

    def run(self, *more: str) -> float:
        begun = time.perf_counter()
        done = subprocess.run([*self.command, *more], cwd=self.folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        return time.perf_counter() - begun

    def untrained(self) -> None:
        """At a rate of next to nothing the student stays what it begins as: theirs begins there too."""
        self.run("--set", "distill.lr=1e-30", "--set", "distill.weight_decay=0.0")
        (self.folder / "untrained").unlink(missing_ok=True)
        (self.folder / "untrained").symlink_to((self.folder / "artifacts/distill/model").resolve())

    def terms(self) -> dict[str, float]:
        steps = (self.folder / "artifacts/distill/history/steps.jsonl").read_text().splitlines()
        terms = [json.loads(step)["terms"] for step in steps]
        return {name: statistics.mean(step[name]["raw"] for step in terms) for name in NAMES}

    def epoch(self) -> float:
        # What an interrupted bench left would shorten it.
        shutil.rmtree(self.folder / "cache/checkpoints", ignore_errors=True)
        return self.run("--force", "distill")


NAMES = ["ce", "kd", "hidden", "crf"]


class Theirs:
    """A script as one would write it: the Trainer with its own loss and dynamic padding."""

    def __init__(self, folder: Path, options: argparse.Namespace):
        import torch
        from transformers import AutoModelForTokenClassification, AutoTokenizer

        self.torch, self.options, self.folder = torch, options, folder
        load = AutoModelForTokenClassification.from_pretrained
        still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.0}
        student = folder / "artifacts/distill/model"
        config = json.loads((student / "config.json").read_text())
        self.origins = [layer["from_teacher_layer"] for layer in config["ner_pipe"]["layers"]]
        self.labels = [config["id2label"][str(i)] for i in range(len(config["id2label"]))]
        self.teacher = load(options.teacher, dtype=torch.float32).eval()
        self.start = load(student, dtype=torch.float32, **still)
        self.crf = {name: weight for name, weight in tensors(student).items() if name.startswith("crf.")}
        tokenizer = AutoTokenizer.from_pretrained(options.teacher)
        records = [json.loads(line) for line in (folder / "artifacts/split/train.jsonl").open()]
        self.sentences = len(records)
        self.rows = [self.row(tokenizer, record) for record in records]
        tokens = sum(len(row["input_ids"]) for row in self.rows)
        self.batch = max(1, round(options.batch_tokens * len(self.rows) / tokens))
        self.pad = tokenizer.pad_token_id

    def row(self, tokenizer, record: dict) -> dict:
        """The first sub-word of each word carries its tag; a sub-word is its word's first where it covers the start."""
        encoded = tokenizer(record["text"], return_offsets_mapping=True, truncation=True, max_length=512)
        labels, weights = [-100] * len(encoded["input_ids"]), [0.0] * len(encoded["input_ids"])
        starts = {start: i for i, (start, _) in enumerate(record["words"])}
        text = record["text"]
        for place, (start, end) in enumerate(encoded["offset_mapping"]):
            while start < end and text[start].isspace():
                start += 1
            word = starts.pop(start, None) if start < end else None
            if word is not None:
                labels[place] = self.labels.index(record["tags"][word])
                weights[place] = record["score"][word]
        return {"input_ids": encoded["input_ids"], "labels": labels, "weights": weights}

    def collate(self, rows: list[dict]) -> dict:
        torch, longest = self.torch, max(len(row["input_ids"]) for row in rows)
        fill = lambda key, pad: torch.tensor([row[key] + [pad] * (longest - len(row[key])) for row in rows])
        ids = fill("input_ids", self.pad)
        return {
            "input_ids": ids,
            "attention_mask": torch.tensor(
                [[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows]
            ),
            "labels": fill("labels", -100),
            "weights": fill("weights", 0.0),
        }

    def terms(self, model, batch: dict) -> list:
        torch, F = self.torch, self.torch.nn.functional
        ids, mask = batch["input_ids"], batch["attention_mask"]
        output = model.encoder(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        with torch.no_grad():
            taught = self.teacher(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        owned = batch["labels"] >= 0
        logits, gold, weight = output.logits[owned], batch["labels"][owned], batch["weights"][owned]
        first = torch.cat([torch.ones(1, dtype=torch.bool), owned.nonzero()[1:, 0] != owned.nonzero()[:-1, 0]])
        count = len(gold)
        ce = (weight * F.cross_entropy(logits, gold, reduction="none")).sum() / count
        pairs = [(i + 1, origin + 1) for i, origin in enumerate(self.origins)]
        hidden = sum(
            1 - F.cosine_similarity(output.hidden_states[ours][owned], taught.hidden_states[theirs][owned]).mean()
            for ours, theirs in pairs
        ) / len(pairs)
        return [ce, self.soft(logits, taught.logits[owned], first), hidden, self.nll(model, logits, gold, owned)]

    def soft(self, logits, taught, first):
        """7 BIO labels of the teacher's IO labels: B- where the word before is not of the type."""
        torch = self.torch
        names = self.teacher.config.id2label
        p = (taught / TEMPERATURE).softmax(-1)
        column = {name: i for i, name in names.items()}
        kinds = [name[2:] for name in self.labels if name.startswith("B-")]
        of = torch.stack([p[:, column[f"I-{kind}"]] for kind in kinds], 1)
        before = torch.where(first[:, None], 0.0, of.roll(1, 0))
        s = (logits / TEMPERATURE).log_softmax(-1)
        begin = [self.labels.index(f"B-{kind}") for kind in kinds]
        inside = [self.labels.index(f"I-{kind}") for kind in kinds]
        both = torch.logaddexp(s[:, begin], s[:, inside])
        outside = 1 - of.sum(1)
        entropy = lambda q: torch.special.xlogy(q, q)
        io = entropy(outside) - outside * s[:, 0] + (entropy(of) - of * both).sum(1)
        b, i = of * (1 - before), of * before
        split = entropy(b) - b * (s[:, begin] - both) + entropy(i) - i * (s[:, inside] - both)
        boundary = (split - entropy(of)).sum(1)
        return TEMPERATURE**2 * (io + BOUNDARY * boundary).mean()

    def nll(self, model, logits, gold, owned):
        """All sentences of the batch at once, a word a step."""
        torch = self.torch
        lengths = owned.sum(1)
        texts, longest = len(lengths), int(lengths.max())
        present = torch.arange(longest)[None] < lengths[:, None]
        emissions = logits.new_zeros(texts, longest, len(self.labels)).masked_scatter(present[..., None], logits)
        tags = gold.new_zeros(texts, longest).masked_scatter(present, gold)
        moves = model.transitions.masked_fill(model.illegal, -1e9)
        start = model.start.masked_fill(model.illegal_start, -1e9)
        alpha = start + emissions[:, 0]
        path = alpha.gather(1, tags[:, :1])[:, 0]
        for t in range(1, longest):
            next = (alpha[:, :, None] + moves).logsumexp(1) + emissions[:, t]
            step = moves[tags[:, t - 1], tags[:, t]] + emissions[:, t].gather(1, tags[:, t : t + 1])[:, 0]
            alpha = torch.where(present[:, t, None], next, alpha)
            path = path + torch.where(present[:, t], step, 0.0)
        last = tags.gather(1, (lengths - 1)[:, None])[:, 0]
        return ((alpha + model.end).logsumexp(1) - path - model.end[last]).sum() / len(gold)

    def model(self):
        import copy

        torch = self.torch

        class Student(torch.nn.Module):
            def __init__(self, encoder, crf, labels):
                super().__init__()
                self.encoder = encoder
                for name in ["transitions", "start", "end"]:
                    self.register_parameter(name, torch.nn.Parameter(crf[f"crf.{name}"].clone()))
                legal = lambda a, b: not b.startswith("I-") or a[2:] == b[2:]
                self.illegal = torch.tensor([[not legal(a, b) for b in labels] for a in labels])
                self.illegal_start = torch.tensor([b.startswith("I-") for b in labels])

        return Student(copy.deepcopy(self.start), self.crf, self.labels)

    def untrained(self) -> dict[str, float]:
        """Means over words; ours are over batches of as many tokens, which is nearly the same."""
        model, found, words = self.model().eval(), [], []
        with self.torch.no_grad():
            for at in range(0, len(self.rows), self.batch):
                batch = self.collate(self.rows[at : at + self.batch])
                found.append([float(term) for term in self.terms(model, batch)])
                words.append(int((batch["labels"] >= 0).sum()))
        return {name: statistics.fmean(means, words) for name, means in zip(NAMES, zip(*found))}

    def epoch(self, sampling: str) -> float:
        from transformers import Trainer, TrainingArguments

        side = self

        class Distiller(Trainer):
            def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
                return sum(weight * term for weight, term in zip(WEIGHTS.values(), side.terms(model, inputs)))

        settings = TrainingArguments(
            output_dir=str(self.folder / "trainer"),
            num_train_epochs=1,
            per_device_train_batch_size=self.batch,
            learning_rate=2e-5,
            weight_decay=0.01,
            warmup_steps=10,
            max_grad_norm=1.0,
            optim="adamw_torch_fused",
            train_sampling_strategy=sampling,
            remove_unused_columns=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = Distiller(self.model(), settings, data_collator=self.collate, train_dataset=self.rows)
        begun = time.perf_counter()
        trainer.train()
        return time.perf_counter() - begun


def tensors(folder: Path) -> dict:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def agree(ours: dict[str, float], theirs: dict[str, float]) -> None:
    """Batches differ, so means over batches do by some per cent; another loss would be far off."""
    for name in NAMES:
        if abs(ours[name] - theirs[name]) > 0.1 * abs(ours[name]):
            raise SystemExit(f"the losses differ before training: ours {ours}, theirs {theirs}")


def table(seconds: dict[str, list[float]], sentences: int, options: argparse.Namespace) -> str:
    import torch
    import transformers

    ours = statistics.median(seconds["ner-pipe"])
    rows = ""
    for title in TRAINERS:
        ratio = statistics.median(b / a for a, b in zip(seconds["ner-pipe"], seconds[title]))
        theirs = statistics.median(seconds[title])
        rows += f"| one epoch of distillation, {sentences} sentences | {title} | 2.0 | {ours:.1f} s | {theirs:.1f} s | {ratio:.2f} |\n"
    return (
        f"| | beside | goal | ner-pipe | theirs | ratio |\n|---|---|---|---|---|---|\n{rows}\n"
        f"Medians of {options.rounds} rounds in turn, {options.threads} threads; "
        f"PyTorch {torch.__version__}, transformers {transformers.__version__}."
    )


if __name__ == "__main__":
    main()
