#!/usr/bin/env python3
"""Measures ONNX models that `ner-pipe export` wrote beside each other in ONNX Runtime, and prints a Markdown table:

    python benches/onnx.py TEACHER STUDENT.. [--threads 2] [--rounds 40] [--cells 32x1,64x8]

with onnxruntime and numpy; the models are folders with model.onnx and config.json. Models are read in turn, round by round, so that
what else the machine does meets all of them; the ratio is the median of the rounds' ratios. Beside it stands the share of
the teacher's FLOPs (docs/math.md, "Parameters, FLOPs, memory") and the goal: 0.85 of the speed-up that it promises.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import onnxruntime


def flops(config, tokens):
    """Of the layers and the classifier, as `ner_pipe` in config.json has them; of encoders in which all see all."""
    hidden, head_dim = config["hidden_size"], config["ner_pipe"]["head_dim"]
    total = 2 * tokens * hidden * len(config["id2label"])
    for layer in config["ner_pipe"]["layers"]:
        attention = layer["heads"] * head_dim
        total += 2 * tokens * (4 * hidden * attention + 2 * hidden * layer["ffn"]) + 4 * tokens * tokens * attention
    return total


class Model:
    def __init__(self, folder, threads):
        self.config = json.loads((folder / "config.json").read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, ["CPUExecutionProvider"])
        self.inputs = [entry.name for entry in self.session.get_inputs()]
        self.name = folder.name

    def seconds(self, tokens, batch):
        ids = np.random.default_rng(0).integers(5, self.config["vocab_size"], (batch, tokens))
        mask = np.ones_like(ids)
        given = dict(zip(self.inputs, [ids, mask, np.zeros_like(ids)]))
        start = time.perf_counter()
        self.session.run(None, given)
        return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("students", type=Path, nargs="+")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--cells", default="32x1,64x8", help="tokens x sentences, at once")
    options = parser.parse_args()
    teacher, *students = [Model(folder, options.threads) for folder in [options.teacher, *options.students]]
    print("| model | tokens x batch | teacher ms | ms | times as fast | by FLOPs | 0.85 of that |")
    print("|---|---|---|---|---|---|---|")
    for cell in options.cells.split(","):
        tokens, batch = map(int, cell.split("x"))
        rounds = []
        for number in range(options.rounds + 3):
            took = [model.seconds(tokens, batch) for model in [teacher, *students]]
            if number >= 3:
                rounds.append(took)
        for place, student in enumerate(students, 1):
            ratio = statistics.median(took[0] / took[place] for took in rounds)
            by_flops = flops(teacher.config, tokens) / flops(student.config, tokens)
            own, theirs = (1000 * statistics.median(took[at] for took in rounds) for at in (place, 0))
            print(
                f"| {student.name} | {tokens} x {batch} | {theirs:.2f} | {own:.2f} | {ratio:.2f} | {by_flops:.2f} | "
                f"{0.85 * by_flops:.2f} {'met' if ratio >= 0.85 * by_flops else 'MISSED'} |"
            )


main()
