"""Gradients of PyTorch's RNN, LSTM and GRU: layers on top of each other, both directions, packed sequences, all dtypes.

The files speak Keras's words, so weights and their gradients are turned over: transposed, the GRU's gates reordered
from r, z, n to z, r, h. PyTorch adds two biases in each gate; an RNN and an LSTM get the first, the second is zero.
A row of a packed sequence puts out zeros behind its end: `zero_output_for_mask`.
"""

import itertools
import platform
import sys
import zlib
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
torch.set_num_threads(1)

KINDS = ["RNN", "LSTM", "GRU"]
SIZES = [(2, 5, 4, 3), (3, 4, 2, 5), (4, 6, 3, 2)]


def number(value):
    text = str(value)
    assert "n" not in text, "all numbers are finite"
    return text


def dump(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f'"{k}":{dump(v)}' for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(dump(v) for v in value) + "]"
    data = ",".join(number(v) for v in value.ravel())
    return f'{{"shape":[{",".join(map(str, value.shape))}],"data":[{data}]}}'


def to_keras(kind, arrays):
    """kernel, recurrent_kernel and bias from weight_ih, weight_hh, bias_ih, bias_hh, or from their gradients."""

    def gates(array):
        if kind != "GRU":
            return array
        r, z, n = np.split(array, 3, axis=0)
        return np.concatenate([z, r, n], axis=0)

    ih, hh, b_ih, b_hh = (gates(array) for array in arrays)
    bias = np.stack([b_ih, b_hh]) if kind == "GRU" else b_ih
    return [("kernel", ih.T), ("recurrent_kernel", hh.T), ("bias", bias)]


def named(pairs):
    return [{"name": name, "array": np.ascontiguousarray(array)} for name, array in pairs]


def case(name, kind, dtype, size, layers, both, nonlinearity, packed, with_state, into):
    batch, timesteps, features, units = size
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    kind_of_tensor = torch.float64 if dtype == "float64" else torch.float32

    def tensor(shape, scale):
        return torch.tensor(rng.uniform(-scale, scale, shape).round(4), dtype=kind_of_tensor)

    options = {"nonlinearity": nonlinearity} if kind == "RNN" else {}
    module = getattr(torch.nn, kind)(
        features, units, layers, batch_first=True, bidirectional=both, dtype=kind_of_tensor, **options
    )
    for key, parameter in module.named_parameters():
        # One bias would do for an RNN or LSTM; the other is the same, and so is its gradient.
        zero = "bias_hh" in key and kind != "GRU"
        parameter.data = tensor(parameter.shape, 0.0 if zero else 0.5)
    x = tensor((batch, timesteps, features), 1.0).requires_grad_()
    directions = 2 if both else 1
    parts = ["h", "c"] if kind == "LSTM" else ["h"]
    shape = (layers * directions, batch, units)
    initial = [tensor(shape, 0.8).requires_grad_() for _ in parts] if with_state else None
    lengths = [max(1, timesteps - row) for row in range(batch)] if packed else None

    given = x
    if packed:
        given = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
    state = None if initial is None else (tuple(initial) if kind == "LSTM" else initial[0])
    output, final = module(given, state)
    if packed:
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True, total_length=timesteps)
    final = final if kind == "LSTM" else (final,)
    upstream = {"output": None, "states": None}
    loss = 0
    if "output" in into:
        into_output = tensor(output.shape, 1.0)
        upstream["output"] = into_output.numpy()
        loss = loss + (output * into_output).sum()
    paths = [f"{i}/{way}" for i in range(layers) for way in (["forward/", "backward/"] if both else [""])]
    if layers == 1:
        paths = [path[2:] for path in paths]

    def states(tensors):
        """Layer by layer, direction by direction, h before c."""
        return named(
            (path + part, np.asarray(tensor[i].detach()))
            for i, path in enumerate(paths)
            for part, tensor in zip(parts, tensors, strict=True)
        )

    if "states" in into:
        into_states = [tensor(shape, 1.0) for _ in parts]
        upstream["states"] = states(into_states)
        loss = loss + sum((s * d).sum() for s, d in zip(final, into_states, strict=True))
    loss.backward()

    def weights(of):
        pairs = []
        for path, suffix in zip(paths, [f"_l{i}{w}" for i in range(layers) for w in (["", "_reverse"] if both else [""])]):
            own = [of(getattr(module, key + suffix)) for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            pairs += [(path + key, array) for key, array in to_keras(kind, own)]
        return named(pairs)

    def spec(inputs):
        config = {"units": units, "return_sequences": True, "return_state": True}
        if kind == "RNN":
            config["activation"] = nonlinearity
        if packed and not both:
            config["zero_output_for_mask"] = True
        one = {"class": "SimpleRNN" if kind == "RNN" else kind, "input_size": inputs, "config": config}
        if not both:
            return one
        return {"class": "Bidirectional", "input_size": inputs, "config": {"merge_mode": "concat"}, "layer": one}

    specs = [spec(features if i == 0 else units * directions) for i in range(layers)]
    layer = specs[0] if layers == 1 else {"class": "Sequential", "input_size": features, "layers": specs}
    mask = None if lengths is None else np.array([[int(t < n) for t in range(timesteps)] for n in lengths])
    return {
        "name": name,
        "dtype": dtype,
        "layer": layer,
        "weights": weights(lambda p: p.detach().numpy()),
        "input": x.detach().numpy(),
        "mask": mask,
        "lengths": lengths,
        "initial_state": initial and states(initial),
        "upstream": upstream,
        "gradients": {
            "input": x.grad.numpy(),
            "initial_state": initial and states([t.grad for t in initial]),
            "weights": weights(lambda p: p.grad.numpy()),
        },
    }


def cases():
    flags = [False, True]
    intos = [("output",), ("states",), ("output", "states")]
    for kind in KINDS:
        factors = itertools.product(["float32", "float64"], flags, flags, flags, intos)
        # The half of them in which any three options still meet in every way.
        half = [f for f in factors if ((f[0] == "float64") + f[1] + f[2] + f[3]) % 2 == 0]
        for i, (dtype, both, packed, with_state, into) in enumerate(half):
            size, layers = SIZES[i % len(SIZES)], 1 + i % 2 if i % 5 else 3
            nonlinearity = ["tanh", "relu"][(i // 3) % 2]
            words = [kind.lower(), f"{i:02}", f"{layers}x", "both" if both else "one", "packed" if packed else "whole"]
            yield case("-".join(words), kind, dtype, size, layers, both, nonlinearity, packed, with_state, into)


def main():
    versions = {"torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()}
    done = list(cases())
    lines = ",\n".join(dump(c) for c in done)
    path = HERE / "torch_layers.json"
    path.write_text(f'{{"versions":{dump(versions)},"cases":[\n{lines}\n]}}\n')
    print(f"{path.name}: {len(done)} cases, {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    sys.exit(main())
