"""The models of exported.py in the oldest and the newest versions of ONNX's operators: each in one of the two.

    pip install -r requirements.txt; python opsets.py
"""

import numpy as np
import onnx
import onnxruntime
import onnxscript
import torch
from bundle import Bundle
from exported import add, by_dynamo, by_script, without_notes
from exported_models import models


def main():
    of = [onnx, onnxruntime, onnxscript, torch, np]
    bundle = Bundle("opsets", {module.__name__: module.__version__ for module in of})
    for place, (name, module, inputs, names, outputs, dynamic) in enumerate(models()):
        module.eval()
        # (The older exporter has no Celu in version 11.)
        kind, export, opset = ("script", by_script, 11) if place % 2 and name != "activations" else ("dynamo", by_dynamo, 22)
        model = without_notes(export(module, inputs, names, outputs, dynamic, opset))
        assert model_opset(model) == opset, name
        add(bundle, f"{name}.{kind}.{opset}", module, inputs, names, outputs, model)
    bundle.write()


def model_opset(model):
    return next(own.version for own in onnx.load_from_string(model).opset_import if own.domain == "")


if __name__ == "__main__":
    main()
