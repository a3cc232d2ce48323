"""Initial states that are weights of as many rows as the batch: equal ones where the batch may be any, others where it is fixed.

    pip install -r requirements.txt; python rows.py
"""

import numpy as np
import onnx
import onnxruntime
from bundle import Bundle
from onnx import TensorProto, helper, numpy_helper

STEPS, ROWS, FEATURES, UNITS = 4, 3, 2, 5


def graph_of(rng, direction, fixed):
    directions = 2 if direction == "bidirectional" else 1
    stored = []

    def weight(name, *shape):
        values = rng.uniform(-1, 1, shape).astype(np.float32)
        stored.append(numpy_helper.from_array(values, name))
        return name

    def state(name):
        values = rng.uniform(-1, 1, (directions, ROWS if fixed else 1, UNITS)).astype(np.float32)
        stored.append(numpy_helper.from_array(np.repeat(values, ROWS // values.shape[1], axis=1), name))
        return name

    weights = [weight("W", directions, 4 * UNITS, FEATURES), weight("R", directions, 4 * UNITS, UNITS)]
    names = ["x", *weights, weight("B", directions, 8 * UNITS), "", state("h"), state("c")]
    node = helper.make_node("LSTM", names, ["y", "y_h", "y_c"], hidden_size=UNITS, direction=direction)
    info = helper.make_tensor_value_info
    inputs = [info("x", TensorProto.FLOAT, ["time", ROWS if fixed else "batch", FEATURES])]
    return helper.make_graph([node], "rows", inputs, [info(name, TensorProto.FLOAT, None) for name in node.output], stored)


def main():
    rng = np.random.default_rng(11)
    bundle = Bundle("rows", {module.__name__: module.__version__ for module in [onnx, onnxruntime, np]})
    feeds = {"x": rng.uniform(-2, 2, (STEPS, ROWS, FEATURES)).astype(np.float32)}
    outputs = ["y", "y_h", "y_c"]
    for direction in ["forward", "reverse", "bidirectional"]:
        for fixed in [False, True]:
            graph = graph_of(rng, direction, fixed)
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
            session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
            name = f"{direction} {'fixed' if fixed else 'equal'}"
            bundle.add(name, model, feeds, dict(zip(outputs, session.run(outputs, feeds))))
    bundle.write()


if __name__ == "__main__":
    main()
