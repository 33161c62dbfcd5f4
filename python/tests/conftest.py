"""A student small enough to be trained in seconds, by the command line of the wheel under test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PIPELINE = """
[stage.generate]
params = { sentences = 300, train = 800, dev = 60, test = 60 }
[stage.teach]
inputs = { train = "generate.train", dev = "generate.dev", text = "generate.text" }
params = { vocab = 600, hidden = 64, layers = 3, heads = 4, ffn = 128, epochs = 5, batch_tokens = 256 }
[stage.annotate]
inputs = { text = "generate.text", teacher = "teach.model" }
[stage.split]
inputs = { records = "annotate.records" }
[stage.distill]
inputs = { train = "split.train", dev = "split.dev", teacher = "teach.model" }
params = { keep_layers = 2, epochs = 2, lr = 1e-3 }
[stage.prune]
inputs = { model = "distill.model", train = "split.train", dev = "split.dev", teacher = "teach.model" }
params = { allocation = "uniform", params = 0.8 }
[stage.finetune]
inputs = { model = "prune.model", train = "split.train", dev = "split.dev", teacher = "teach.model" }
params = { epochs = 2, lr = 1e-3, decode = "argmax" }
"""


def environment():
    """With the command line of the wheel under test before any other."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def ner_pipe(*arguments, cwd, **more):
    command = ["ner-pipe", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, check=True, **more)


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "pipeline.toml").write_text(PIPELINE)
    ner_pipe("run", cwd=folder)
    return folder


@pytest.fixture(scope="session")
def folder(project):
    return project / "artifacts" / "finetune" / "model"


@pytest.fixture(scope="session")
def texts(project):
    lines = (project / "artifacts" / "generate").rglob("*.txt")
    found = [line for path in sorted(lines) for line in path.read_text().splitlines() if line.strip()]
    assert len(found) > 100
    return found
