"""Runs all peers in turn on one core, several rounds; keeps the record, prints a table, draws the picture.

    python compare.py run [--peers ours,ours-onnx,rten,tract,ort] [--rounds 3]
    python compare.py table records/FILE.json
    python compare.py picture records/FILE.json OUT.svg

`run` builds the Rust side with the peers that are asked for, writes the workloads if they aren't there, and pins each process to
one core. Python's peers need the packages that `python_peers.py` and `cases.py` name.
"""

import argparse
import datetime
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CASES = HERE / "cases"
IN_PYTHON = ["ort", "openvino", "torch", "keras"]
OURS = ["ours", "ours-onnx"]
# The dependency of each peer in Rust; its feature has the peer's name.
IN_RUST = {"rten": "rten", "tract": "tract-onnx"}
NAMES = {"ort": "ONNX Runtime", "openvino": "OpenVINO", "torch": "PyTorch", "keras": "Keras",
         "nexus-native": "nexus-inference, native build", "nexus": "nexus-inference"}
SHOWN = ["S.lstm.8x16", "S.lstm.64x128", "S.gru.64x128", "S.rnn.64x128", "Q.lstm.128x128", "B.lstm.64x128.b32",
         "M.lstm.64x128.b32", "G.lstm.64x128.b32", "G.gru.64x128.b32"]


def processor():
    info = Path("/proc/cpuinfo")
    told = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    name = told.group(1) if told else platform.processor() or platform.machine()
    flags = [flag for flag in ["avx2", "avx512f", "avx512_vnni", "asimd"] if info.exists() and f" {flag}" in info.read_text()]
    return f"{name} ({', '.join(flags)})"


def versions(peers):
    found = {"recurrent": subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, text=True, capture_output=True).stdout.strip()}
    manifest = (HERE / "Cargo.toml").read_text()
    for crate in sorted(IN_RUST[peer] for peer in peers if peer in IN_RUST):
        found[crate] = re.search(rf'{crate} = {{ version = "=([^"]*)"', manifest).group(1)
    import importlib.metadata
    for peer, package in [("ort", "onnxruntime"), ("openvino", "openvino"), ("torch", "torch"), ("keras", "keras")]:
        if peer in peers:
            found[package] = importlib.metadata.version(package)
    return found


