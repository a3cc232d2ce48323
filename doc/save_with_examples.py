"""Writes a trained model together with examples of what it gives, which `recurrent::file::verify` checks in Rust.

    import save_with_examples
    save_with_examples.keras_model(model, "model.safetensors", inputs)    # configuration, tensors and examples
    save_with_examples.beside(model, "model.h5", inputs)                  # examples alone, for a file of Keras's own
    save_with_examples.torch_module(module, "model.safetensors", x)       # state_dict, examples of each known module

`inputs` are your own data: an array (batch first), or a list of arrays for a model of several inputs; `x` is whatever
the module is called on. It needs the framework, numpy and safetensors; for Keras also h5py, which Keras brings along.
"""

import json
import os
import tempfile

import numpy as np
from safetensors.numpy import save_file


class Examples:
    """What is collected: the description of each part, and the arrays of its calls."""

    def __init__(self, by):
        self.by, self.parts, self.arrays, self.tolerance = by, {}, {}, 1e-5

    def add(self, inputs, outputs, lengths=None, initial=(), layers={}, name="", module=None, nonlinearity=None, eps=None):
        about = {"name": name, "module": module, "nonlinearity": nonlinearity, "eps": eps, "calls": []}
        number = list(self.parts).index(name) if name in self.parts else len(self.parts)
        calls = self.parts.setdefault(name, about)["calls"]
        at = f"examples/{number}/{len(calls)}"
        for what, arrays in {"inputs": inputs, "outputs": outputs, "initial": initial}.items():
            self.arrays.update({f"{at}/{what}/{i}": np.array(array, order="C") for i, array in enumerate(arrays)})
        self.arrays.update({f"{at}/layers/{name}": np.array(array, order="C") for name, array in layers.items()})
        if lengths is not None:
            self.arrays[f"{at}/lengths"] = np.asarray(lengths, "int64")
        self.tolerance = {"float64": 1e-12, "float16": 1e-2}.get(str(outputs[0].dtype), 1e-5)
        counts = {"inputs": len(inputs), "outputs": len(outputs), "initial": len(initial)}
        calls.append({"class_name": "Call", "config": {**counts, "lengths": lengths is not None, "layers": list(layers)}})

    def save(self, path, tensors, **metadata):
        parts = [{"class_name": "Part", "config": part} for part in self.parts.values()]
        config = {"by": self.by, "tolerance": self.tolerance, "parts": parts}
        text = json.dumps({"class_name": "Examples", "config": config})
        save_file({**tensors, **self.arrays}, path, metadata={**metadata, "examples": text})


def keras_examples(model, inputs):
    """What a model of Keras gives for its inputs, and what each of its layers gives on the way."""
    import keras

    inputs = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    tensors = lambda model: model.outputs if isinstance(model.outputs, (list, tuple)) else [model.outputs]
    single = [layer for layer in model.layers if not hasattr(layer, "layers") and len(layer._inbound_nodes) == 1]
    single = [layer for layer in single if type(layer).__name__ != "InputLayer"]
    first = lambda output: output[0] if isinstance(output, (list, tuple)) else output
    on_the_way = keras.Model(model.inputs, tensors(model) + [first(layer.output) for layer in single])
    given = [np.asarray(output) for output in on_the_way([np.asarray(array) for array in inputs], training=False)]
    count = len(tensors(model))
    layers = {layer.name: array for layer, array in zip(single, given[count:]) if array.dtype.kind == "f"}
    examples = Examples(f"Keras {keras.__version__}")
    examples.add([np.asarray(array) for array in inputs], given[:count], layers=layers)
    return examples


def beside(model, path, inputs):
    """Examples in a file beside one that Keras has written: `model.h5` gets `model.h5.examples.safetensors`."""
    keras_examples(model, inputs).save(path + ".examples.safetensors", {})


