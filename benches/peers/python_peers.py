"""The workloads of `cases.py` through a peer that is used from Python, on one thread: a line of JSON for each.

    python python_peers.py DIR ort|openvino|torch|keras [PART_OF_NAME]

The call from Python is part of the time, as it is for those who use them there.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1",
                  TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow", CUDA_VISIBLE_DEVICES="-1")

import numpy as np
from safetensors.numpy import load_file

SAMPLES, SAMPLE = 15, 0.008


def median(call):
    calls = 1
    while True:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        elapsed = time.perf_counter() - start
        if elapsed >= SAMPLE:
            break
        calls *= 10 if elapsed * 10 < SAMPLE else 2
    samples = []
    for _ in range(SAMPLES):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        samples.append((time.perf_counter() - start) / calls)
    return statistics.median(samples) * 1e9


def by_rows(y, work):
    """(steps, ways, batch, units) to (batch, steps, ways * units)."""
    return y.transpose(2, 0, 1, 3).reshape(work["batch"], work["steps"], -1)


def feed_of(work, tensors):
    ways = 2 if work["cell"] == "bilstm" else 1
    feed = {"x": np.ascontiguousarray(tensors["x"].transpose(1, 0, 2))}
    if work["kind"] == "S":
        for state in ["h", "c"] if work["cell"] == "lstm" else ["h"]:
            feed[f"{state}_in"] = np.zeros((ways, work["batch"], work["units"]), np.float32)
    if work["kind"] == "M":
        feed["lengths"] = tensors["lengths"].astype(np.int32)
    return feed


def onnx_call(work, tensors, run):
    """A call that carries states on, and the first output."""
    feed = feed_of(work, tensors)
    states = list(feed)[1:] if work["kind"] == "S" else []
    first = run(feed)[0]
    first = first.reshape(work["batch"], 1, -1) if states else by_rows(first, work)

    def call():
        outputs = run(feed)
        for state, output in zip(states, outputs[1:]):
            feed[state] = output

    return call, first


def ort(folder, work, tensors):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / f"{work['name']}.onnx", options, providers=["CPUExecutionProvider"])
    return onnx_call(work, tensors, lambda feed: session.run(None, feed))


def openvino(folder, work, tensors):
    import openvino

    config = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(folder / f"{work['name']}.onnx", "CPU", config).create_infer_request()

    def run(feed):
        return [value.copy() for value in request.infer(feed).values()]

    return onnx_call(work, tensors, run)


def torch(folder, work, tensors):
    import torch

    torch.set_num_threads(1)
    kind = {"lstm": torch.nn.LSTM, "bilstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[work["cell"]]
    features = tensors["layer.weight_ih_l0"].shape[1]
    layer = kind(features, work["units"], batch_first=True, bidirectional=work["cell"] == "bilstm")
    layer.load_state_dict({name[6:]: torch.from_numpy(t) for name, t in tensors.items() if name.startswith("layer.")})
    x = torch.from_numpy(tensors["x"])
    if work["kind"] == "C":
        before = torch.nn.Sequential(torch.nn.Conv1d(*tensors["conv.weight"].shape[1::-1], tensors["conv.weight"].shape[2]),
                                     torch.nn.ReLU(), torch.nn.MaxPool1d(2))
        before[0].load_state_dict({name: torch.from_numpy(tensors[f"conv.{name}"]) for name in ["weight", "bias"]})
        run = lambda: layer(before(x.transpose(1, 2)).transpose(1, 2))[0]
        def call():
            with torch.inference_mode():
                return run()
        return call, call().numpy()
    if work["kind"] == "G":
        def call():
            layer.zero_grad()
            layer(x)[0].sum().backward()
        with torch.no_grad():
            return call, layer(x)[0].numpy()
    state = None
    if work["kind"] == "M":
        lengths = torch.from_numpy(tensors["lengths"])
        pack = torch.nn.utils.rnn.pack_padded_sequence
        run = lambda: layer(pack(x, lengths, batch_first=True, enforce_sorted=False))[0]
        with torch.inference_mode():
            first = torch.nn.utils.rnn.pad_packed_sequence(run(), batch_first=True)[0].numpy()
    else:
        run = lambda: layer(x, state)
        with torch.inference_mode():
            first = layer(x)[0].numpy()

    def call():
        nonlocal state
        with torch.inference_mode():
            result = run()
        if work["kind"] == "S":
            state = result[1]

    return call, first


def keras(folder, work, tensors):
    import keras
    import tensorflow as tf

    order = {"lstm": [0, 1, 2, 3], "gru": [1, 0, 2], "rnn": [0]}.get(work["cell"])
    if order is None or work["kind"] == "C":
        return None
    gates = lambda a: np.concatenate([np.split(a, len(order))[k] for k in order])
    part = {n: gates(tensors[f"layer.{n}_l0"]) for n in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]}
    bias = np.stack([part["bias_ih"], part["bias_hh"]]) if work["cell"] == "gru" else part["bias_ih"] + part["bias_hh"]
    kind = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}[work["cell"]]
    layer = kind(work["units"], return_sequences=True, return_state=work["kind"] == "S")
    layer.build(tensors["x"].shape)
    layer.set_weights([part["weight_ih"].T, part["weight_hh"].T, bias])
    x = tf.constant(tensors["x"])
    if work["kind"] == "S":
        size = [work["batch"], work["units"]]
        states = [tf.zeros(size)] * (2 if work["cell"] == "lstm" else 1)
        step = tf.function(lambda x, states: layer(x, initial_state=states))
        first = step(x, states)[0].numpy()

        def call():
            nonlocal states
            states = step(x, states)[1:]

        return call, first
    mask = None
    if work["kind"] == "M":
        mask = tf.constant(np.arange(work["steps"]) < tensors["lengths"][:, None])
    if work["kind"] == "G":
        @tf.function
        def update(x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(layer(x))
            return tape.gradient(loss, layer.trainable_weights)
        return lambda: update(x), layer(x).numpy()
    run = tf.function(lambda x: layer(x, mask=mask))
    return lambda: run(x), run(x).numpy()


def main():
    folder, peer, part = Path(sys.argv[1]), sys.argv[2], (sys.argv + [""])[3]
    prepare = {"ort": ort, "openvino": openvino, "torch": torch, "keras": keras}[peer]
    for work in json.loads((folder / "workloads.json").read_text()):
        if part not in work["name"] or (work["kind"] == "G" and peer in ["ort", "openvino"]):
            continue
        tensors = load_file(folder / f"{work['name']}.safetensors")
        prepared = prepare(folder, work, tensors)
        if prepared is None:
            continue
        call, first = prepared
        live = np.arange(work["steps"]) < tensors["lengths"][:, None]
        error = float(np.abs(first - tensors["expected"])[live].max())
        if not error <= 1e-4:
            print(f"{peer} {work['name']}: left out, its numbers differ by {error:e}", file=sys.stderr)
            continue
        print(json.dumps({"peer": peer, "name": work["name"], "ns": round(median(call) / work["row_steps"], 2),
                          "error": error}), flush=True)


main()