def build(peers):
    features = ",".join(sorted(set(peers) & set(IN_RUST)))
    command = ["cargo", "build", "--release", "--locked", "--features", features]
    subprocess.run(command, cwd=HERE, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target")) / "release" / "peers"


def run(options):
    peers = options.peers.split(",")
    if not (CASES / "workloads.json").exists():
        subprocess.run([sys.executable, str(HERE / "cases.py"), str(CASES)], check=True)
    rust = build(peers) if set(peers) - set(IN_PYTHON) else None
    one_thread = os.environ | {"RAYON_NUM_THREADS": "1", "RTEN_NUM_THREADS": "1"}
    times, machine, used = {}, processor(), versions(peers)
    for round_ in range(options.rounds):
        for peer in peers:
            if peer in IN_PYTHON:
                command = [sys.executable, str(HERE / "python_peers.py"), str(CASES), peer]
            else:
                command = [str(rust), str(CASES), peer]
            command = ["taskset", "-c", options.core, *command, *([options.part] if options.part else [])]
            done = subprocess.run(command, env=one_thread, text=True, stdout=subprocess.PIPE)
            for line in done.stdout.splitlines():
                line = json.loads(line)
                times.setdefault(line["name"], {}).setdefault(peer, []).append(line["ns"])
            failed = " failed" if done.returncode else ""
            print(f"round {round_ + 1} of {options.rounds}: {peer}{failed}", file=sys.stderr)
    date = datetime.date.today().isoformat()
    record = {"date": date, "processor": machine, "versions": used, "rounds": options.rounds, "ns": times}
    slug = re.sub(r"[^a-z0-9]+", "-", record["processor"].split("(")[0].lower()).strip("-")
    path = HERE / "records" / f"{date}-{slug}.json"
    count = 1
    while path.exists():  # records are kept
        count += 1
        path = path.with_name(f"{date}-{slug}-{count}.json")
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(path)


def medians(record):
    found = {name: {peer: statistics.median(rounds) for peer, rounds in peers.items()} for name, peers in record["ns"].items()}
    return {name: row for name, row in found.items() if "ours" in row and set(row) - set(OURS)}


def table(options):
    record = json.loads(Path(options.record).read_text())
    peers = sorted({peer for row in record["ns"].values() for peer in row} - {"ours"}, key=lambda peer: (peer not in OURS, peer))
    print(f"{record['processor']}, {record['date']}: " + ", ".join(f"{k} {v}" for k, v in record["versions"].items()) + "\n")
    print("| workload | ours, ns | noise | best of the others | " + " | ".join(peers) + " |")
    print("|---|---|---|---|" + "---|" * len(peers))
    for name, row in medians(record).items():
        rounds = record["ns"][name]["ours"]
        best = min((row[peer], peer) for peer in row if peer not in OURS)
        cells = [f"{row[peer] / row['ours']:.2f}" if peer in row else "-" for peer in peers]
        print(f"| {name} | {row['ours']:.0f} | {max(rounds) / min(rounds):.2f} | {best[1]} **{best[0] / row['ours']:.2f}** | "
              + " | ".join(cells) + " |")


def picture(options):
    """For each workload shown a line on which each peer is a dot: how many times our time it takes. A log scale."""
    record = json.loads(Path(options.record).read_text())
    rows = {name: row for name, row in medians(record).items() if name in SHOWN}
    rows = {name: rows[name] for name in SHOWN if name in rows}
    words = {"S": "one step", "Q": "100 steps", "B": "32 rows of 50 steps", "M": "32 rows of 10 to 100 steps",
             "G": "32 rows, with gradients"}
    left, right, top, line = 322, 800, 58, 30
    largest = max(row[peer] / row["ours"] for row in rows.values() for peer in row)
    decades = math.log10(largest) * 1.02
    at = lambda ratio: left + (right - left) * math.log10(ratio) / decades
    bottom = top + line * len(rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 830 {bottom + 44}" font-family="sans-serif" font-size="13">',
           '<style>text { fill: #333 } .grid { stroke: #888; stroke-opacity: 0.3 } .other { fill: #888 } .best { fill: #c2571a } .ours { fill: #1a6fc2 }'
           ' @media (prefers-color-scheme: dark) { text { fill: #ccc } .other { fill: #999 } .best { fill: #f0904d } .ours { fill: #5aa9f0 } }'
           '</style>',
           f'<text x="10" y="22" font-size="15">Time for the same work on one core, as a multiple of recurrent\'s</text>',
           f'<text x="10" y="42" font-size="12">{record["processor"].split("(")[0].strip()}, {record["date"]}; each dot is a library, the nearest one named</text>']
    for tick in [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]:
        if tick <= largest * 1.02:
            out.append(f'<line class="grid" x1="{at(tick):.1f}" x2="{at(tick):.1f}" y1="{top - 6}" y2="{bottom}"/>')
            out.append(f'<text x="{at(tick):.1f}" y="{bottom + 18}" text-anchor="middle">{tick}x</text>')
    for place, (name, row) in enumerate(rows.items()):
        kind, cell, size = name.split(".")[:3]
        y = top + line * place + line / 2
        label = f'{cell.upper().replace("RNN", "SimpleRNN")} {size.replace("x", " to ")}, {words[kind]}'
        out.append(f'<text x="{left - 14}" y="{y + 4}" text-anchor="end" font-size="12">{label}</text>')
        others = sorted((time / row["ours"], peer) for peer, time in row.items() if peer not in OURS)
        for ratio, peer in others[1:]:
            out.append(f'<circle class="other" cx="{at(ratio):.1f}" cy="{y}" r="4"><title>{NAMES.get(peer, peer)} {ratio:.2f}</title></circle>')
        ratio, peer = others[0]
        out.append(f'<circle class="best" cx="{at(ratio):.1f}" cy="{y}" r="5"/>')
        out.append(f'<text x="{at(ratio):.1f}" y="{y - 7}" text-anchor="start" font-size="10.5">{NAMES.get(peer, peer)} {ratio:.{1 if ratio >= 1.095 else 2}f}x</text>')
        out.append(f'<circle class="ours" cx="{at(1):.1f}" cy="{y}" r="6"/>')
    out.append(f'<text x="{left - 14}" y="{bottom + 18}" text-anchor="end" font-size="12">recurrent = 1x</text>')
    out.append("</svg>\n")
    Path(options.out).write_text("\n".join(out))


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("run")
    command.add_argument("--peers", default="ours,ours-onnx,rten,tract,ort,openvino,torch")
    command.add_argument("--rounds", type=int, default=3)
    command.add_argument("--core", default="1")
    command.add_argument("--part", default="", help="only workloads whose names have this part")
    command.set_defaults(act=run)
    command = commands.add_parser("table")
    command.add_argument("record")
    command.set_defaults(act=table)
    command = commands.add_parser("picture")
    command.add_argument("record")
    command.add_argument("out")
    command.set_defaults(act=picture)
    options = parser.parse_args()
    options.act(options)


main()
