"""Writes the workloads: for each a model as ONNX, its weights under PyTorch's names, an input and ONNX Runtime's output.

    python cases.py DIR

It needs numpy, onnx, onnxruntime and safetensors. A workload's name says all of it: kind.cell.INPUTSxUNITS, batch.

    S   one step per call, the state carried from call to call
    Q   one sequence of 100 steps
    B   a batch of sequences of 50 steps
    M   32 sequences of 10 to 100 steps, padded to 100
    G   the forward and the backward pass over 32 sequences of 50 steps
    C   100 steps through a convolution (64 channels, five steps, ReLU) and pooling by two before the LSTM
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

GATES = {"lstm": 4, "gru": 3, "rnn": 1, "bilstm": 4}
NODE = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN", "bilstm": "LSTM"}
# PyTorch's order of gates, from ONNX's: i, f, g, o out of i, o, f, g; r, z, n out of z, r, n.
TORCH = {"lstm": [0, 2, 3, 1], "gru": [1, 0, 2], "rnn": [0], "bilstm": [0, 2, 3, 1]}
# Of the convolution in C.
CHANNELS, KERNEL = 64, 5


def workloads():
    for cell in ["lstm", "gru"]:
        for size in [(1, 40), (8, 16), (16, 32), (32, 64), (64, 128), (128, 256)]:
            yield "S", cell, *size, 1, 1
    yield "S", "rnn", 64, 128, 1, 1
    for cell in ["lstm", "gru"]:
        for size in [(32, 64), (128, 128), (256, 512)]:
            yield "Q", cell, *size, 1, 100
    yield "Q", "rnn", 128, 128, 1, 100
    yield "Q", "bilstm", 128, 128, 1, 100
    for cell in ["lstm", "gru"]:
        for inputs, units, batch in [(64, 128, 32), (256, 512, 32), (40, 128, 128)]:
            yield "B", cell, inputs, units, batch, 50
    yield "M", "lstm", 64, 128, 32, 100
    for cell in ["lstm", "gru"]:
        yield "G", cell, 64, 128, 32, 50
    for batch in [1, 32]:
        yield "C", "lstm", 16, 128, batch, (100 - KERNEL + 1) // 2


def write(folder, kind, cell, inputs, units, batch, steps, rng):
    name = f"{kind}.{cell}.{inputs}x{units}" + (f".b{batch}" if batch > 1 else "")
    ways = 2 if cell == "bilstm" else 1
    rows = GATES[cell] * units
    limit = np.sqrt(1 / units)
    w, r, b = (rng.uniform(-limit, limit, (ways, *shape)).astype(np.float32)
               for shape in [(rows, CHANNELS if kind == "C" else inputs), (rows, units), (2 * rows,)])
    lengths = np.linspace(10, steps, batch).astype(np.int32) if kind == "M" else np.full(batch, steps, np.int32)
    lengths = rng.permutation(lengths)
    input_steps = 100 if kind == "C" else steps
    x = rng.standard_normal((input_steps, batch, inputs)).astype(np.float32)

    states = [] if kind != "S" else ["h", "c"] if cell == "lstm" else ["h"]
    initial = [f"{state}_in" for state in states]
    if kind == "M":
        node_in = ["x", "w", "r", "b", "lengths"]
    else:
        node_in = ["features" if kind == "C" else "x", "w", "r", "b"] + (["", *initial] if initial else [])
    options = {"hidden_size": units, "direction": "bidirectional" if ways == 2 else "forward"}
    if cell == "gru":
        options["linear_before_reset"] = 1
    outputs = ["y", *(f"{state}_out" for state in states)]
    nodes = [helper.make_node(NODE[cell], node_in, outputs, **options)]
    shapes = [[steps, ways, batch, units]] + [[ways, batch, units]] * len(states)
    info = lambda name, shape, kind=TensorProto.FLOAT: helper.make_tensor_value_info(name, kind, shape)
    graph_in = [info("x", [input_steps, batch, inputs])] + [info(state, [ways, batch, units]) for state in initial]
    if kind == "M":
        graph_in.append(info("lengths", [batch], TensorProto.INT32))
    weights, before = {"w": w, "r": r, "b": b}, {}
    if kind == "C":
        limit = np.sqrt(1 / (inputs * KERNEL))
        before = {"conv.weight": rng.uniform(-limit, limit, (CHANNELS, inputs, KERNEL)).astype(np.float32),
                  "conv.bias": rng.uniform(-limit, limit, CHANNELS).astype(np.float32)}
        nodes = [helper.make_node("Transpose", ["x"], ["x_last"], perm=[1, 2, 0]),
                 helper.make_node("Conv", ["x_last", *before], ["convolved"], kernel_shape=[KERNEL]),
                 helper.make_node("Relu", ["convolved"], ["active"]),
                 helper.make_node("MaxPool", ["active"], ["pooled"], kernel_shape=[2], strides=[2]),
                 helper.make_node("Transpose", ["pooled"], ["features"], perm=[2, 0, 1])] + nodes
    weights = [numpy_helper.from_array(a, n) for n, a in (weights | before).items()]
    graph = helper.make_graph(nodes, "model", graph_in, [info(*pair) for pair in zip(outputs, shapes)], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / f"{name}.onnx")

    feed = {"x": x} | {state: np.zeros((ways, batch, units), np.float32) for state in initial}
    if kind == "M":
        feed["lengths"] = lengths
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(outputs[:1], feed)[0].reshape(steps, ways, batch, units)
    expected = np.ascontiguousarray(expected.transpose(2, 0, 1, 3)).reshape(batch, steps, ways * units)

    order = lambda a: np.concatenate([np.split(a, GATES[cell])[k] for k in TORCH[cell]])
    tensors = before | {"x": np.ascontiguousarray(x.transpose(1, 0, 2)), "expected": expected, "lengths": lengths.astype(np.int64)}
    for way, suffix in enumerate(["", "_reverse"][:ways]):
        for key, value in [("weight_ih", w[way]), ("weight_hh", r[way]),
                           ("bias_ih", b[way][:rows]), ("bias_hh", b[way][rows:])]:
            tensors[f"layer.{key}_l0{suffix}"] = np.ascontiguousarray(order(value))
    save_file(tensors, folder / f"{name}.safetensors")
    return {"name": name, "kind": kind, "cell": cell, "inputs": inputs, "units": units, "batch": batch, "steps": steps,
            "input_steps": input_steps, "row_steps": int(lengths.sum())}


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    written = [write(folder, *workload, rng) for workload in workloads()]
    (folder / "workloads.json").write_text(json.dumps(written, indent=1))


main()
