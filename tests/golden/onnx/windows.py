"""Convolutions and pooling over one axis among axes of one, with what ONNX Runtime makes of them; and over two.

    pip install -r requirements.txt; python windows.py
"""

import numpy as np
import onnx
import onnxruntime
from bundle import Bundle
from onnx import TensorProto, helper, numpy_helper

CASES = [
    ("time_first", (2, 3, 9, 1), "Conv", (4, 3, 3, 1), {"strides": [2, 1]}),
    ("time_last", (2, 3, 1, 9), "Conv", (4, 3, 1, 3), {"pads": [0, 2, 0, 0]}),
    ("groups", (2, 4, 1, 9), "Conv", (4, 2, 1, 3), {"group": 2, "dilations": [1, 2]}),
    ("three_axes", (2, 3, 1, 9, 1), "Conv", (4, 3, 1, 3, 1), {}),
    ("stride_over_one", (2, 3, 9, 1), "Conv", (4, 3, 3, 1), {"strides": [1, 2]}),
    ("one_step", (2, 3, 1, 1), "Conv", (4, 3, 1, 1), {}),
    ("plain", (2, 3, 9), "Conv", (4, 3, 3), {"pads": [1, 1]}),
    ("max_pool", (2, 3, 9, 1), "MaxPool", None, {"kernel_shape": [2, 1], "strides": [2, 1]}),
    ("average_pool", (2, 3, 1, 9), "AveragePool", None, {"kernel_shape": [1, 3], "strides": [1, 2]}),
    ("global_pool", (2, 3, 9, 1), "GlobalAveragePool", None, {}),
    ("two_kernel", (2, 3, 1, 9), "Conv", (4, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
    ("two_axes", (2, 3, 5, 9), "Conv", (4, 3, 3, 3), {}),
]


def main():
    rng = np.random.default_rng(3)
    bundle = Bundle("windows", {module.__name__: module.__version__ for module in [onnx, onnxruntime, np]})
    for name, shape, operator, kernel, options in CASES:
        x = rng.standard_normal(shape).astype(np.float32)
        weights = []
        if kernel:
            weights = [numpy_helper.from_array(rng.standard_normal(kernel).astype(np.float32), "w")]
        node = helper.make_node(operator, ["x", "w"][: 1 + len(weights)], ["y"], **options)
        sizes = ["batch", *(size if size != 9 else "time" for size in shape[1:])]
        info = helper.make_tensor_value_info
        graph = helper.make_graph([node], name, [info("x", TensorProto.FLOAT, sizes)], [info("y", TensorProto.FLOAT, None)],
                                  weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        bundle.add(name, model, {"x": x}, {"y": session.run(None, {"x": x})[0]})
    bundle.write()


if __name__ == "__main__":
    main()
