"""Writes a trained model together with examples of what it gives, which `recurrent::file::verify` checks in Rust.

    import save_with_examples
    save_with_examples.keras_model(model, "model.safetensors", inputs)    # configuration, tensors and examples
    save_with_examples.beside(model, "model.h5", inputs)                  # examples alone, for a file of Keras's own
    save_with_examples.torch_module(module, "model.safetensors", x)       # state_dict, examples of each known module

`inputs` are your own data: an array (batch first), or a list of arrays in the order of the model's inputs; `x` is what
the module is called on. It needs the framework, numpy and safetensors.
"""

import importlib, json, os, tempfile

import numpy as np
from safetensors.numpy import save_file


KNOWN = "RNN LSTM GRU RNNCell LSTMCell GRUCell Linear Embedding LayerNorm BatchNorm1d Conv1d"


class Examples:
    """What is collected: the description of each part, and the arrays of its calls."""

    def __init__(self, by):
        self.by, self.parts, self.arrays = by, {}, {}

    def add(self, inputs, outputs, lengths=None, initial=(), layers={}, name="", dtype=None, **module):
        if not all(np.isfinite(array).all() for array in outputs):
            raise ValueError(f"the outputs of {name or 'the model'} aren't finite: they would prove nothing")
        tolerance = {"float64": 1e-12, "float16": 1e-2, "bfloat16": 5e-2}.get(dtype or str(outputs[0].dtype), 1e-5)
        about = {"name": name, "module": None, "nonlinearity": None, "eps": None, **module, "tolerance": tolerance, "calls": []}
        number = list(self.parts).index(name) if name in self.parts else len(self.parts)
        calls = self.parts.setdefault(name, about)["calls"]
        at = f"examples/{number}/{len(calls)}"
        for what, arrays in {"inputs": inputs, "outputs": outputs, "initial": initial}.items():
            self.arrays.update({f"{at}/{what}/{i}": np.array(array, order="C") for i, array in enumerate(arrays)})
        self.arrays.update({f"{at}/layers/{name}": np.array(array, order="C") for name, array in layers.items()})
        if lengths is not None:
            self.arrays[f"{at}/lengths"] = np.asarray(lengths, "int64")
        counts = {"inputs": len(inputs), "outputs": len(outputs), "initial": len(initial)}
        calls.append({"class_name": "Call", "config": {**counts, "lengths": lengths is not None, "layers": list(layers)}})

    def save(self, path, tensors, **metadata):
        config = {"by": self.by, "parts": [{"class_name": "Part", "config": part} for part in self.parts.values()]}
        text = json.dumps({"class_name": "Examples", "config": config})
        save_file({**tensors, **self.arrays}, path, metadata={**metadata, "examples": text})


def keras_examples(model, inputs):
    """What a model of Keras gives for its inputs, and what each of its layers gives on the way."""
    of_keras_2 = any(parent.__module__.startswith("tf_keras") for parent in type(model).__mro__)
    keras = importlib.import_module("tf_keras" if of_keras_2 else "keras")
    inputs = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    tensors = lambda model: model.outputs if isinstance(model.outputs, (list, tuple)) else [model.outputs]
    plain = lambda layer: not hasattr(layer, "layers") and type(layer).__name__ != "InputLayer"
    single = [layer for layer in model.layers if plain(layer) and len(layer._inbound_nodes) == 1]
    first = lambda output: output[0] if isinstance(output, (list, tuple)) else output
    on_the_way = keras.Model(model.inputs, tensors(model) + [first(layer.output) for layer in single])
    for layer in [layer for layer in model._flatten_layers() if getattr(layer, "stateful", False)]:
        layer.reset_states() if hasattr(layer, "reset_states") else layer.reset_state()
    given, count = on_the_way([np.asarray(array) for array in inputs], training=False), len(tensors(model))
    given = [np.asarray(output) for output in (given if isinstance(given, (list, tuple)) else [given])]
    layers = {layer.name: array for layer, array in zip(single, given[count:]) if array.dtype.kind == "f"}
    examples = Examples(f"Keras {keras.__version__}")
    examples.add([np.asarray(array) for array in inputs], given[:count], layers=layers)
    return examples


def beside(model, path, inputs):
    """Examples in a file beside one that Keras has written: `model.h5` gets `model.h5.examples.safetensors`."""
    keras_examples(model, inputs).save(f"{path}.examples.safetensors", {})


