#!/usr/bin/env python3
"""Measures ner-pipe beside make, go-task, doit, turbo, moon and DVC on this machine, and prints a Markdown table.

    python3 benches/peers.py

builds ner-pipe (release, without the machine learning), installs the others outside the checkout (a venv from PyPI,
a folder from npm; make is the system's), and takes some minutes and 3 GiB below --work. A tool that cannot be
installed is named as missing. `--help` tells the rest.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True  # nothing is left in the checkout
from projects import DATA, LAST, STAGES, Tool, tools

ROOT = Path(__file__).resolve().parent.parent

# (shape, case, what the table calls it)
CASES = [
    ("small", "noop", "nothing to do, small files"),
    ("many", "noop", "nothing to do, 10,000 files"),
    ("big", "noop", "nothing to do, one 1 GiB file"),
    ("big", "first", "first run, 1 GiB, warm"),
    ("many", "first", "first run, 10,000 x 4 KiB"),
    ("many", "one", "1 of 10,000 files changed"),
]


def main() -> None:
    options = arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    environ(options)
    ner_pipe = str(options.ner_pipe or build(options.work))
    install(options.work)
    present, versions = [], {}
    for tool in tools(ner_pipe):
        versions[tool.name] = version(tool)
        if versions[tool.name] and (not options.only or tool.name in options.only):
            present.append(tool)
    make_data(options.work)
    times: dict[tuple[str, str, str], list[float]] = {}
    notes: list[str] = []
    loads = [os.getloadavg()[0]]
    for shape in DATA:
        cases = [case for case in CASES if case[0] == shape]
        homes = {tool.name: prepare(tool, shape, options.work) for tool in present}
        # Runs until nothing is too young to be trusted; not before all links to the data are made, as each
        # changes the time of change of all.
        for pause in [0, 2.5, 0]:
            time.sleep(pause)
            for tool in present:
                timed(tool, homes[tool.name])
        for _, case, title in cases:
            for turn in range(options.rounds):
                say(f"{title}: round {turn + 1} of {options.rounds}")
                for tool, seconds in one_round(present, homes, shape, case, turn, notes):
                    times.setdefault((shape, case, tool), []).append(seconds)
                loads.append(os.getloadavg()[0])
    print(table(present, versions, times))
    print(start(ner_pipe, options))
    print(memory(present, options.work))
    missing = [name for name, text in versions.items() if not text]
    print(
        f"\n{options.rounds} rounds, all tools in turn in each; {os.cpu_count()} cores; load {min(loads):.1f} to {max(loads):.1f}."
    )
    print("Missing: " + (", ".join(missing) or "none") + ".")
    for note in dict.fromkeys(notes):
        print(f"- {note}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser.add_argument(
        "--work",
        type=Path,
        default=cache / "ner-pipe-benches",
        help="where tools and projects go (%(default)s)",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ner-pipe", type=Path, help="measure this binary and build none")
    parser.add_argument(
        "--also", type=Path, help="compare the start of this binary too: one with the machine learning"
    )
    parser.add_argument("--only", nargs="+", help="measure these tools only")
    options = parser.parse_args()
    options.work = options.work.resolve()
    if options.work == ROOT or ROOT in options.work.parents:
        parser.error("--work has to lie outside the checkout")
    return options


def environ(options: argparse.Namespace) -> None:
    """Tools first in PATH; nobody phones home, and nobody finds the user's settings."""
    paths = [options.work / "venv/bin", options.work / "node/node_modules/.bin"]
    os.environ["PATH"] = os.pathsep.join([*map(str, paths), os.environ["PATH"]])
    quiet = [
        "DVC_NO_ANALYTICS",
        "TURBO_TELEMETRY_DISABLED",
        "DO_NOT_TRACK",
        "CI",
        "NO_COLOR",
        "NO_UPDATE_NOTIFIER",
    ]
    os.environ.update(dict.fromkeys(quiet, "1"))
    os.environ["DVC_GLOBAL_CONFIG_DIR"] = str(options.work / "dvc-global")
    os.environ["XDG_CACHE_HOME"] = str(options.work / "xdg")
    for who in ["AUTHOR", "COMMITTER"]:
        os.environ.update({f"GIT_{who}_NAME": "bench", f"GIT_{who}_EMAIL": "bench@example.invalid"})


def build(work: Path) -> Path:
    target = Path(os.environ.get("CARGO_TARGET_DIR", work / "target"))
    cargo = [
        "cargo",
        "build",
        "--release",
        "--locked",
        "--no-default-features",
        "-p",
        "ner-pipe",
        "--target-dir",
        str(target),
    ]
    subprocess.run(cargo, cwd=ROOT, check=True)
    return target / "release/ner-pipe"


def install(work: Path) -> None:
    """Once: later calls measure what is there. What fails is missing from the table."""
    if not (work / "venv").exists():
        say("installing dvc, doit and go-task from PyPI")
        subprocess.run([sys.executable, "-m", "venv", work / "venv"], check=True)
        for package in ["doit", "go-task-bin", "dvc"]:
            subprocess.run(
                [work / "venv/bin/pip", "install", "-q", "--disable-pip-version-check", package], check=False
            )
    if not (work / "node").exists() and shutil.which("npm"):
        say("installing turbo and moon from npm")
        (work / "node").mkdir()
        npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "turbo", "@moonrepo/cli"]
        subprocess.run(npm, cwd=work / "node", check=False)


def version(tool: Tool) -> str:
    if not shutil.which(tool.version[0]):
        return ""
    done = subprocess.run(tool.version, capture_output=True, text=True, check=False)
    words = [word for word in done.stdout.replace("v", " ").split() if word[0].isdigit()]
    return words[0] if words else ""


