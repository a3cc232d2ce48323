"""PyTorch takes what this crate has written: `round_trip.py FOLDER` after `cargo test --all-features --test files pytorch`.

FOLDER, `target/tmp`, holds the modules of cases.safetensors as they were read and written again. Each is loaded in strict
mode into a module made anew, and must compute what the first one computed. The files' hashes are kept: a test compares.
"""

import hashlib
import json
import pathlib
import sys

import safetensors
import torch
from safetensors.torch import load_file
from torch import nn

from generate import HERE, make


def difference(a, b):
    return ((a - b).abs() / b.abs().clamp(min=1)).max().item()


def recurrent(case, written, golden):
    name, kind, dtype = case["name"], case["kind"], getattr(torch, case["dtype"])
    weights = golden(f"{name}.module")
    sizes = weights["weight_ih" if case["one_step"] else "weight_ih_l0"].shape[1], units(case, weights)
    if case["one_step"]:
        module = make(kind, True, sizes, bias=case["bias"]).to(dtype)
    else:
        options = {"num_layers": case["layers"], "bidirectional": case["both"], "bias": case["bias"]}
        module = make(kind, False, sizes, batch_first=True, **options).to(dtype)
    module.load_state_dict(written(name), strict=True)
    call = golden(name)
    state = tuple(call[key] for key in ("h_0", "c_0") if key in call)
    if case["one_step"]:
        state, y = tuple(part[0] for part in state), []
        for x in call["x"].unbind(1):
            h = module(x, state if kind == "LSTM" else state[0])
            state = h if kind == "LSTM" else (h,)
            y.append(state[0])
        return difference(torch.stack(y, 1), call["y"])
    state = None if not state else state if kind.startswith("LSTM") else state[0]
    if not case["lengths"]:
        return difference(module(call["x"], state)[0], call["y"])
    packed = nn.utils.rnn.pack_padded_sequence(call["x"], case["lengths"], batch_first=True, enforce_sorted=False)
    y, _ = nn.utils.rnn.pad_packed_sequence(module(packed, state)[0], batch_first=True, total_length=call["x"].shape[1])
    return difference(y, call["y"])


def units(case, weights):
    gates = {"GRU": 3, "LSTM": 4, "LSTM_PROJ": 4}.get(case["kind"], 1)
    return weights["weight_hh" if case["one_step"] else "weight_hh_l0"].shape[0] // gates


def below(tensors):
    return lambda prefix: {key[len(prefix) + 1 :]: value for key, value in tensors.items() if key.startswith(f"{prefix}.")}


def main():
    folder = pathlib.Path(sys.argv[1])
    golden = below(load_file(HERE / "cases.safetensors"))
    cases = json.loads((HERE / "cases.json").read_text())["cases"]
    others = {
        "linear": nn.Linear(3, 4), "linear_plain": nn.Linear(3, 5, bias=False), "linear_double": nn.Linear(3, 2).double(),
        "embedding": nn.Embedding(7, 3), "layer_norm": nn.LayerNorm(3), "layer_norm_plain": nn.LayerNorm(3, 1e-3, bias=False),
        "batch_norm": nn.BatchNorm1d(3), "batch_norm_plain": nn.BatchNorm1d(3, 1e-3, affine=False),
        "conv": nn.Conv1d(3, 4, 3, stride=2), "conv_groups": nn.Conv1d(3, 6, 2, groups=3).double(),
        "conv_same": nn.Conv1d(3, 2, 4, padding="same", dilation=2, bias=False),
    }
    result = {"torch": torch.__version__, "safetensors": safetensors.__version__, "sha256": {}, "differences": {}}
    taken = set()
    for dtype, tolerance in [("float32", 1e-6), ("float64", 1e-14)]:
        path = folder / f"written_{dtype}.safetensors"
        result["sha256"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        tensors = load_file(path)
        written, differences = below(tensors), {}
        with torch.no_grad():
            for case in cases:
                if case["dtype"] == dtype:
                    differences[case["name"]] = recurrent(case, written, golden)
            for name, module in others.items():
                if not written(name):
                    continue
                module.load_state_dict(written(name), strict=True)
                call, turn = golden(name), (lambda x: x.transpose(1, 2)) if "batch" in name or "conv" in name else (lambda x: x)
                differences[name] = difference(turn(module.eval()(turn(call["x"]))), call["y"])
        assert {key.split(".")[0] for key in tensors} == set(differences), "each module of the file was taken"
        assert max(differences.values()) <= tolerance, differences
        taken |= set(differences)
        result["differences"][dtype] = {"modules": len(differences), "largest": max(differences.values())}
    assert taken == {case["name"] for case in cases} | set(others)
    (HERE / "round_trip.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
