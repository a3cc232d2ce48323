"""State dicts of PyTorch modules, with what the modules compute: cases.safetensors, and cases.json that describes them.

Weights stand as NAME.module.PARAMETER, as in a model's state dict, and their gradients as NAME.gradient.PARAMETER;
NAME.x, .h_0, .c_0 are what goes into the call, NAME.y, .h_n, .c_n what comes out, NAME.d_y, .. the gradients of a loss.

`generate.py` writes the files beside it; `generate.py random 300 FOLDER` writes 300 random cases elsewhere.
"""

import itertools
import json
import pathlib
import random
import sys

import numpy as np
import safetensors
import torch
from safetensors.torch import save_file
from torch import nn

HERE = pathlib.Path(__file__).parent
OPTIONS = {
    "kind": ["RNN_TANH", "RNN_RELU", "LSTM", "LSTM_PROJ", "GRU"],
    "layers": [1, 2, 3],
    "both": [False, True],
    "bias": [True, False],
    "dtype": ["float32", "float64"],
    "ragged": [False, True],
    "initial": [True, False],
}
CELLS = {"kind": ["RNN_TANH", "RNN_RELU", "LSTM", "GRU"], "bias": [True, False], "dtype": ["float32", "float64"]}


def pairwise(options):
    """Few combinations in which each two values of two options meet."""
    combinations = [dict(zip(options, values)) for values in itertools.product(*options.values())]
    pairs = lambda it: set(itertools.combinations(it.items(), 2))
    left, chosen = set().union(*map(pairs, combinations)), []
    while left:
        best = max(combinations, key=lambda it: len(pairs(it) & left))
        chosen.append(best)
        left -= pairs(best)
    return chosen


