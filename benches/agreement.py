#!/usr/bin/env python3
"""How often programs find in a text what `ner-pipe predict` finds with the same model.

    benches/agreement.py MODEL TEXTS [--count 400] [--binary target/release/ner-pipe]

Beside transformers' pipeline("ner", aggregation_strategy="simple") and, where it is installed, the wheel. TEXTS has a text a
line. A text counts where all entities have the same type and the same characters, white space at their ends aside. Needs
torch and transformers.
"""

import argparse
import json
import subprocess
import sys


def trimmed(text, entity, kind):
    start, end = entity["start"], entity["end"]
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return entity[kind], start, end


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("texts")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--binary", default="target/release/ner-pipe")
    parser.add_argument("--least", type=float, help="exit 1 where transformers agrees in a smaller share")
    options = parser.parse_args()

    with open(options.texts, encoding="utf-8") as file:
        texts = [line.strip() for line in file if line.strip()]
    texts = texts[:: max(1, len(texts) // options.count)][: options.count]
    out = subprocess.run(
        [options.binary, "predict", "--model", options.model],
        input="\n".join(texts), capture_output=True, text=True, check=True,
    ).stdout
    ours = [[trimmed(text, e, "type") for e in json.loads(line)["entities"]]
            for text, line in zip(texts, out.splitlines(), strict=True)]

    import torch
    import transformers

    torch.set_grad_enabled(False)
    ner = transformers.pipeline("ner", model=options.model, aggregation_strategy="simple", dtype=torch.float32)
    theirs = [[trimmed(text, e, "entity_group") for e in found] for text, found in zip(texts, ner(texts))]
    share = report("transformers", ours, theirs)

    try:
        import ner_pipe
    except ImportError:
        print("the wheel is not installed: not compared", file=sys.stderr)
    else:
        model = ner_pipe.load(options.model)
        report("the wheel", ours, [[trimmed(t, e, "entity_group") for e in f] for t, f in zip(texts, model(texts))])
    sys.exit(options.least is not None and share < options.least)


def report(name, ours, theirs):
    same = sum(a == b for a, b in zip(ours, theirs, strict=True))
    entities = sum(map(len, ours))
    print(f"{name}: {same} of {len(ours)} texts ({100 * same / len(ours):.1f} %), with {entities} entities")
    return same / len(ours)


if __name__ == "__main__":
    main()
