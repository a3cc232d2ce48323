"""Numbers of numpy's in a description, and what Keras computes with them: `numbers.json`.

Run with the versions of requirements.txt. Each number is the mask value of a Masking, which puts out zero where it finds it
in `STEPS`; what Keras refuses has no output.
"""

import json
import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np

HERE = pathlib.Path(__file__).parent
NUMBERS = [
    *[(value, dtype) for dtype in ["float32", "float64", "float16", "int8", "int32", "int64", "uint8", "uint64", "bool"]
      for value in [0, 1, -1, 1.5, -1.5, 0.25, 3.75, 2.0, 0.1, 1e30, 300, 70000, True]],
    (1e300, "float32"),
    (0.5, "bfloat16"),
    (2, "float"),
    (2, "<f4"),
    (2, "x"),
]
STEPS = [1, -1, 1.5, -1.5, 0.25, 3.75, 3, 2, 0.1, float(np.float16(0.1)), 1e30, 300, 44, 70000, 255, 254]


def output(value, dtype):
    config = {"module": "keras", "class_name": "Sequential", "registered_name": None, "config": {"name": "chain", "layers": [
        {"module": "keras.layers", "class_name": "InputLayer", "registered_name": None,
         "config": {"name": "x", "batch_shape": [None, None, 1], "dtype": "float32"}},
        {"module": "keras.layers", "class_name": "Masking", "registered_name": None,
         "config": {"name": "mask", "mask_value": {"class_name": "__numpy__", "config": {"value": value, "dtype": dtype}}}},
    ]}}
    try:
        model = keras.saving.deserialize_keras_object(config)
        return model.predict(np.float32(STEPS).reshape(1, -1, 1), verbose=0).ravel().tolist()
    except Exception as error:
        print(value, dtype, type(error).__name__, str(error)[:100].replace("\n", " "))
        return None


def main():
    cases = [{"name": f"{value} {dtype}", "value": value, "dtype": dtype, "output": output(value, dtype)} for value, dtype in NUMBERS]
    text = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "numbers.json").write_text(f'{{"keras": "{keras.__version__}", "steps": {STEPS}, "cases": [\n{text}\n]}}\n')


if __name__ == "__main__":
    main()
