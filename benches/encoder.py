#!/usr/bin/env python3
"""Measures the encoder beside PyTorch and ONNX Runtime on this machine, and prints a Markdown table.

    python3 benches/encoder.py --texts FILE [--teacher DIR]

makes a virtual environment with torch, transformers, onnx and onnxruntime from PyPI outside the checkout (6 GB below
--work), a CamemBERT of the base size with random weights there, builds our side, and runs all in turn, round by round:
the same weights, the same batches, the same threads. Real lengths are those of FILE's lines; with a teacher's folder
the same is measured with its weights, and `predict` beside transformers. With `--device cuda` it is the encoder alone, on
that GPU: forward and training step beside PyTorch eager in f32, SDPA with bf16, and that compiled (`gpu.py`). `--help`
tells the rest.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True  # nothing is left in the checkout

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ["torch", "transformers", "accelerate", "onnx", "onnxruntime", "onnxscript"]

# The goals: our tokens (sentences) per second over theirs.
GOALS = {
    ("f32", "ONNX Runtime"): 1.0,
    ("int8", "ONNX Runtime"): 0.9,
    ("train fixed", "PyTorch"): 1.0,
    ("train real", "PyTorch"): 1.5,
    ("predict", "transformers, sorted, batches of 16"): 2.0,
    ("predict", "transformers' pipeline"): 4.0,
}


def main() -> None:
    options = arguments()
    enter(options)
    import torch

    os.environ["RAYON_NUM_THREADS"] = str(options.threads)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    on_cpu = options.device == "cpu"
    serve = options.serve or build("bench", "serve", [] if on_cpu else ["--features", "cuda"])
    lengths = real_lengths(options)
    if not on_cpu:
        import gpu

        folder = base(options.work / "encoder/base")
        ours = Serve(serve, folder, options.device)
        print(gpu.measure("base", folder, lengths, ours, options.device, options.rounds, say))
        return ours.end()
    rows = []
    models = {"base": base(options.work / "encoder/base")}
    if options.teacher:
        models["teacher"] = options.teacher
    for name, folder in models.items():
        if not options.only or name in options.only:
            rows += encoder(name, folder, lengths, serve, options)
    if options.teacher and (not options.only or "predict" in options.only):
        rows += predict(options)
    print(table(rows, options))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    common(parser)
    parser.add_argument("--teacher", type=Path, help="a token classifier in Hugging Face layout")
    parser.add_argument("--student", type=Path, help="what our predict takes in the teacher's place")
    parser.add_argument("--sentences", type=int, default=1000, help="for predict (%(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (%(default)s)")
    parser.add_argument("--only", nargs="+", help="of base, teacher, predict")
    parser.add_argument("--serve", type=Path, help="our side, built before (bench `serve`)")
    return checked(parser)


def common(parser: argparse.ArgumentParser) -> None:
    """What every bench of a model is told."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser.add_argument(
        "--work", type=Path, default=cache / "ner-pipe-benches", help="where all is put (%(default)s)"
    )
    parser.add_argument(
        "--texts", type=Path, required=True, help="sentences, one a line: whose lengths are real"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ner-pipe", type=Path, help="the binary, built before")


def checked(parser: argparse.ArgumentParser) -> argparse.Namespace:
    options = parser.parse_args()
    options.work = options.work.resolve()
    if options.work == ROOT or ROOT in options.work.parents:
        parser.error("--work has to lie outside the checkout")
    return options


def enter(options: argparse.Namespace) -> None:
    """Goes on in the virtual environment, which is made once."""
    venv = options.work / "encoder-venv"
    python = venv / "bin/python"
    if Path(sys.prefix) == venv:
        return
    installed = venv / "packages.json"
    if not installed.exists() or json.loads(installed.read_text()) != PACKAGES:
        say("installing PyTorch and ONNX Runtime from PyPI")
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES], check=True)
        installed.write_text(json.dumps(PACKAGES))
    os.execv(python, [str(python), *sys.argv])


