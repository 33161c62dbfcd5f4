#!/usr/bin/env python3
"""Measures `ner-pipe serve` under load, and prints a Markdown table:

    python3 benches/serve.py MODEL TEXTS [--binary target/release/ner-pipe] [--seconds 20] [--overload 60] [--rounds 3]

TEXTS has a text a line. Client and server share the machine. In each round: `predict` of all texts as a batch; 32 clients
that ask for a text each as fast as they are answered; then requests at 70 % of the rate that those reached. At last twice
that rate for --overload seconds (3600 for an hour): answers by status, and the server's memory after a tenth of it and at
the end. Goals: at least 0.9 of batch predict's texts a second, p99 at most 3 times p50, no answer but 200 and 429, no growth.
Exit 1 where one is missed. Needs oha (`cargo install oha`).
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

CLIENTS = 32


def free_port():
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        return port.getsockname()[1]


def resident(process):
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise SystemExit("the server's memory cannot be read")


class Load:
    def __init__(self, oha, bodies, port):
        self.command = [oha, "--no-tui", "--output-format", "json", "-m", "POST", "-T", "application/json", "-Z", bodies]
        self.url = f"http://127.0.0.1:{port}/predict"

    def __call__(self, seconds, clients=CLIENTS, rate=None):
        how = ["-z", f"{seconds}s", "-c", str(clients), "-w"]
        if rate is not None:
            how += ["-q", str(max(1, round(rate))), "--latency-correction"]
        out = subprocess.run([*self.command, *how, self.url], capture_output=True, text=True, check=True).stdout
        return json.loads(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("texts", type=Path)
    parser.add_argument("--binary", default="target/release/ner-pipe")
    parser.add_argument("--oha", default="oha")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--overload", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    texts = [line.strip() for line in options.texts.read_text(encoding="utf-8").splitlines() if line.strip()]
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        bodies = Path(folder) / "bodies"
        bodies.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        lines = Path(folder) / "texts.txt"
        lines.write_text("\n".join(texts) + "\n", encoding="utf-8")
        log = open(Path(folder) / "log", "w")
        command = [options.binary, "serve", "--model", options.model, "--address", f"127.0.0.1:{port}"]
        server = subprocess.Popen(command, stderr=log)
        try:
            measure(options, texts, lines, Load(options.oha, str(bodies), port), server, port)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


def ready(server, port):
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5).close()
            return
        except OSError:
            if server.poll() is not None:
                raise SystemExit("the server ended") from None
            time.sleep(0.1)
    raise SystemExit("the server is not ready after a minute")


def measure(options, texts, lines, load, server, port):
    ready(server, port)
    load(3)
    shares, tails, rates = [], [], []
    print("| round | predict, texts/s | serve, texts/s | share | at 70 %: p50 ms | p99 ms | p99 / p50 |")
    print("|---|---|---|---|---|---|---|")
    for number in range(1, options.rounds + 1):
        start = time.perf_counter()
        with open(lines) as given:
            subprocess.run([options.binary, "predict", "--model", options.model], stdin=given, stdout=subprocess.DEVNULL, check=True)
        batch = len(texts) / (time.perf_counter() - start)
        most = load(options.seconds)
        if set(most["statusCodeDistribution"]) != {"200"}:
            raise SystemExit(f"{CLIENTS} clients got {most['statusCodeDistribution']}")
        rate = most["summary"]["requestsPerSec"]
        steady = load(options.seconds, rate=0.7 * rate)
        p50, p99 = (1000 * steady["latencyPercentiles"][p] for p in ("p50", "p99"))
        shares.append(rate / batch)
        tails.append(p99 / p50)
        rates.append(rate)
        print(f"| {number} | {batch:.0f} | {rate:.0f} | {shares[-1]:.2f} | {p50:.1f} | {p99:.1f} | {tails[-1]:.1f} |", flush=True)

    twice = 2 * statistics.median(rates)
    # A rate above what is answered needs many that wait; the server takes 512 connections.
    load(max(1, options.overload // 10), clients=500, rate=twice)
    before = resident(server)
    over = load(options.overload, clients=500, rate=twice)
    after = resident(server)
    statuses = over["statusCodeDistribution"]
    print(f"\nAt twice the rate for {options.overload} s: {json.dumps(statuses)}, errors {json.dumps(over['errorDistribution'])}; "
          f"memory {before:.0f} MB, then {after:.0f} MB.")
    share, tail = statistics.median(shares), statistics.median(tails)
    held = {
        "throughput": share >= 0.9,
        "tail": tail <= 3,
        "statuses": set(statuses) <= {"200", "429"} and "200" in statuses,
        "memory": after <= 1.05 * before + 5,
        "alive": server.poll() is None,
    }
    print(f"Medians: {share:.2f} of predict's rate, p99 {tail:.1f} times p50. Missed: {', '.join(k for k, v in held.items() if not v) or 'nothing'}.")
    sys.exit(not all(held.values()))


main()