def parameters(module, generator, scale=0.6):
    """Weights all distinct, biases not zero."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * scale)


def make(kind, one_step, sizes, **options):
    if kind == "LSTM_PROJ":
        kind, options["proj_size"] = "LSTM", sizes[1] - 2
    if kind.startswith("RNN_"):
        kind, options["nonlinearity"] = "RNN", kind[4:].lower()
    return getattr(nn, kind + ("Cell" if one_step else ""))(*sizes, **options)


class Writer:
    def __init__(self):
        self.tensors, self.cases = {}, []

    def add(self, name, module, **call):
        new = {f"{name}.module.{key}": value for key, value in module.state_dict().items()}
        new |= {f"{name}.{key}": value for key, value in call.items() if value is not None}
        self.tensors |= {key: value.detach().clone().contiguous() for key, value in new.items()}

    def recurrent(self, seed, case, sizes=None, rows=3, steps=5):
        generator = torch.Generator().manual_seed(seed)
        kind, layers, both, dtype = case["kind"], case["layers"], case["both"], getattr(torch, case["dtype"])
        features, units = sizes or (2 + seed % 2, 3 + seed % 3)
        if kind == "LSTM_PROJ":
            units = max(units, 3) + 1
        options = {"num_layers": layers, "bidirectional": both, "bias": case["bias"], "batch_first": True}
        module = make(kind, False, (features, units), **options).to(dtype)
        # Large layers of large weights would blow up each rounding.
        parameters(module, generator, 0.6 if units < 8 else units**-0.5)
        draw = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        x, states = draw(rows, steps, features).requires_grad_(), layers * (2 if both else 1)
        h_0 = c_0 = None
        if case["initial"]:
            h_0 = draw(states, rows, units - 2 if kind == "LSTM_PROJ" else units).requires_grad_()
            c_0 = draw(states, rows, units).requires_grad_() if kind.startswith("LSTM") else None
        state = (h_0, c_0) if c_0 is not None else h_0
        lengths = [max(steps - 1, 1), 1, steps, *[1 + (seed + row) % steps for row in range(rows)]][:rows] if case["ragged"] else None
        if lengths:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            y, final = module(packed, state)
            y, _ = nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=steps)
        else:
            y, final = module(x, state)
        h_n, c_n = final if kind.startswith("LSTM") else (final, None)
        ends = {"y": y, "h_n": h_n, "c_n": c_n}
        upstream = {f"d_{key}": draw(*value.shape) for key, value in ends.items() if value is not None}
        sum((value * upstream[f"d_{key}"]).sum() for key, value in ends.items() if value is not None).backward()
        given = {"x": x, "h_0": h_0, "c_0": c_0}
        gradients = {f"d_{key}": value.grad for key, value in given.items() if value is not None}
        gradients |= {f"gradient.{key}": value.grad for key, value in module.named_parameters()}
        name = f"{kind.lower()}_{len(self.cases)}"
        self.add(name, module, **given, **ends, **upstream, **gradients)
        self.cases.append({"name": name, **case, "lengths": lengths, "one_step": False})

    def cell(self, seed, case):
        generator = torch.Generator().manual_seed(seed)
        kind, dtype = case["kind"], getattr(torch, case["dtype"])
        features, units, rows, steps = 3, 4 + seed % 2, 2, 4
        module = make(kind, True, (features, units), bias=case["bias"]).to(dtype)
        parameters(module, generator)
        draw = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        x, h_0 = draw(rows, steps, features), draw(rows, units)
        c_0 = draw(rows, units) if kind == "LSTM" else None
        state, outputs = (h_0, c_0) if kind == "LSTM" else h_0, []
        with torch.no_grad():
            for step in range(steps):
                state = module(x[:, step], state)
                outputs.append(state[0] if kind == "LSTM" else state)
        h_n, c_n = state if kind == "LSTM" else (state, None)
        one = lambda tensor: None if tensor is None else tensor[None]
        name = f"{kind.lower()}_cell_{len(self.cases)}"
        self.add(name, module, x=x, y=torch.stack(outputs, 1), h_n=one(h_n), c_n=one(c_n), h_0=one(h_0), c_0=one(c_0))
        more = {"layers": 1, "both": False, "lengths": None, "ragged": False, "initial": True, "one_step": True}
        self.cases.append({"name": name, **case, **more})

    def others(self):
        """Modules around them, whole stacks of which run over (batch, timesteps, features)."""
        generator = torch.Generator().manual_seed(200)
        x = torch.randn(2, 4, 3, generator=generator)
        batch_norm, plain = nn.BatchNorm1d(3), nn.BatchNorm1d(3, affine=False, eps=1e-3)
        for module in (batch_norm, plain):
            module.running_mean.copy_(torch.randn(3, generator=generator))
            module.running_var.copy_(torch.rand(3, generator=generator) + 0.1)
        for name, module, given in [
            ("linear", nn.Linear(3, 4), x),
            ("linear_plain", nn.Linear(3, 5, bias=False), x),
            ("linear_double", nn.Linear(3, 2).double(), x.double()),
            ("layer_norm", nn.LayerNorm(3), x * 1e-2),
            ("layer_norm_plain", nn.LayerNorm(3, bias=False, eps=1e-3), x * 1e-2),
            ("embedding", nn.Embedding(7, 3, padding_idx=2), torch.tensor([[1, 2, 6], [0, 5, 2]])),
        ]:
            parameters(module, generator)
            with torch.no_grad():
                self.add(name, module, x=given, y=module(given))
        parameters(batch_norm, generator)
        for name, module in [("batch_norm", batch_norm), ("batch_norm_plain", plain)]:
            module.eval()
            with torch.no_grad():
                self.add(name, module, x=x, y=module(x.transpose(1, 2)).transpose(1, 2))
        # Narrow numbers: what PyTorch computes with them is computed in f32, from the widened weights.
        for name, dtype in [("half", torch.float16), ("bfloat", torch.bfloat16)]:
            module = nn.GRU(3, 4, batch_first=True)
            parameters(module, generator)
            narrow = {key: value.to(dtype) for key, value in module.state_dict().items()}
            module.load_state_dict({key: value.float() for key, value in narrow.items()})
            x = torch.randn(2, 5, 3, generator=generator)
            with torch.no_grad():
                y, h_n = module(x)
            self.add(name, module, x=x, y=y, h_n=h_n)
            self.tensors |= {f"{name}.module.{key}": value for key, value in narrow.items()}

    def convolutions(self):
        """nn.Conv1d over (batch, timesteps, channels); a causal one is one with zeros before."""
        generator = torch.Generator().manual_seed(300)
        x = torch.randn(2, 9, 3, generator=generator)
        for name, module, given, before in [
            ("conv", nn.Conv1d(3, 4, 3, stride=2), x, 0),
            ("conv_same", nn.Conv1d(3, 2, 4, padding="same", dilation=2, bias=False), x, 0),
            ("conv_groups", nn.Conv1d(3, 6, 2, groups=3).double(), x.double(), 0),
            ("conv_causal", nn.Conv1d(3, 5, 3, dilation=2), x, 4),
        ]:
            parameters(module, generator)
            with torch.no_grad():
                padded = nn.functional.pad(given.transpose(1, 2), (before, 0))
                self.add(name, module, x=given, y=module(padded).transpose(1, 2))

    def write(self, folder):
        save_file(self.tensors, folder / "cases.safetensors")
        versions = {"torch": torch.__version__, "safetensors": safetensors.__version__, "numpy": np.__version__}
        lines = ",\n  ".join(json.dumps(case) for case in self.cases)
        head = json.dumps(versions)[1:-1]
        (folder / "cases.json").write_text(f'{{{head}, "cases": [\n  {lines}\n]}}\n')


def stream(folder):
    """A GRU alone in its file, and what it prints step by step."""
    generator = torch.Generator().manual_seed(7)
    module = nn.GRU(2, 4, batch_first=True)
    parameters(module, generator)
    save_file(module.state_dict(), folder / "stream.safetensors", {"format": "pt"})
    h, lines = None, []
    with torch.no_grad():
        for step in range(8):
            x = torch.tensor([[[step / 8, 1 - step / 4]]])
            y, h = module(x, h)
            lines.append(f"{step}: " + " ".join(f"{value:+.4f}" for value in y.flatten().tolist()))
    (folder / "stream.txt").write_text("\n".join(lines) + "\n")


def main():
    writer = Writer()
    if sys.argv[1:2] == ["random"]:
        draw = random.Random(1)
        for seed in range(int(sys.argv[2])):
            case = {option: draw.choice(values) for option, values in OPTIONS.items()}
            case["layers"] = draw.randint(1, 4)
            sizes = (draw.randint(1, 20), draw.randint(1, 24))
            writer.recurrent(seed, case, sizes, draw.randint(1, 6), draw.randint(1, 9))
        return writer.write(pathlib.Path(sys.argv[3]))
    for seed, case in enumerate(pairwise(OPTIONS)):
        writer.recurrent(seed, case)
    for seed, case in enumerate(pairwise(CELLS)):
        writer.cell(100 + seed, case)
    writer.others()
    writer.convolutions()
    writer.write(HERE)
    stream(HERE)


if __name__ == "__main__":
    main()
