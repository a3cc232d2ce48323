"""A recurrent node with sequence_lens, and another one without behind it: ONNX Runtime runs that over all steps.

    pip install -r requirements.txt; python lengths.py
"""

import numpy as np
import onnx
import onnxruntime
from bundle import Bundle
from onnx import TensorProto, helper, numpy_helper

STEPS, ROWS, FEATURES, UNITS = 5, 3, 2, 4
BEHIND = {"plain": [], "tanh": ["Tanh"], "softmax": ["Softmax"]}


def graph_of(rng, direction, between, outputs):
    directions = 2 if direction == "bidirectional" else 1
    stored = []

    def weight(name, *shape):
        stored.append(numpy_helper.from_array(rng.uniform(-1, 1, shape).astype(np.float32), name))
        return name

    def recurrent(operator, gates, x, width, way, count, after, *more):
        weights = [weight(f"{part}_{operator}", count, gates * UNITS, size) for part, size in [("W", width), ("R", UNITS)]]
        bias = weight(f"B_{operator}", count, 2 * gates * UNITS)
        names = [x, *weights, bias, *more]
        return helper.make_node(operator, names, after, hidden_size=UNITS, direction=way)

    stored.append(numpy_helper.from_array(np.array([0, 0, -1]), "shape"))
    nodes = [
        recurrent("LSTM", 4, "x", FEATURES, direction, directions, ["y", "y_h"], "lengths"),
        helper.make_node("Transpose", ["y"], ["side"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["side", "shape"], ["flat"]),
    ]
    last = "flat"
    for operator in BEHIND[between]:
        nodes.append(helper.make_node(operator, [last], [operator.lower()]))
        last = operator.lower()
    nodes.append(recurrent("GRU", 3, last, UNITS * directions, "forward", 1, ["z", "z_h"]))
    info = helper.make_tensor_value_info
    inputs = [info("x", TensorProto.FLOAT, ["time", "batch", FEATURES]), info("lengths", TensorProto.INT32, ["batch"])]
    return helper.make_graph(nodes, "lengths", inputs, [info(name, TensorProto.FLOAT, None) for name in outputs], stored)


def main():
    rng = np.random.default_rng(8)
    bundle = Bundle("lengths", {module.__name__: module.__version__ for module in [onnx, onnxruntime, np]})
    outputs = ["y", "y_h", "z", "z_h"]
    feeds = {"x": rng.uniform(-2, 2, (STEPS, ROWS, FEATURES)).astype(np.float32),
             "lengths": np.array([3, 5, 1], np.int32)}
    for direction in ["forward", "reverse", "bidirectional"]:
        for between in BEHIND:
            graph = graph_of(rng, direction, between, outputs)
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
            session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
            bundle.add(f"{direction} {between}", model, feeds, dict(zip(outputs, session.run(outputs, feeds))))
    bundle.write()


if __name__ == "__main__":
    main()
