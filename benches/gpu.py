"""The encoder on a GPU beside PyTorch there: `encoder.py --device cuda`, which imports this in its virtual environment."""

import random
import statistics
import time
from pathlib import Path

# Dense peaks without sparsity, in TFLOP/s, from NVIDIA's data sheets: bf16, and TF32 for f32.
PEAKS = {"H100": (989, 495), "H200": (989, 495), "A100": (312, 156), "L40S": (362, 183), "L4": (121, 60), "4090": (165, 83)}


class Torch:
    """One way of PyTorch's: `eager` f32, `sdpa` in bf16 under autocast, or that compiled."""

    def __init__(self, folder: Path, device: str, attention: str, narrow: bool, compiled: bool):
        import torch
        from transformers import AutoModelForTokenClassification

        self.torch, self.device, self.narrow = torch, device, narrow
        drop = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.0}
        load = lambda: AutoModelForTokenClassification.from_pretrained(
            folder, dtype=torch.float32, attn_implementation=attention, **drop
        ).to(device)
        self.model, self.training = load().eval(), load().train()
        self.config = self.model.config
        self.optimizer = torch.optim.AdamW(self.training.parameters(), lr=5e-5, weight_decay=0.01, fused=True)
        if compiled:
            self.model, self.training = [torch.compile(m, dynamic=True) for m in (self.model, self.training)]

    def padded(self, windows):
        longest = max(map(len, windows))
        pad = self.config.pad_token_id
        ids = self.torch.tensor([window + [pad] * (longest - len(window)) for window in windows])
        mask = self.torch.tensor([[1] * len(window) + [0] * (longest - len(window)) for window in windows])
        return ids.to(self.device, non_blocking=True), mask.to(self.device, non_blocking=True)

    def computing(self):
        return self.torch.autocast(self.device.split(":")[0], self.torch.bfloat16, enabled=self.narrow)

    def wait(self):
        if self.device.startswith("cuda"):
            self.torch.cuda.synchronize()

    def forward(self, batches):
        first, begun = None, time.perf_counter()
        with self.torch.inference_mode(), self.computing():
            for windows in batches:
                ids, mask = self.padded(windows)
                logits = self.model(input_ids=ids, attention_mask=mask).logits
                first = first if first is not None else logits[0, 0]
        self.wait()
        return time.perf_counter() - begun, first.float().tolist()

    def train(self, batches):
        first, begun = None, time.perf_counter()
        for windows in batches:
            ids, mask = self.padded(windows)
            labels = (ids % self.config.num_labels).masked_fill(mask == 0, -100)
            with self.computing():
                loss = self.training(input_ids=ids, attention_mask=mask, labels=labels).loss
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.torch.nn.utils.clip_grad_norm_(self.training.parameters(), 1.0)
            self.optimizer.step()
            first = first if first is not None else loss.detach()
        self.wait()
        return time.perf_counter() - begun, [first.float().item()]


def flops(config, batches) -> float:
    """Matrix products of a forward pass over tokens, as `stages/ml/encoder/flops.rs` counts them: no padding."""
    h, f, n = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    of = lambda tokens: 2 * tokens * (n * (4 * h * h + 2 * tokens * h + 2 * h * f) + h * config.num_labels)
    return float(sum(of(len(window)) for windows in batches for window in windows))


def measure(name, folder: Path, lengths, serve, device: str, rounds: int, say) -> str:
    """A table: forward and training step, f32 and bf16, in turn. `serve` answers for our side."""
    import torch

    card = torch.cuda.get_device_name(device) if device.startswith("cuda") else "the CPU"
    narrow_peak, wide_peak = next((peaks for key, peaks in PEAKS.items() if key in card), (None, None))
    ways = {
        "eager f32": Torch(folder, device, "eager", False, False),
        "SDPA + bf16": Torch(folder, device, "sdpa", True, False),
        "torch.compile, SDPA + bf16": Torch(folder, device, "sdpa", True, True),
    }
    config = ways["eager f32"].config
    draw = random.Random(1)
    batch = lambda lengths: [[draw.randrange(7, config.vocab_size) for _ in range(length)] for length in lengths]
    # A GPU is not busy with a few hundred tokens.
    real = [batch(lengths[i : i + 64]) for i in range(0, len(lengths), 64)]
    shapes = {"32 x 128": [batch([128] * 32)] * 4, f"{len(lengths)} sentences by 64": real}
    cases = [
        (f"{name} {work} {kind}, {title}", batches, run, kind, factor, names)
        for title, batches in shapes.items()
        for work, factor in [("forward", 1), ("training step", 3)]
        for kind, run, names in [
            ("f32", {1: "f32", 3: "train"}[factor], ["eager f32"]),
            ("bf16", {1: "bf16", 3: "train-bf16"}[factor], ["SDPA + bf16", "torch.compile, SDPA + bf16"]),
        ]
    ]
    seconds: dict[tuple[str, str], list[float]] = {}
    for turn in range(rounds + 1):
        for title, batches, run, kind, factor, names in cases:
            say(f"{title}: round {turn} of {rounds}")
            found = {}
            taken, found["ner-pipe"] = serve(run, batches)
            all = {"ner-pipe": taken}
            for who in names:
                all[who], found[who] = ways[who].train(batches) if factor == 3 else ways[who].forward(batches)
            if turn == 0:
                agree(title, kind, factor, found)
            else:
                for who, taken in all.items():
                    seconds.setdefault((title, who), []).append(taken)
    lines = [
        f"On {card}, PyTorch {torch.__version__}, medians of {rounds} rounds in turn. MFU: matrix products of real tokens over the"
        f" data sheet's dense peak ({narrow_peak} TFLOP/s bf16, {wide_peak} TF32).\n",
        "| | beside | ner-pipe | MFU | theirs | MFU | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, batches, run, kind, factor, names in cases:
        tokens = sum(len(window) for windows in batches for window in windows)
        work, peak = factor * flops(config, batches), narrow_peak if kind == "bf16" else wide_peak
        ours = seconds[title, "ner-pipe"]
        share = lambda taken: f"{100 * work / taken / peak / 1e12:.1f} %" if peak else ""
        for who in names:
            theirs = seconds[title, who]
            ratio = statistics.median(b / a for a, b in zip(ours, theirs))
            a, b = statistics.median(ours), statistics.median(theirs)
            cells = [title, who, f"{tokens / a:,.0f} tokens/s", share(a), f"{tokens / b:,.0f} tokens/s", share(b)]
            lines.append("| " + " | ".join([*cells, f"{ratio:.2f}"]) + " |")
    return "\n".join(lines)


def agree(title: str, kind: str, factor: int, found) -> None:
    """All computed the same but for rounding, or nothing is worth measuring."""
    limit = {"f32": 0.02, "bf16": 0.1}[kind] if factor == 1 else 0.2
    for who, theirs in found.items():
        distance = max(abs(a - b) for a, b in zip(found["ner-pipe"], theirs))
        if distance > limit:
            raise SystemExit(f"{title}: {who} is {distance} away from ner-pipe\n{found['ner-pipe']}\n{theirs}")
