"""Files and what they gave, as two files: the ONNX files one after another, and a list of what goes in and comes out."""

import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def numbers(array):
    """Shape, and the numbers in row order; f32 by as few digits as tell them."""
    flat = np.asarray(array).ravel()
    if flat.dtype == np.float32:
        return [list(array.shape), [float(str(x)) for x in flat]]
    return [list(array.shape), [int(x) if flat.dtype.kind in "iub" else float(x) for x in flat]]


class Bundle:
    def __init__(self, name, versions):
        self.name, self.versions, self.data, self.cases = name, versions, b"", []

    def add(self, name, model, inputs, outputs, **more):
        case = {"name": name, "start": len(self.data), "length": len(model)}
        case["inputs"] = {key: numbers(value) for key, value in inputs.items()}
        case["outputs"] = {key: numbers(value) for key, value in outputs.items()}
        self.cases.append(case | more)
        self.data += model

    def write(self):
        (HERE / f"{self.name}.bin").write_bytes(self.data)
        lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in self.cases)
        versions = json.dumps(self.versions, separators=(",", ":"))
        (HERE / f"{self.name}.json").write_text(f'{{"versions":{versions},"cases":[\n{lines}\n]}}\n')
        print(len(self.cases), "cases,", len(self.data), "bytes of models")
