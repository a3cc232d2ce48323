"""Models as both of PyTorch's exporters write them, with what ONNX Runtime makes of them; PyTorch agrees to 1e-5.

    pip install -r requirements.txt; python exported.py
"""

import contextlib
import io
import logging
import warnings

import numpy as np
import onnx
import onnxruntime
import onnxscript
import torch
from bundle import Bundle
from exported_models import models
from torch.export import Dim

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
onnxruntime.set_default_logger_severity(3)


def by_script(module, inputs, names, outputs, dynamic, opset=17):
    file = io.BytesIO()
    axes = None if dynamic is None else dict(zip(names, dynamic))
    torch.onnx.export(module, inputs, file, input_names=names, output_names=outputs, dynamo=False, opset_version=opset,
                      dynamic_axes=axes)
    return onnx.load_from_string(file.getvalue())


def by_dynamo(module, inputs, names, outputs, dynamic, opset=None):
    shapes = None
    if dynamic is not None:
        shapes = tuple({axis: Dim(name) for axis, name in axes.items()} for axes in dynamic)
    with contextlib.redirect_stdout(io.StringIO()):
        program = torch.onnx.export(module, inputs, None, input_names=names, output_names=outputs, dynamo=True,
                                    dynamic_shapes=shapes, external_data=False, opset_version=opset)
    return program.model_proto


def without_notes(model):
    """Without what tells where in the program a node came from."""
    for part in [model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output]:
        part.doc_string = ""
        del part.metadata_props[:]
    del model.graph.value_info[:]
    return model.SerializeToString()


def flat(outputs):
    if isinstance(outputs, (tuple, list)):
        return [array for output in outputs for array in flat(output)]
    return [outputs.numpy()]


def add(bundle, name, module, inputs, names, outputs, model):
    """The model with what ONNX Runtime makes of the inputs, which is what PyTorch does."""
    feeds = dict(zip(names, [array.numpy() for array in inputs]))
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    results = session.run(outputs, feeds)
    with torch.no_grad():
        expected = flat(module(*inputs))
    assert all(np.allclose(a, b, rtol=0, atol=1e-5) for a, b in zip(results, expected)), name
    bundle.add(name, model, feeds, dict(zip(outputs, results)))


def main():
    of = [onnx, onnxruntime, onnxscript, torch, np]
    bundle = Bundle("exported", {module.__name__: module.__version__ for module in of})
    for name, module, inputs, names, outputs, dynamic in models():
        module.eval()
        for kind, export in [("script", by_script), ("dynamo", by_dynamo)]:
            model = without_notes(export(module, inputs, names, outputs, dynamic))
            add(bundle, f"{name}.{kind}", module, inputs, names, outputs, model)
    bundle.write()


if __name__ == "__main__":
    main()
