"""One training step side by side with PyTorch: the cases of benches/training.rs, in turn on one core, several rounds.

    cargo bench --bench training --no-run
    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch==2.15.0
    taskset -c 1 /tmp/torch/bin/python benches/training_vs_torch.py

Prints for each case the medians in nanoseconds per row and step, and the ratio of each round's pair: its median and range.
"""

import pathlib
import statistics
import subprocess
import sys
import time

import torch

INPUT, UNITS, STEPS, BATCH = 64, 128, 50, 32
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 7
torch.set_num_threads(1)


def ours():
    """The newest bench binary."""
    found = pathlib.Path(__file__).parent.parent.glob("target/release/deps/training-*")
    return max((f for f in found if not f.suffix), key=lambda f: f.stat().st_mtime)


def torch_step(kind, with_input):
    layer = {"simple_rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](INPUT, UNITS)
    x = torch.randn(STEPS, BATCH, INPUT, requires_grad=with_input)
    upstream = torch.randn(STEPS, BATCH, UNITS)
    times = []
    for repeat in range(32):
        start = time.perf_counter()
        layer.zero_grad(set_to_none=False)
        x.grad = None
        layer(x)[0].backward(upstream)
        if repeat >= 2:
            times.append((time.perf_counter() - start) * 1e9 / (STEPS * BATCH))
    return statistics.median(times)


def main():
    binary = ours()
    for kind in ["simple_rnn", "lstm", "gru"]:
        for suffix in ["", "_with_input"]:
            pairs = []
            for _ in range(ROUNDS):
                printed = subprocess.run([binary, kind + suffix], capture_output=True, text=True, check=True).stdout
                pairs.append((float(printed.split()[1]), torch_step(kind, suffix != "")))
            mine, theirs = (statistics.median(column) for column in zip(*pairs))
            ratios = sorted(a / b for a, b in pairs)
            middle = statistics.median(ratios)
            print(f"{kind + suffix:24} {mine:7.0f} {theirs:7.0f}   {middle:.3f} ({ratios[0]:.3f} - {ratios[-1]:.3f})")


main()