def build(kind: str, name: str, more: list[str] = []) -> Path:
    """All of the workspace is selected, so that what `cargo build --workspace` made is used."""
    command = {
        "bench": ["bench", "--no-run", "--bench", name],
        "bin": ["build", "--release", "--bin", name],
    }[kind]
    say(f"building {name}")
    cargo = ["cargo", *command, *more, "--workspace", "--locked", "--message-format", "json"]
    done = subprocess.run(cargo, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    artifacts = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return next(
        Path(a["executable"]) for a in artifacts if a.get("executable") and a["target"]["name"] == name
    )


def base(folder: Path) -> Path:
    """camembert-base with random weights, of a token classifier with 9 labels."""
    if not (folder / "model.safetensors").exists():
        from transformers import CamembertConfig, CamembertForTokenClassification

        labels = ["O"] + [f"{part}-{kind}" for kind in ["PER", "LOC", "ORG", "MISC"] for part in "BI"]
        config = CamembertConfig(
            vocab_size=32005,
            max_position_embeddings=514,
            type_vocab_size=1,
            pad_token_id=1,
            bos_token_id=5,
            eos_token_id=6,
            layer_norm_eps=1e-5,
            id2label=dict(enumerate(labels)),
            label2id={label: i for i, label in enumerate(labels)},
        )
        CamembertForTokenClassification(config).save_pretrained(folder)
    return folder


def real_lengths(options: argparse.Namespace) -> list[int]:
    """Pieces of 128 sentences drawn from the texts; without a teacher's tokenizer, 4 characters a piece."""
    lines = sentences(options, 128)
    if not options.teacher:
        return [2 + len(line) // 4 for line in lines]
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(options.teacher / "tokenizer.json"))
    return [len(encoding.ids) for encoding in tokenizer.encode_batch(lines)]


def sentences(options: argparse.Namespace, count: int) -> list[str]:
    lines = [line for line in options.texts.read_text().splitlines() if line.strip()]
    return random.Random(0).sample(lines, min(count, len(lines)))


class Serve:
    """Our side."""

    def __init__(self, binary: Path, folder: Path, device: str = "cpu"):
        self.process = subprocess.Popen(
            [binary, folder, device], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, run: str, batches: list[list[list[int]]]) -> tuple[float, list[float]]:
        self.process.stdin.write(json.dumps({"run": run, "batches": batches}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["seconds"], answer["first"]

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Torch:
    """PyTorch eager, as transformers has it: scaled dot-product attention, fused AdamW, clipping as its Trainer does."""

    def __init__(self, folder: Path):
        import torch
        from transformers import AutoModelForTokenClassification

        self.torch = torch
        drop = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.0}
        load = AutoModelForTokenClassification.from_pretrained
        self.model = load(folder, dtype=torch.float32, **drop).eval()
        self.training = load(folder, dtype=torch.float32, **drop).train()
        self.optimizer = torch.optim.AdamW(self.training.parameters(), lr=5e-5, weight_decay=0.01, fused=True)

    def padded(self, windows: list[list[int]]):
        longest = max(map(len, windows))
        pad = self.model.config.pad_token_id
        ids = self.torch.tensor([window + [pad] * (longest - len(window)) for window in windows])
        mask = self.torch.tensor([[1] * len(window) + [0] * (longest - len(window)) for window in windows])
        return ids, mask

    def forward(self, batches) -> tuple[float, list[float]]:
        first, begun = None, time.perf_counter()
        with self.torch.inference_mode():
            for windows in batches:
                ids, mask = self.padded(windows)
                logits = self.model(input_ids=ids, attention_mask=mask).logits
                first = first if first is not None else logits[0, 0].tolist()
        return time.perf_counter() - begun, first

    def train(self, batches) -> tuple[float, list[float]]:
        first, begun = None, time.perf_counter()
        for windows in batches:
            ids, mask = self.padded(windows)
            labels = (ids % self.model.config.num_labels).masked_fill(mask == 0, -100)
            loss = self.training(input_ids=ids, attention_mask=mask, labels=labels).loss
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.torch.nn.utils.clip_grad_norm_(self.training.parameters(), 1.0)
            self.optimizer.step()
            first = first if first is not None else [loss.item()]
        return time.perf_counter() - begun, first


class Onnx:
    """ONNX Runtime with all optimisations of its session, of a model exported from the same weights."""

    def __init__(self, path: Path, threads: int, torch_side: Torch):
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        self.padded = torch_side.padded

    def forward(self, batches) -> tuple[float, list[float]]:
        first, begun = None, time.perf_counter()
        for windows in batches:
            ids, mask = self.padded(windows)
            (logits,) = self.session.run(None, {"ids": ids.numpy(), "mask": mask.numpy()})
            first = first if first is not None else logits[0, 0].tolist()
        return time.perf_counter() - begun, first


def export(name: str, folder: Path, options: argparse.Namespace) -> tuple[Path, Path]:
    """The model for ONNX Runtime, and the same with dynamic quantisation."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process
    from transformers import AutoModelForTokenClassification

    f32, int8 = options.work / f"encoder/{name}.onnx", options.work / f"encoder/{name}.int8.onnx"
    if not int8.exists():
        say(f"exporting {name} to ONNX")
        f32.parent.mkdir(parents=True, exist_ok=True)
        model = AutoModelForTokenClassification.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        )

        class Logits(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.model = model.eval()

            def forward(self, ids, mask):
                return self.model(input_ids=ids, attention_mask=mask).logits

        example = (torch.full((2, 8), 10), torch.ones((2, 8), dtype=torch.long))
        axes = {name: {0: "batch", 1: "length"} for name in ["ids", "mask", "logits"]}
        torch.onnx.export(
            Logits(),
            example,
            str(f32),
            input_names=["ids", "mask"],
            output_names=["logits"],
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
        prepared = f32.with_suffix(".prepared.onnx")
        quant_pre_process(str(f32), str(prepared), skip_symbolic_shape=True)
        quantize_dynamic(str(prepared), str(int8), weight_type=QuantType.QInt8, per_channel=True)
    return f32, int8


def encoder(
    name: str, folder: Path, lengths: list[int], serve: Path, options: argparse.Namespace
) -> list[tuple]:
    """Forward and training step, all in turn."""
    f32, int8 = export(name, folder, options)
    torch_side = Torch(folder)
    ours = Serve(serve, folder)
    exact, quantised = [Onnx(path, options.threads, torch_side) for path in (f32, int8)]
    draw = random.Random(1)
    vocabulary = torch_side.model.config.vocab_size
    batch = lambda lengths: [[draw.randrange(7, vocabulary) for _ in range(length)] for length in lengths]
    real = [batch(lengths[i : i + 16]) for i in range(0, len(lengths), 16)]
    work = {
        "fixed": ("8 x 64", [batch([64] * 8)]),
        "real": (f"{len(lengths)} sentences by 16", real),
    }
    training = {
        # Several steps, because a training takes more than one, and so little work otherwise begins with sleeping threads.
        "fixed": ("4 x 32", [batch([32] * 4)] * 5),
        "real": (f"{len(lengths) // 2} sentences by 16", real[: len(real) // 2]),
    }
    cases = []
    for kind, (title, batches) in work.items():
        cases.append(
            (
                f"{name} forward f32, {title}",
                batches,
                "f32",
                {
                    "ner-pipe": lambda b=batches: ours("f32", b),
                    "ONNX Runtime": lambda b=batches: exact.forward(b),
                    "PyTorch": lambda b=batches: torch_side.forward(b),
                },
            )
        )
        cases.append(
            (
                f"{name} forward int8, {title}",
                batches,
                "int8",
                {
                    "ner-pipe": lambda b=batches: ours("int8", b),
                    "ONNX Runtime": lambda b=batches: quantised.forward(b),
                },
            )
        )
    for kind, (title, batches) in training.items():
        cases.append(
            (
                f"{name} training step, {title}",
                batches,
                f"train {kind}",
                {
                    "ner-pipe": lambda b=batches: ours("train", b),
                    "PyTorch": lambda b=batches: torch_side.train(b),
                },
            )
        )
    seconds: dict[tuple[str, str], list[float]] = {}
    for turn in range(options.rounds + 1):
        for title, _, kind, contenders in cases:
            say(f"{title}: round {turn} of {options.rounds}")
            found = {}
            for who, run in contenders.items():
                taken, found[who] = run()
                if turn > 0:
                    seconds.setdefault((title, who), []).append(taken)
            if turn == 0:
                agree(title, kind, found)
    ours.end()
    rows = []
    for title, batches, kind, contenders in cases:
        tokens = sum(len(window) for windows in batches for window in windows)
        for who in contenders:
            if who != "ner-pipe":
                rows.append(
                    row(title, kind, who, tokens, "tokens/s", seconds[title, "ner-pipe"], seconds[title, who])
                )
    return rows


def agree(title: str, kind: str, found: dict[str, list[float]]) -> None:
    """All computed the same, or nothing is worth measuring; 8 bits differ by how they round, and so does a loss once
    weights were trained in turn on other cases."""
    ours, limit = found["ner-pipe"], {"int8": 0.5, "train real": 0.05}.get(kind, 2e-3)
    for who, theirs in found.items():
        distance = max(abs(a - b) for a, b in zip(ours, theirs))
        if distance > limit:
            raise SystemExit(f"{title}: {who} is {distance} away from ner-pipe\n{ours}\n{theirs}")


def predict(options: argparse.Namespace) -> list[tuple]:
    """Sentences per second, models loaded before: of our process what an empty input takes is taken off."""
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

    binary = options.ner_pipe or build("bin", "ner-pipe")
    lines = sentences(options, options.sentences)
    inputs = {"all": options.work / "encoder/predict.txt", "none": options.work / "encoder/none.txt"}
    inputs["all"].write_text("".join(line + "\n" for line in lines))
    inputs["none"].write_text("")
    model = AutoModelForTokenClassification.from_pretrained(options.teacher, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(options.teacher)
    as_it_comes = pipeline(
        "token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="first"
    )

    def ours(precision: str) -> float:
        taken = {}
        for name, path in inputs.items():
            command = [
                binary,
                "predict",
                "--device",
                "cpu",
                "--precision",
                precision,
                "--model",
                options.student or options.teacher,
                "--input",
                path,
            ]
            begun = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            taken[name] = time.perf_counter() - begun
        return taken["all"] - taken["none"]

    def by_length() -> float:
        begun = time.perf_counter()
        ids = tokenizer(lines, truncation=True, max_length=512)["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        with torch.inference_mode():
            for start in range(0, len(order), 16):
                some = tokenizer.pad(
                    {"input_ids": [ids[i] for i in order[start : start + 16]]}, return_tensors="pt"
                )
                model(**some).logits.softmax(-1).max(-1)
        return time.perf_counter() - begun

    def piped() -> float:
        begun = time.perf_counter()
        as_it_comes(lines)
        return time.perf_counter() - begun

    contenders = {
        "ner-pipe": lambda: ours("f32"),
        "ner-pipe int8": lambda: ours("int8"),
        "transformers, sorted, batches of 16": by_length,
        "transformers' pipeline": piped,
    }
    seconds: dict[str, list[float]] = {}
    for turn in range(options.rounds + 1):
        say(f"predict: round {turn} of {options.rounds}")
        for who, run in contenders.items():
            taken = run()
            if turn > 0:
                seconds.setdefault(who, []).append(taken)
    return [
        row(
            f"{'student' if options.student else 'teacher'} predict{mode}, {len(lines)} sentences",
            "predict" + mode,
            who,
            len(lines),
            "sentences/s",
            seconds["ner-pipe" + mode],
            seconds[who],
        )
        for mode in ["", " int8"]
        for who in ["transformers, sorted, batches of 16", "transformers' pipeline"]
    ]


def row(title, kind, who, amount, unit, ours, theirs) -> tuple:
    """The ratio is the median of the rounds' ratios: what disturbs a round disturbs both."""
    ratio = statistics.median(b / a for a, b in zip(ours, theirs))
    goal = GOALS.get((kind, who))
    rates = [f"{amount / statistics.median(seconds):,.0f}" for seconds in (ours, theirs)]
    return title, who, f"{goal:.1f}" if goal else "", *[f"{rate} {unit}" for rate in rates], f"{ratio:.2f}"


def table(rows: list[tuple], options: argparse.Namespace) -> str:
    import onnxruntime
    import torch
    import transformers

    lines = ["| | beside | goal | ner-pipe | theirs | ratio |", "|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    versions = f"PyTorch {torch.__version__}, transformers {transformers.__version__}, ONNX Runtime {onnxruntime.__version__}"
    lines.append(
        f"\nMedians of {options.rounds} rounds in turn, {options.threads} threads; {versions}; load {os.getloadavg()[0]:.1f}."
    )
    return "\n".join(lines)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