def keras_model(model, path, inputs):
    """A whole model of Keras 3: its configuration, its tensors, examples."""
    import h5py, keras

    tensors = {}
    with tempfile.TemporaryDirectory() as folder:
        model.save_weights(os.path.join(folder, "model.weights.h5"))
        with h5py.File(os.path.join(folder, "model.weights.h5")) as file:
            keep = lambda name, item: tensors.update({name: item[()]} if isinstance(item, h5py.Dataset) else {})
            file.visititems(keep)
    tensors = {name: np.array(array, order="C") for name, array in tensors.items()}
    keras_examples(model, inputs).save(path, tensors, format="keras", keras_version=keras.__version__, config=model.to_json())


def torch_module(module, path, *inputs, **options):
    """A module of PyTorch: its `state_dict`, and examples of each module inside that is known in Rust."""
    import torch
    from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

    examples = Examples(f"PyTorch {torch.__version__.split('+')[0]}")
    array = lambda tensor: (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().cpu().numpy()
    parts = lambda state: list(state) if isinstance(state, (list, tuple)) else [] if state is None else [state]

    def kind(layer):
        """Its name, if it can be built of its tensors alone."""
        names = [name for name in KNOWN.split() if isinstance(layer, getattr(torch.nn, name))]
        plain = len(getattr(layer, "normalized_shape", "1")) == 1 and getattr(layer, "max_norm", None) is None
        whole = names != ["LayerNorm"] or layer.weight is not None
        plain = plain and getattr(layer, "padding_mode", "zeros") == "zeros"
        changed = any(name.endswith("_g") or "parametrizations" in name for name, _ in layer.named_parameters())
        own = names and type(layer).forward is getattr(torch.nn, names[0]).forward
        return names[0] if own and plain and whole and not changed and getattr(layer, "running_mean", 0) is not None else None

    def heard(name, kind, layer, x, state, output):
        """One call as Rust has it: (batch, timesteps, features), whichever way it was."""
        about = {option: getattr(layer, option, None) for option in ("eps", "nonlinearity")}
        over_time = kind in ("RNN", "LSTM", "GRU")
        (y, *last), state, lengths = parts(output), parts(state), None
        if kind == "Conv1d":
            x, y = x.reshape(-1, *x.shape[-2:]), y.reshape(-1, *y.shape[-2:])
            size = {"groups": layer.groups, "strides": layer.stride[0], "dilation_rate": layer.dilation[0]}
            x = x if isinstance(layer.padding, str) else torch.nn.functional.pad(x, layer.padding * 2)  # zeros are data
            size["padding"] = "same" if layer.padding == "same" else "valid"
            about["window"] = {"class_name": "Window", "config": size}
        if over_time:
            last = parts(last[0])
            if isinstance(x, PackedSequence):
                (x, lengths), (y, _) = pad_packed_sequence(x, batch_first=True), pad_packed_sequence(y, batch_first=True)
            elif x.dim() == 2:
                x, y, state, last = x[None], y[None], [part[:, None] for part in state], [part[:, None] for part in last]
            elif not layer.batch_first:
                x, y = x.transpose(0, 1), y.transpose(0, 1)
        elif x.dim() == 1:
            x, y, state, last = x[None], y[None], [part[None] for part in state], [part[None] for part in last]
        elif kind in ("BatchNorm1d", "Conv1d") and x.dim() == 3:  # features come last in Rust
            x, y = x.transpose(1, 2), y.transpose(1, 2)
        elif kind == "Embedding" and x.dim() > 2:
            x, y = x.flatten(1), y.flatten(1, -2)
        about.update(name=name, module=kind, lengths=lengths, dtype=str(y.dtype).removeprefix("torch."))
        examples.add([array(x)], [array(part) for part in [y, *last]], initial=[array(part) for part in state], **about)

    def hook(name, layer):
        def call(_, args, kwargs, output):
            given = {**dict(zip(["input", "hx"], args)), **kwargs}
            heard(name, kind(layer), layer, given["input"], given.get("hx"), output)

        return layer.register_forward_hook(call, with_kwargs=True)

    handles = [hook(name, layer) for name, layer in module.named_modules() if kind(layer)]
    training = {layer: layer.training for layer in module.modules()}
    try:
        with torch.no_grad():
            module.eval()(*inputs, **options)
    finally:
        [setattr(layer, "training", flag) for layer, flag in training.items()] + [it.remove() for it in handles]
    examples.save(path, {name: np.array(array(part), order="C") for name, part in module.state_dict().items()}, format="pt")
