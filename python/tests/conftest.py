"""A model small enough to be trained in seconds, by the command line of the wheel under test."""

import subprocess
import sys
from pathlib import Path

import pytest

PIPELINE = """
[stage.generate]
params = { sentences = 150, train = 400, dev = 30, test = 60 }
[stage.teach]
inputs = { train = "generate.train", dev = "generate.dev", text = "generate.text" }
params = { vocab = 600, hidden = 64, layers = 2, heads = 4, ffn = 128, epochs = 5, batch_tokens = 256 }
"""


def ner_pipe(*arguments, cwd, **more):
    program = Path(sys.executable).parent / "ner-pipe"
    return subprocess.run([program, *arguments], cwd=cwd, capture_output=True, text=True, check=True, **more)


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "pipeline.toml").write_text(PIPELINE)
    ner_pipe("run", cwd=folder)
    return folder


@pytest.fixture(scope="session")
def folder(project):
    return project / "artifacts" / "teach" / "model"


@pytest.fixture(scope="session")
def texts(project):
    lines = (project / "artifacts" / "generate").rglob("*.txt")
    found = [line for path in sorted(lines) for line in path.read_text().splitlines() if line.strip()]
    assert len(found) > 100
    return found