def make_data(work: Path) -> None:
    """1 GiB of noise, and 100 folders of 100 files of 4 KiB."""
    big, many = work / "data/big.bin", work / "data/many"
    if not big.exists():
        say("making data")
        big.parent.mkdir(parents=True, exist_ok=True)
        with (work / "data/part").open("wb") as file:
            for _ in range(1024):
                file.write(os.urandom(1 << 20))
        (work / "data/part").rename(big)
    for folder in range(100):
        (many / f"{folder:02}").mkdir(parents=True, exist_ok=True)
        for name in range(100):
            path = many / f"{folder:02}/{name:02}.bin"
            if not path.exists():
                path.write_bytes(os.urandom(4096))


def prepare(tool: Tool, shape: str, work: Path) -> Path:
    """A new project."""
    home = work / "projects" / f"{tool.name}-{shape}"
    shutil.rmtree(home, ignore_errors=True)
    data = home / DATA[shape]
    data.parent.mkdir(parents=True)
    if shape == "big":
        os.link(work / "data/big.bin", data)
    elif shape == "many":
        shutil.copytree(work / "data/many", data)
    else:
        data.write_text("hello\n")
    tool.write(shape, home)
    commands = [["git", "init", "-q", "-b", "main"]] if tool.git else []
    commands += tool.setup
    commands += (
        [["git", "add", "-A"], ["git", "commit", "-qm", "bench"]] if tool.git and shape != "big" else []
    )
    # A gigabyte is not put into git: the tool has to hash it itself, as for data that nobody commits.
    commands += (
        [["git", "add", "stages"], ["git", "commit", "-qm", "bench"]] if tool.git and shape == "big" else []
    )
    for command in commands:
        subprocess.run(command, cwd=home, check=True, stdout=subprocess.DEVNULL)
    return home


def one_round(present, homes, shape: str, case: str, turn: int, notes: list[str]):
    """Each tool once; seconds by tool."""
    if case == "one":
        for home in homes.values():
            (home / DATA[shape] / "42/42.bin").write_bytes(os.urandom(4096) + bytes([turn]))
        # Coarse clocks (make compares whole times) and racy files are not what is measured.
        time.sleep(2.5)
    if case == "first" and shape == "big":
        (homes[present[0].name] / DATA[shape]).read_bytes()  # warm
    for tool in present:
        home = homes[tool.name]
        if case == "first":
            for path in [path for pattern in [*tool.state, "out"] for path in home.glob(pattern)]:
                remove(path)
            (home / "out").mkdir()
        seconds, executed = timed(tool, home)
        wanted = {"noop": {0}, "first": {len(STAGES)}, "one": {1, len(STAGES)}}[case]
        if executed not in wanted:
            notes.append(f"{tool.name}, {shape}/{case}: executed {executed} stages of {len(STAGES)}")
        yield tool.name, seconds


def timed(tool: Tool, home: Path) -> tuple[float, int]:
    """Wall time of one run, and how many stages executed in it."""
    (home / "trace").unlink(missing_ok=True)
    begun = time.perf_counter()
    done = subprocess.run(tool.run, cwd=home, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode != 0 or not (home / LAST).exists():
        raise SystemExit(f"{tool.name} failed in {home}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    trace = home / "trace"
    return seconds, len(trace.read_text().split()) if trace.exists() else 0


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def table(present, versions, times) -> str:
    lines = ["Milliseconds, median (fastest), measured in one run:", ""]
    lines.append("| case | " + " | ".join(f"{tool.name} {versions[tool.name]}" for tool in present) + " |")
    lines.append("|---|" + "---|" * len(present))
    for shape, case, title in CASES:
        cells = [spread(times[shape, case, tool.name]) for tool in present]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(seconds: list[float]) -> str:
    milliseconds = [1000 * second for second in seconds]
    digits = 1 if min(milliseconds) < 10 else 0
    return f"{statistics.median(milliseconds):.{digits}f} ({min(milliseconds):.{digits}f})"


def start(ner_pipe: str, options: argparse.Namespace) -> str:
    """What the binary's start costs: `--version`, and `status` of the small project, in turn."""
    home = options.work / "projects/ner-pipe-small"
    lines = ["", "| start, ms | --version | status |", "|---|---|---|"]
    binaries = {
        "without the machine learning": ner_pipe,
        "with it": options.also and str(options.also.resolve()),
    }
    seconds: dict[tuple[str, str], list[float]] = {}
    for _ in range(20):
        for name, binary in binaries.items():
            for argument in ["--version", "status"] if binary else []:
                begun = time.perf_counter()
                subprocess.run([binary, argument], cwd=home, capture_output=True, check=True)
                seconds.setdefault((name, argument), []).append(time.perf_counter() - begun)
    for name, binary in binaries.items():
        if binary:
            lines.append(
                f"| {name} | {spread(seconds[name, '--version'])} | {spread(seconds[name, 'status'])} |"
            )
    return "\n".join(lines)


def memory(present, work: Path) -> str:
    """Peak memory of a run with nothing to do, by GNU time: our own children's peak begins at this Python's."""
    if not shutil.which("time"):
        return "\nPeak memory: GNU time is missing."
    lines = [
        "",
        "| peak memory of a run with nothing to do, MiB | "
        + " | ".join(tool.name for tool in present)
        + " |",
    ]
    lines.append("|---|" + "---|" * len(present))
    for shape in DATA:
        cells = []
        for tool in present:
            home = work / "projects" / f"{tool.name}-{shape}"
            timed(tool, home)
            peak = work / "peak"
            command = [shutil.which("time"), "-o", str(peak), "-f", "%M", *tool.run]
            subprocess.run(command, cwd=home, capture_output=True, check=True)
            cells.append(f"{int(peak.read_text().split()[-1]) / 1024:.1f}")
        lines.append(f"| {shape} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
