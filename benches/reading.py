#!/usr/bin/env python3
"""Measures reading, cleaning and tokenising of text beside `datasets` and transformers' fast tokenizer, and prints a table.

    python3 benches/reading.py --texts FILE --tokenizer DIR [--lines 1000000] [--rounds 3] [--work /tmp/reading]

makes a corpus of so many lines from those of FILE, each with a word of its own, and a virtual environment with datasets
and transformers outside the checkout. Both sides read the file, bring each line to NFC, fold white space, drop lines out of
15 to 350 characters and exact duplicates, and tokenise what is left with the tokenizer of DIR on all cores; in turn, round by
round. The medians count.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import venv
from pathlib import Path

sys.dont_write_bytecode = True

ROOT = Path(__file__).resolve().parent.parent
# What their side keeps: what ours does beside (repairing double encoding, near duplicates) it does not do.
THEIRS = """
import json, sys, time, unicodedata
import datasets, transformers
datasets.disable_progress_bars(); datasets.disable_caching(); transformers.logging.set_verbosity_error()
corpus, folder, processes, cache = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
start = time.perf_counter()
data = datasets.load_dataset("text", data_files=corpus, split="train", cache_dir=cache)
read = time.perf_counter() - start
def tidy(batch):
    return {"text": [" ".join(unicodedata.normalize("NFC", line).split()) for line in batch["text"]]}
tidied = data.map(tidy, batched=True, num_proc=processes)
tidied = tidied.filter(lambda batch: [15 <= len(line) <= 350 for line in batch["text"]], batched=True, num_proc=processes)
seen = set()
def new(batch):
    fresh = []
    for line in batch["text"]:
        fresh.append(line not in seen)
        seen.add(line)
    return fresh
kept = tidied.filter(new, batched=True)
clean = time.perf_counter() - start
pieces = 0
for at in range(0, len(kept), 10000):
    ids = tokenizer(kept[at : at + 10000]["text"], add_special_tokens=False, return_attention_mask=False, return_offsets_mapping=True)
    pieces += sum(map(len, ids["input_ids"]))
total = time.perf_counter() - start
print(json.dumps({"lines": len(data), "kept": len(kept), "pieces": pieces, "read": read, "clean": clean - read, "tokenise": total - clean}))
"""


def corpus(options) -> Path:
    path = options.work / f"corpus-{options.lines}.txt"
    if not path.exists():
        lines = [line.strip() for line in options.texts.read_text().splitlines() if 15 <= len(line.strip()) <= 340]
        with path.open("w") as file:
            # In letters: ours takes lines that differ in their numbers alone for the same.
            word = str.maketrans("0123456789", "abcdefghij")
            file.writelines(f"{lines[n % len(lines)]} {str(n).translate(word)}\n" for n in range(options.lines))
    return path


def ours(options, text: Path) -> dict:
    command = ["cargo", "bench", "--quiet", "--workspace", "--bench", "reading", "--", str(text), str(options.tokenizer)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def theirs(options, text: Path) -> dict:
    cache = options.work / "cache"
    subprocess.run(["rm", "-rf", str(cache)], check=True)
    arguments = [str(text), str(options.tokenizer), str(os.cpu_count()), str(cache)]
    command = [str(options.work / "venv/bin/python"), "-c", THEIRS, *arguments]
    environment = os.environ | {"TOKENIZERS_PARALLELISM": "true", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("/tmp/reading"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    options.tokenizer = options.tokenizer.resolve()
    if not (options.work / "venv").exists():
        venv.create(options.work / "venv", with_pip=True)
        pip = [str(options.work / "venv/bin/pip"), "install", "--quiet", "datasets", "transformers", "sentencepiece", "protobuf"]
        subprocess.run(pip, check=True)
    text = corpus(options)
    rounds = []
    for number in range(options.rounds):
        rounds.append((ours(options, text), theirs(options, text)))
        print(f"round {number + 1}: {rounds[-1]}", file=sys.stderr)
    print(f"| {options.lines:,} lines, {os.cpu_count()} cores | ner-pipe | datasets, transformers | ratio |")
    print("|---|---|---|---|")
    for name, keys in [("read and clean", ["read", "clean"]), ("tokenise", ["tokenise"])]:
        one, other = ([sum(side[key] for key in keys) for side in sides] for sides in zip(*rounds))
        ratio = statistics.median(b / a for a, b in zip(one, other))
        print(f"| {name} | {statistics.median(one):.1f} s | {statistics.median(other):.1f} s | {ratio:.1f} x |")


main()
