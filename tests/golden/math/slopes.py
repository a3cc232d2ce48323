"""What TensorFlow's automatic differentiation makes of each Keras activation, kinks included, in float64.

    pip install keras==3.15.1 tensorflow==2.21.0 && python tests/golden/math/slopes.py
"""

import json
import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np
import tensorflow as tf
from keras.src.activations import ALL_OBJECTS_DICT as BY_NAME

ROWS = ["softmax", "log_softmax", "sparsemax", "glu"]
CASES = [(name, {}) for name in sorted(BY_NAME) if name != "threshold"] + [
    ("relu", {"negative_slope": 0.1, "max_value": 2.7, "threshold": 0.3}),
    ("relu", {"negative_slope": 0.0, "max_value": 6.0, "threshold": 0.0}),
    ("relu", {"negative_slope": 0.1, "threshold": 1.0}),
    ("relu", {"negative_slope": 0.1, "max_value": 1.0}),
    ("relu", {"threshold": -1.0}),
    ("relu", {"negative_slope": -0.3, "max_value": -0.2}),
    ("relu", {"negative_slope": 0.3}),
    ("leaky_relu", {"negative_slope": -1.0}),
    ("elu", {"alpha": 0.5}),
    ("celu", {"alpha": 0.5}),
    ("celu", {"alpha": -0.5}),
    ("soft_shrink", {"threshold": -1.0}),
    ("hard_shrink", {"threshold": 1.0}),
    ("squareplus", {"b": 1.5}),
    ("gelu", {"approximate": True}),
    ("threshold", {"threshold": 0.5, "default_value": -2.0}),
]


def main():
    rng = np.random.default_rng(7)
    # Every bend of the functions above, and ordinary numbers.
    bends = [0, 1, -1, 3, -3, 6, 0.5, -0.5, 0.3, 2.7, 2, -2, 40, -40, 1e-3, -1e-3]
    row = np.concatenate([rng.normal(size=12).round(3) * 2, bends])
    cases = []
    for name, parameters in CASES:
        rows = [row]
        if name in ROWS:
            rows = [(rng.normal(size=n) * scale).round(3) for n, scale in [(2, 1), (4, 3), (10, 0.1), (18, 1), (34, 0.5)]]
            rows += [np.array([1.0, 2, 3, 3]), np.array([0.1, 0.1, 0.2, 0.2, 0.05, 0])]
        for z in rows:
            dy = rng.normal(size=len(z) // 2 if name == "glu" else len(z)).round(3)
            x = tf.constant(z[None])
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = BY_NAME[name](x, **parameters)
                loss = tf.reduce_sum(y * dy)
            dz = tape.gradient(loss, x)
            case = {"name": name, "parameters": parameters, "z": z, "y": y.numpy()[0], "dy": dy, "dz": dz.numpy()[0]}
            cases.append(json.dumps(case, default=list))
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text('{"keras": "%s", "cases": [\n' % keras.__version__ + ",\n".join(cases) + "\n]}\n")


if __name__ == "__main__":
    main()
