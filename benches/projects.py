"""The same six-stage pipeline for each tool: every stage is `sh stages/<name>.sh IN OUT`, depends on its script
and on what the stage before it made, and leaves its name in `trace`."""

import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

STAGES = ["annotate", "split", "distill", "prune", "finetune", "evaluate"]
LAST = f"out/{STAGES[-1]}.txt"
DATA = {"small": "data/in.txt", "many": "data/many", "big": "data/big.bin"}


@dataclass
class Tool:
    """How to use one tool. Commands are argument lists; the first word is looked up in PATH."""

    name: str
    files: Callable[[str], dict[str, str]]  # by path, for a shape of data
    run: list[str]
    version: list[str]
    state: list[str]  # what to remove so that the next run is the first: patterns
    setup: list[list[str]] = field(default_factory=list)  # once, after the files are there
    git: bool = False  # whether it wants a repository

    def write(self, shape: str, root: Path) -> None:
        """Writes the project's files, but not the data."""
        files = {f"stages/{name}.sh": script(name) for name in STAGES}
        files |= self.files(shape)
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(textwrap.dedent(text))
        (root / "out").mkdir(exist_ok=True)


def tools(ner_pipe: str) -> list[Tool]:
    return [
        Tool(
            "ner-pipe",
            in_ner_pipe,
            [ner_pipe, "run"],
            [ner_pipe, "--version"],
            ["cache", "artifacts", "pipeline.lock"],
        ),
        Tool("make", in_make, ["make", "-s"], ["make", "--version"], []),
        Tool("go-task", in_go_task, ["task", LAST], ["task", "--version"], [".task"]),
        Tool("doit", in_doit, ["doit", "run"], ["doit", "--version"], [".doit.db*"]),
        Tool(
            "turbo",
            in_turbo,
            ["turbo", "run", "evaluate", "--output-logs=none"],
            ["turbo", "--version"],
            [".turbo", "node_modules/.cache"],
            git=True,
        ),
        Tool(
            "moon",
            in_moon,
            ["moon", "run", "bench:evaluate", "--summary", "none"],
            ["moon", "--version"],
            [".moon/cache"],
            git=True,
        ),
        # Its hashes of files are kept in a site cache, in each project's own place here.
        Tool(
            "dvc",
            in_dvc,
            ["env", "DVC_SITE_CACHE_DIR=.dvc/site", "dvc", "repro", "-q"],
            ["dvc", "--version"],
            ["dvc.lock", ".dvc/cache", ".dvc/tmp", ".dvc/site"],
            [["dvc", "init", "-q"]],
            git=True,
        ),
    ]


def script(name: str) -> str:
    return f'#!/bin/sh\n# {name}\necho {name} >> trace\n(echo {name}; ls -d "$1") > "$2"\n'


def source(stage: int, shape: str) -> str:
    return f"out/{STAGES[stage - 1]}.txt" if stage else DATA[shape]


def command(stage: int, shape: str) -> str:
    name = STAGES[stage]
    return f"sh stages/{name}.sh {source(stage, shape)} out/{name}.txt"


def in_ner_pipe(shape: str) -> dict[str, str]:
    kind = "folder" if shape == "many" else "file"
    text = f'[sources]\ndata = {{ path = "{DATA[shape]}", kind = "{kind}" }}\n'
    for name in STAGES:
        text += f'{name}-code = {{ path = "stages/{name}.sh", kind = "file" }}\n'
    for stage, name in enumerate(STAGES):
        before = f"{STAGES[stage - 1]}.out" if stage else "sources.data"
        text += f"""
[stage.{name}]
use = "command"
inputs = {{ data = "{before}", code = "sources.{name}-code" }}
outputs = {{ out = "out/{name}.txt" }}
params = {{ run = "sh {{code}} {{data}} {{out}}" }}
"""
    return {"pipeline.toml": text}


def in_make(shape: str) -> dict[str, str]:
    text = f"all: {LAST}\n"
    for stage, name in enumerate(STAGES):
        data = "$(wildcard data/many/*/*)" if (stage, shape) == (0, "many") else source(stage, shape)
        text += f"out/{name}.txt: stages/{name}.sh {data}\n\t{command(stage, shape)}\n"
    return {"Makefile": text}


