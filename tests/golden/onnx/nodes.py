"""RNN, LSTM and GRU nodes by themselves: all attributes in pairs, with what ONNX Runtime makes of them; the node tests of
the package onnx; and layout = 1, which ONNX Runtime refuses: there the text says that the axes alone are others.

    pip install -r requirements.txt; python nodes.py
"""

import itertools

import numpy as np
import onnx
import onnxruntime
from bundle import Bundle
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

onnxruntime.set_default_logger_severity(4)
random = np.random.default_rng(15)
STEPS, ROWS, FEATURES, UNITS = 5, 3, 2, 4
GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
FUNCTIONS = {"RNN": 1, "LSTM": 3, "GRU": 2}
ALL = ["Relu", "Tanh", "Sigmoid", "Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh", "HardSigmoid", "Elu", "Softsign",
       "Softplus"]
ALPHA = {"Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh", "HardSigmoid", "Elu"}
BETA = {"Affine", "ScaledTanh", "HardSigmoid"}
COMMON = {
    "opset": [7, 14, 22],
    "direction": ["forward", "reverse", "bidirectional"],
    "activations": ["default", "named", "numbers"],
    "clip": [0.0, 0.4, 1.5],
    "lengths": ["none", "some", "zero"],
    "initial": ["none", "h", "all"],
    "bias": [True, False],
    "outputs": ["all", "sequence", "states"],
}
OWN = {
    "RNN": {},
    "LSTM": {"peepholes": [False, True], "input_forget": [0, 1]},
    "GRU": {"linear_before_reset": [0, 1]},
}


def pairwise(options):
    """Choices in which each two values of two options meet, found greedily."""
    names = list(options)
    left = {
        (a, x, b, y)
        for a, b in itertools.combinations(names, 2)
        for x in range(len(options[a]))
        for y in range(len(options[b]))
    }
    while left:
        best, covers = None, set()
        for _ in range(200):
            row = {name: int(random.integers(len(options[name]))) for name in names}
            met = {(a, row[a], b, row[b]) for a, b in itertools.combinations(names, 2)} & left
            if best is None or len(met) > len(covers):
                best, covers = row, met
        if covers:
            left -= covers
            yield {name: options[name][best[name]] for name in names}


def uniform(*shape, scale=1.0):
    return random.uniform(-scale, scale, shape).astype(np.float32)


def attributes(operator, choice, directions):
    told = {"hidden_size": UNITS, "direction": choice["direction"]}
    if choice["activations"] != "default":
        names = [str(random.choice(ALL)) for _ in range(FUNCTIONS[operator] * directions)]
        told["activations"] = names
        if choice["activations"] == "numbers":
            alpha = [float(np.float32(random.uniform(0.3, 1.2))) for name in names if name in ALPHA]
            beta = [float(np.float32(random.uniform(0.1, 0.8))) for name in names if name in BETA]
            told |= {"activation_alpha": alpha} if alpha else {}
            told |= {"activation_beta": beta} if beta else {}
    if choice["clip"]:
        told["clip"] = choice["clip"]
    for name in ("input_forget", "linear_before_reset"):
        if choice.get(name):
            told[name] = 1
    return told


def make(operator, choice, layout=0):
    directions = 2 if choice["direction"] == "bidirectional" else 1
    rows = GATES[operator] * UNITS
    weights = {"W": uniform(directions, rows, FEATURES), "R": uniform(directions, rows, UNITS)}
    feeds, states = {"X": uniform(STEPS, ROWS, FEATURES, scale=2.0)}, 2 if operator == "LSTM" else 1
    if choice["bias"]:
        weights["Bias"] = uniform(directions, 2 * rows)
    if choice["lengths"] != "none":
        feeds["lengths"] = np.array([5, 2, 3] if choice["lengths"] == "some" else [4, 0, 1], np.int32)
    for name in ["h0", "c0"][: states if choice["initial"] == "all" else choice["initial"] == "h"]:
        feeds[name] = uniform(directions, ROWS, UNITS)
    if choice.get("peepholes"):
        weights["P"] = uniform(directions, 3 * UNITS)
    there = lambda name: name if name in feeds or name in weights else ""
    names = ["X", "W", "R", there("Bias"), there("lengths"), there("h0")]
    names += [there("c0"), there("P")] if operator == "LSTM" else []
    while not names[-1]:
        names.pop()
    outputs = ["Y", "Y_h", "Y_c"][: states + 1]
    kept = {"all": outputs, "sequence": outputs[:1], "states": [""] + outputs[1:]}[choice["outputs"]]
    told = attributes(operator, choice, directions)
    shapes = {"X": ["time", "rows", FEATURES], "lengths": ["rows"]}
    state = [directions, "rows", UNITS]
    model = build(operator, names, kept, told, feeds, weights, shapes | {"h0": state, "c0": state}, choice["opset"])
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    kept_names = [name for name in kept if name]
    results = dict(zip(kept_names, session.run(kept_names, feeds)))
    if layout == 1:
        first = lambda array, name: array if name == "lengths" else array.swapaxes(0, 1)
        feeds = {name: np.ascontiguousarray(first(array, name)) for name, array in feeds.items()}
        results = {name: array.transpose(2, 0, 1, 3) if name == "Y" else array.swapaxes(0, 1)
                   for name, array in results.items()}
        state = ["rows", directions, UNITS]
        shapes = {"X": ["rows", "time", FEATURES], "lengths": ["rows"], "h0": state, "c0": state}
        model = build(operator, names, kept, told | {"layout": 1}, feeds, weights, shapes, 14)
    return model, feeds, results


def build(operator, names, outputs, told, feeds, weights, shapes, opset):
    node = helper.make_node(operator, names, outputs, name="node", **told)
    types = {"lengths": TensorProto.INT32}
    inputs = [helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), shapes[name]) for name in feeds]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs if name]
    stored = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph([node], "node", inputs, results, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8).SerializeToString()


def of_the_package(bundle):
    """The node tests: their weights are inputs, which are made initializers here."""
    for test in collect_testcases(None):
        nodes = test.model.graph.node if test.model else []
        if test.kind != "node" or len(nodes) != 1 or nodes[0].op_type not in GATES:
            continue
        (inputs, outputs), = test.data_sets[:1]
        model, node = test.model, test.model.graph.node[0]
        given = dict(zip([info.name for info in model.graph.input], inputs))
        kept = {name for place in (0, 4, 5, 6) for name in node.input[place : place + 1]}
        feeds = {name: array for name, array in given.items() if name in kept}
        infos = [info for info in model.graph.input if info.name in feeds]
        del model.graph.input[:]
        model.graph.input.extend(infos)
        stored = [numpy_helper.from_array(array, name) for name, array in given.items() if name not in kept]
        model.graph.initializer.extend(stored)
        results = dict(zip([info.name for info in model.graph.output], outputs))
        bundle.add(test.name, model.SerializeToString(), feeds, results)


def main():
    bundle = Bundle("nodes", {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__, "numpy": np.__version__})
    for operator in GATES:
        for at, choice in enumerate(pairwise(COMMON | OWN[operator])):
            for layout in [0] if at % 4 else [0, 1]:
                model, feeds, results = make(operator, choice, layout)
                if all(np.isfinite(array).all() and np.abs(array).max() < 1e3 for array in results.values()):
                    name = f"{operator} layout={layout} " + " ".join(f"{key}={value}" for key, value in choice.items())
                    bundle.add(name, model, feeds, results)
    of_the_package(bundle)
    bundle.write()


if __name__ == "__main__":
    main()
