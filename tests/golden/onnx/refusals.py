"""Recurrent nodes with what no reader should pass over: inputs that the operator doesn't have, states of other shapes.

    pip install -r requirements.txt; python refusals.py
"""

import numpy as np
import onnx
from bundle import Bundle
from onnx import TensorProto, helper, numpy_helper

FEATURES, UNITS = 3, 2
CASES = [
    ("more_inputs", {"h": (1, 1, UNITS), "c": (1, 1, UNITS)}, "it has 6 inputs at most, and \"c\" behind them"),
    ("two_directions", {"h": (2, 1, UNITS)}, "its initial states must be of 1 directions, found 2"),
    ("more_units", {"h": (1, 1, UNITS + 1)}, "its initial states must be of 2 units, found 3"),
    ("rank", {"h": (1, UNITS)}, "its initial states must have three dimensions"),
    ("rows", {"h": (1, 4, UNITS)}, "a constant is of so many rows, and the batch of another number, or of any"),
]


def main():
    bundle = Bundle("refusals", {module.__name__: module.__version__ for module in [onnx, np]})
    for name, states, says in CASES:
        # Zeros would change nothing, and are as wrong; rows that are equal are as good as one.
        make = (lambda shape, kind: np.arange(np.prod(shape), dtype=kind).reshape(shape)) if name == "rows" else np.zeros
        shapes = {"W": (1, 3 * UNITS, FEATURES), "R": (1, 3 * UNITS, UNITS)}
        weights = [numpy_helper.from_array(np.ones(shape, np.float32), key) for key, shape in shapes.items()]
        weights += [numpy_helper.from_array(make(shape, np.float32), key) for key, shape in states.items()]
        node = helper.make_node("GRU", ["x", "W", "R", "", "", *states], ["y"], "here", hidden_size=UNITS)
        info = helper.make_tensor_value_info
        inputs = [info("x", TensorProto.FLOAT, ["time", "batch", FEATURES])]
        graph = helper.make_graph([node], name, inputs, [info("y", TensorProto.FLOAT, None)], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        bundle.add(name, model.SerializeToString(), {}, {}, says=says)
    bundle.write()


if __name__ == "__main__":
    main()