def keras_model(model, path, inputs):
    """A whole model of Keras 3: its configuration, its tensors, examples."""
    import h5py
    import keras

    tensors = {}
    with tempfile.TemporaryDirectory() as folder:
        weights = os.path.join(folder, "model.weights.h5")
        model.save_weights(weights)
        with h5py.File(weights) as file:
            keep = lambda name, item: tensors.update({name: item[()]} if isinstance(item, h5py.Dataset) else {})
            file.visititems(keep)
    tensors = {name: np.array(array, order="C") for name, array in tensors.items()}
    examples = keras_examples(model, inputs)
    examples.save(path, tensors, format="keras", keras_version=keras.__version__, config=model.to_json())


def torch_module(module, path, *inputs, **options):
    """A module of PyTorch: its `state_dict`, and examples of each module inside that is known in Rust."""
    import torch
    from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

    examples = Examples(f"PyTorch {torch.__version__.split('+')[0]}")
    array = lambda tensor: (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().cpu().numpy()

    def recurrent(name, kind, layer, x, state, output):
        """(batch, timesteps, features), whichever way it was."""
        states = lambda state: [array(part) for part in (state if isinstance(state, tuple) else (state,))]
        y, last = output
        lengths, initial = None, [] if state is None else states(state)
        if isinstance(x, PackedSequence):
            (x, lengths), (y, _) = pad_packed_sequence(x, batch_first=True), pad_packed_sequence(y, batch_first=True)
        elif x.dim() == 2:
            x, y, initial = x[None], y[None], [part[:, None] for part in initial]
            last = tuple(part[:, None] for part in last) if isinstance(last, tuple) else last[:, None]
        elif not layer.batch_first:
            x, y = x.transpose(0, 1), y.transpose(0, 1)
        about = {"name": name, "module": kind, "nonlinearity": getattr(layer, "nonlinearity", None)}
        examples.add([array(x)], [array(y)] + states(last), lengths=lengths, initial=initial, **about)

    def hook(name, kind, layer):
        def heard(_, args, kwargs, output):
            x = args[0] if args else next(iter(kwargs.values()))
            state = args[1] if len(args) > 1 else kwargs.get("hx")
            about = {"name": name, "module": kind, "eps": getattr(layer, "eps", None)}
            if kind in ("RNN", "LSTM", "GRU"):
                recurrent(name, kind, layer, x, state, output)
            elif kind.endswith("Cell"):
                rows = lambda tensors: [array(t if x.dim() == 2 else t[None]) for t in tensors]
                parts = lambda state: state if isinstance(state, tuple) else (state,)
                about["nonlinearity"] = getattr(layer, "nonlinearity", None)
                initial = [] if state is None else rows(parts(state))
                examples.add(rows([x]), rows(parts(output)), initial=initial, **about)
            elif x.dim() == 1:
                examples.add([array(x[None])], [array(output[None])], **about)
            elif kind == "BatchNorm1d" and x.dim() == 3:  # features come last in Rust
                examples.add([array(x.transpose(1, 2))], [array(output.transpose(1, 2))], **about)
            elif kind == "Embedding" and x.dim() > 2:
                examples.add([array(x.flatten(1))], [array(output.flatten(1, -2))], **about)
            else:
                examples.add([array(x)], [array(output)], **about)

        return layer.register_forward_hook(heard, with_kwargs=True)

    known = "RNN LSTM GRU RNNCell LSTMCell GRUCell Linear Embedding LayerNorm BatchNorm1d".split()
    one_axis = lambda layer: len(getattr(layer, "normalized_shape", "1")) == 1 and getattr(layer, "max_norm", None) is None
    inside = [(name, type(layer).__name__, layer) for name, layer in module.named_modules() if one_axis(layer)]
    handles = [hook(name, kind, layer) for name, kind, layer in inside if kind in known]
    training = module.training
    try:
        with torch.no_grad():
            module.eval()(*inputs, **options)
    finally:
        module.train(training)
        for handle in handles:
            handle.remove()
    tensors = {name: np.array(array(tensor), order="C") for name, tensor in module.state_dict().items()}
    examples.save(path, tensors, format="pt")
