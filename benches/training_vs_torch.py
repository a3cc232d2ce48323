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


class LastOfSequence(torch.nn.Module):
    """A recurrent layer, and a Dense(1) on its last output."""

    def __init__(self, layer, units):
        super().__init__()
        self.layer, self.dense = layer, torch.nn.Linear(units, 1)

    def forward(self, x):
        return self.dense(self.layer(x)[0][-1])


def torch_update(kind, sizes):
    inputs, units, steps, batch = sizes
    model = LastOfSequence({"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](inputs, units), units)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    x, y = torch.randn(steps, batch, inputs), torch.randn(batch, 1)
    times = []
    for repeat in range(62):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=False)
        torch.nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
        if repeat >= 2:
            times.append((time.perf_counter() - start) * 1e9 / (steps * batch))
    return statistics.median(times)


def main():
    binary = ours()
    cases = {kind + suffix: lambda kind=kind, suffix=suffix: torch_step(kind, suffix != "")
             for kind in ["simple_rnn", "lstm", "gru"] for suffix in ["", "_with_input"]}
    sizes = {"": (INPUT, UNITS, STEPS, BATCH), "_small": (8, 16, 20, 8)}
    cases |= {f"update_{kind}{suffix}": lambda kind=kind, suffix=suffix: torch_update(kind, sizes[suffix])
              for kind in ["lstm", "gru"] for suffix in sizes}
    for case, theirs in cases.items():
        pairs = []
        for _ in range(ROUNDS):
            printed = subprocess.run([binary, case], capture_output=True, text=True, check=True).stdout
            pairs.append((float(printed.split()[1]), theirs()))
        mine, others = (statistics.median(column) for column in zip(*pairs))
        ratios = sorted(a / b for a, b in pairs)
        middle = statistics.median(ratios)
        print(f"{case:24} {mine:7.0f} {others:7.0f}   {middle:.3f} ({ratios[0]:.3f} - {ratios[-1]:.3f})")


main()
