"""The README's "Use the student", as a reader would do it: each of its blocks runs beside the student, and all of them find
the same entities in every test sentence."""

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from conftest import environment, ner_pipe
from ner_pipe import load

README = Path(__file__).parents[2] / "README.md"
TEXT = "Mme Durand habite à Angers."
MODEL = "artifacts/finetune/model"


def block(language, word):
    section = README.read_text().split("\n## Use the student\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    found = [code for kind, code in blocks if kind == language and word in code]
    assert len(found) == 1, f"{len(found)} blocks of {language} with {word!r}"
    return found[0]


def shell(project, code):
    command = ["bash", "-euo", "pipefail", "-c", code]
    return subprocess.run(command, cwd=project, env=environment(), capture_output=True, text=True, check=True).stdout


def prompt(project, monkeypatch, code):
    """What a Python prompt in the project shows for the last line, and the names before it."""
    monkeypatch.chdir(project)
    *before, last = [line for line in code.splitlines() if line.strip()]
    names = {}
    exec("\n".join(before), names)
    return eval(last, names), names


def needs(*modules):
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"a block of the README did not run: {', '.join(missing)} cannot be had")


def places(entities, kind="type"):
    return [(entity[kind], entity["start"], entity["end"]) for entity in entities]


@pytest.fixture(scope="module")
def right(project, texts):
    """What the command line finds in each text."""
    out = ner_pipe("predict", "--model", MODEL, cwd=project, input="\n".join([TEXT, *texts]))
    found = [places(json.loads(line)["entities"]) for line in out.stdout.splitlines()]
    assert sum(map(len, found)) > 50
    return dict(zip([TEXT, *texts], found, strict=True))


def test_the_command_line(project, right):
    answer = json.loads(shell(project, block("sh", "ner-pipe predict")))
    assert answer["text"] == TEXT and places(answer["entities"]) == right[TEXT]


def test_python(project, monkeypatch, right):
    found, names = prompt(project, monkeypatch, block("python", "from ner_pipe"))
    assert set(names) >= {"load", "model"} and all(set(e) > {"entity_group", "start"} for e in found)
    monkeypatch.chdir(project)
    every = load(MODEL)(list(right))
    assert [places(found, "entity_group") for found in every] == list(right.values())


def test_http(project, right):
    serve, ask = block("sh", "serve").strip().splitlines()
    port = int(re.search(r"127\.0\.0\.1:(\d+)", ask)[1])
    with socket.socket() as taken:
        if taken.connect_ex(("127.0.0.1", port)) == 0:
            pytest.skip(f"a block of the README did not run: port {port} is in use")
    server = subprocess.Popen(["bash", "-c", f"exec {serve.split('#')[0].strip().removesuffix('&')}"], cwd=project, env=environment())
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, "serve ended"
                time.sleep(0.1)
        answer = json.loads(shell(project, ask))
        assert answer["text"] == TEXT and places(answer["entities"]) == right[TEXT]
        lines = "\n".join(json.dumps({"text": text}) for text in right).encode()
        kind = {"Content-Type": "application/x-ndjson"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/predict", lines, kind)
        with urllib.request.urlopen(request, timeout=60) as stream:
            found = [places(json.loads(line)["entities"]) for line in stream]
        assert found == list(right.values())
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    finally:
        server.kill()


def test_onnx(project, monkeypatch, right):
    needs("onnxruntime", "tokenizers")
    shell(project, f"rm -rf exported; {block('sh', 'export')}")
    (logits,), names = prompt(project, monkeypatch, block("python", "onnxruntime"))
    labels = json.loads((project / "exported" / "config.json").read_text())["id2label"]
    assert logits.shape == (1, len(names["tokens"].ids), len(labels))
    session = names["session"]
    tokenizer = names["tokenizers"].Tokenizer.from_file("exported/tokenizer.json")

    def types(text):
        """Of each word behind white space, which is read off its first sub-word: character and type."""
        tokens = tokenizer.encode(text)
        rows = session.run(["logits"], {"input_ids": [tokens.ids], "attention_mask": [tokens.attention_mask]})[0][0]
        for word in re.finditer(r"(?<!\S)\S", text):
            row = next(at for at, (start, end) in enumerate(tokens.offsets) if start < end and end > word.start())
            yield word.start(), labels[str(rows[row].argmax())].removeprefix("I-")

    for text, entities in right.items():
        for at, kind in types(text):
            assert kind == next((kind for kind, start, end in entities if start <= at < end), "O")


def test_transformers(project, monkeypatch, right):
    needs("transformers", "torch")
    found, names = prompt(project, monkeypatch, block("python", "transformers"))
    assert all(set(e) > {"entity_group", "start"} for e in found)

    def trimmed(text, entity):
        word = text[entity["start"] : entity["end"]]
        start = entity["end"] - len(word.lstrip())
        return entity["entity_group"], start, start + len(word.strip())

    # Sub-word by sub-word, which a student of seconds has not learned to do alike: see benches/agreement.py.
    every = [[trimmed(text, e) for e in names["ner"](text)] for text in right]
    assert sum(ours == theirs for ours, theirs in zip(right.values(), every)) > 0.3 * len(right)