def in_go_task(shape: str) -> dict[str, str]:
    text = "version: '3'\nmethod: checksum\nsilent: true\ntasks:\n"
    for stage, name in enumerate(STAGES):
        data = source(stage, shape) + ("/**/*" if (stage, shape) == (0, "many") else "")
        text += f"  out/{name}.txt:\n"
        text += f"    deps: ['{source(stage, shape)}']\n" if stage else ""
        text += f"    sources: ['{data}', 'stages/{name}.sh']\n    generates: ['out/{name}.txt']\n"
        text += f"    cmds: ['{command(stage, shape)}']\n"
    return {"Taskfile.yml": text}


def in_doit(shape: str) -> dict[str, str]:
    text = "import glob\nDOIT_CONFIG = {'verbosity': 0}\n"
    for stage, name in enumerate(STAGES):
        many = (stage, shape) == (0, "many")
        data = "sorted(glob.glob('data/many/*/*'))" if many else repr([source(stage, shape)])
        text += f"""
def task_{name}():
    return {{
        'actions': ['{command(stage, shape)}'],
        'file_dep': {data} + ['stages/{name}.sh'],
        'targets': ['out/{name}.txt'],
    }}
"""
    return {"dodo.py": text}


def in_turbo(shape: str) -> dict[str, str]:
    package = {"name": "bench", "private": True, "packageManager": "npm@10.0.0", "workspaces": ["packages/*"]}
    package["scripts"] = {name: command(stage, shape) for stage, name in enumerate(STAGES)}
    lock = {
        "name": "bench",
        "lockfileVersion": 3,
        "requires": True,
        "packages": {
            "": {"name": "bench", "workspaces": ["packages/*"]},
            "packages/p": {"version": "0.0.0"},
            "node_modules/p": {"resolved": "packages/p", "link": True},
        },
    }
    tasks = {}
    for stage, name in enumerate(STAGES):
        data = [] if stage else [source(0, shape) + ("/**" if shape == "many" else "")]
        after = [f"//#{STAGES[stage - 1]}"] if stage else []
        tasks[f"//#{name}"] = {
            "dependsOn": after,
            "inputs": [*data, f"stages/{name}.sh"],
            "outputs": [f"out/{name}.txt"],
        }
    return {
        "package.json": json.dumps(package),
        "package-lock.json": json.dumps(lock),
        "packages/p/package.json": '{"name": "p", "version": "0.0.0"}',
        "turbo.json": json.dumps({"tasks": tasks}),
        ".gitignore": "out/\ntrace\n.turbo/\nnode_modules/\n",  # it hashes what git may see: data stays visible
    }


def in_moon(shape: str) -> dict[str, str]:
    text = "language: bash\ntasks:\n"
    for stage, name in enumerate(STAGES):
        data = [] if stage else ["/" + source(0, shape) + ("/**/*" if shape == "many" else "")]
        text += f"  {name}:\n    command: {command(stage, shape)}\n    toolchains: [system]\n"
        text += f"    deps: ['~:{STAGES[stage - 1]}']\n" if stage else ""
        text += f"    inputs: {json.dumps([*data, f'/stages/{name}.sh'])}\n    outputs: [/out/{name}.txt]\n"
    workspace = "projects:\n  bench: .\ntelemetry: false\nvcs:\n  client: git\n  defaultBranch: main\n"
    return {"moon.yml": text, ".moon/workspace.yml": workspace, ".gitignore": "out/\ntrace\n.moon/cache/\n"}


def in_dvc(shape: str) -> dict[str, str]:
    text = "stages:\n"
    for stage, name in enumerate(STAGES):
        text += f"  {name}:\n    cmd: {command(stage, shape)}\n"
        text += f"    deps: ['{source(stage, shape)}', 'stages/{name}.sh']\n    outs: ['out/{name}.txt']\n"
    return {"dvc.yaml": text, ".gitignore": "out/\ntrace\ndata/\n"}
