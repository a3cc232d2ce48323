"""What the generators share: layers from specs, weights, number formats, files, checks.

A *spec* is a plain dict that says how to build a layer, in Keras's words. It is what the data files hold, so a
reader in another language builds its own layer from the same dict:

    {"class": "LSTM", "input_size": 3, "config": {"units": 4, "activation": "tanh", ...}}
    {"class": "Bidirectional", "config": {"merge_mode": "sum"}, "layer": spec, "backward_layer": spec or absent}
    {"class": "RNN", "config": {...}, "cells": [spec, ...]}      # a cell's spec may be a StackedRNNCells
    {"class": "Sequential", "layers": [spec, ...]}
"""

import itertools
import math
import os
import pathlib
import platform
import random
import warnings
import zlib

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# oneDNN picks its matrix product by machine; plain Eigen makes a rebuild differ less from machine to machine.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

# Sequential warns that it gives no mask on to what follows it; nothing does.
warnings.filterwarnings("ignore", message=".*was passed an input with a mask attached to it.*")

HERE = pathlib.Path(__file__).parent
VERSIONS = {
    "keras": keras.__version__,
    "tensorflow": tf.__version__,
    "numpy": np.__version__,
    "python": platform.python_version(),
}


# ---------------------------------------------------------------- files


def number(value):
    """The shortest digits that give the same bits, parsed in the value's own dtype or as f64 and then rounded."""
    if isinstance(value, (bool, np.bool_)):
        return "1" if value else "0"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if math.isnan(value):
        return '"NaN"'
    if math.isinf(value):
        return '"inf"' if value > 0 else '"-inf"'
    text = str(value) if isinstance(value, np.floating) else repr(float(value))
    if isinstance(value, np.float32):
        assert np.float32(float(text)).tobytes() == value.tobytes(), text
    return text


def dump(value):
    """Compact JSON; arrays as {"shape": [...], "data": [...]}."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        assert '"' not in value and "\\" not in value
        return f'"{value}"'
    if isinstance(value, (int, float, np.number)):
        return number(value)
    if isinstance(value, dict):
        return "{" + ",".join(f'"{k}":{dump(v)}' for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(dump(v) for v in value) + "]"
    value = np.asarray(value)
    data = "[" + ",".join(number(v) for v in value.ravel()) + "]"
    shape = "[" + ",".join(str(n) for n in value.shape) + "]"
    return f'{{"shape":{shape},"data":{data}}}'


def write(topic, cases, folder=HERE):
    names = [case["name"] for case in cases]
    assert len(set(names)) == len(names), "two cases of one name"
    lines = ",\n".join(dump(case) for case in cases)
    path = folder / f"{topic}.json"
    path.write_text(f'{{"versions":{dump(VERSIONS)},"cases":[\n{lines}\n]}}\n')
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size / 1024:.0f} KiB", flush=True)


# ---------------------------------------------------------------- choosing cases


def pairwise(factors, valid=lambda case: True, seed=0):
    """A small set of cases in which every two values of two factors meet (greedy), but for pairs that `valid` forbids."""
    rng = random.Random(seed)
    names = list(factors)
    choices = {name: range(len(factors[name])) for name in names}
    missing = {((a, i), (b, j)) for a, b in itertools.combinations(names, 2) for i in choices[a] for j in choices[b]}

    def value(row):
        return {name: factors[name][row[name]] for name in names}

    def pairs(row):
        return {((a, row[a]), (b, row[b])) for a, b in itertools.combinations(names, 2)}

    def candidate(pair):
        row = dict(pair)
        for name in rng.sample(names, len(names)):
            if name not in row:
                gain = {}
                for i in choices[name]:
                    trial = {**row, name: i}
                    known = [n for n in names if n in trial]
                    gain[i] = sum(
                        ((a, trial[a]), (b, trial[b])) in missing for a, b in itertools.combinations(known, 2)
                    )
                best = max(gain.values())
                row[name] = rng.choice([i for i in choices[name] if gain[i] == best])
        return row

    rows = []
    while missing:
        pair = min(missing)
        tries = [row for row in (candidate(pair) for _ in range(40)) if valid(value(row))]
        if not tries:  # a forbidden pair, unless plain luck finds a row for it
            tries = [{n: rng.choice(choices[n]) for n in names} | dict(pair) for _ in range(300)]
            tries = [row for row in tries if valid(value(row))]
        if not tries:
            missing.discard(pair)
            continue
        row = max(tries, key=lambda row: len(pairs(row) & missing))
        missing -= pairs(row)
        rows.append(value(row))
    return rows


def generator(name, attempt=0):
    """Random numbers that depend on the case's name only, so that adding a case changes no other."""
    return np.random.default_rng(zlib.crc32(f"{name}/{attempt}".encode()))


def values(rng, shape, scale, dtype, taken=None):
    """Distinct non-zero numbers of few digits, uniform in +-scale, none of them in `taken`."""
    digits = 4 if scale >= 0.05 else 5
    taken = set() if taken is None else taken
    out = []
    while len(out) < math.prod(shape):
        v = round(float(rng.uniform(-scale, scale)), digits)
        if v != 0 and v not in taken:
            taken.add(v)
            out.append(v)
    return np.array(out, dtype=dtype).reshape(shape)


# ---------------------------------------------------------------- layers from specs

RECURRENT = ("SimpleRNN", "LSTM", "GRU")
CELLS = ("SimpleRNNCell", "LSTMCell", "GRUCell")
STATES = {"SimpleRNN": ["h"], "LSTM": ["h", "c"], "GRU": ["h"]}

# Where an activation has a jump or a kink.
KINKS = {
    "relu": lambda negative_slope=0, max_value=None, threshold=0: (
        [threshold] + ([] if max_value is None else [max_value])
    ),
    "leaky_relu": lambda negative_slope=0.2: [0],
    "relu6": lambda: [0, 6],
    "elu": lambda alpha=1.0: [0] if alpha != 1 else [],
    "selu": lambda: [0],
    "soft_shrink": lambda threshold=0.5: [-threshold, threshold],
    "hard_shrink": lambda threshold=0.5: [-threshold, threshold],
    "hard_tanh": lambda: [-1, 1],
    "hard_sigmoid": lambda: [-3, 3],
    "hard_silu": lambda: [-3, 3],
    "sparse_sigmoid": lambda: [-1, 1],
    "sparse_plus": lambda: [-1, 1],
    "threshold": lambda threshold, default_value: [threshold],
}


def activation(spec, watch=None):
    """A Keras activation from None, a name or {"name": .., "args": {..}}; `watch` collects distances to its kinks."""
    if spec is None or (isinstance(spec, str) and watch is None):
        return spec
    name, args = (spec, {}) if isinstance(spec, str) else (spec["name"], spec["args"])
    function = keras.activations.get(name)
    kinks = KINKS.get(name, lambda **_: [])(**args)

    def call(x):
        if watch is not None:
            seen = np.asarray(x)
            seen = seen[(seen != 0) & np.isfinite(seen)]  # an exact 0, as relu leaves it, is the same in any arithmetic
            watch.extend(np.min(np.abs(seen - kink), initial=1.0) for kink in kinks)
        return function(x, **args)

    return call


def initializer(spec):
    return getattr(keras.initializers, spec["class"])(**spec["config"]) if isinstance(spec, dict) else spec


def build(spec, dtype="float32", watch=None):
    """The Keras layer that a spec describes."""
    kind, config = spec["class"], dict(spec.get("config", {}))
    for key in config:
        if key.endswith("activation"):
            config[key] = activation(config[key], watch)
        elif key.endswith("initializer"):
            config[key] = initializer(config[key])

    def make(child):
        return build(child, dtype, watch)

    if kind == "Sequential":
        return Chain([make(child) for child in spec["layers"]], spec)
    if kind == "StackedRNNCells":
        return keras.layers.StackedRNNCells([make(child) for child in spec["cells"]], dtype=dtype)
    if kind == "RNN":
        # RNN([cells]) is RNN(StackedRNNCells(cells)), but the latter would be f32 whatever the dtype of the RNN.
        cells = keras.layers.StackedRNNCells([make(child) for child in spec["cells"]], dtype=dtype)
        return keras.layers.RNN(cells, dtype=dtype, **config)
    if kind == "Bidirectional":
        layer = make(spec["layer"])
        if "backward_layer" in spec:
            config["backward_layer"] = make(spec["backward_layer"])
        return keras.layers.Bidirectional(layer, dtype=dtype, **config)
    if kind == "TimeDistributed":
        return keras.layers.TimeDistributed(make(spec["layer"]), dtype=dtype)
    return getattr(keras.layers, kind)(dtype=dtype, **config)


class Chain:
    """Layers one after another, as keras.Sequential runs them, but with each one's states; masks are handed on by hand.

    keras.Sequential can't hold a layer that returns states. `sequential_agrees` checks that it gives the same outputs.
    """

    def __init__(self, layers, spec):
        self.layers, self.spec, self.masks = layers, spec, None

    def build(self, shape):
        for layer, spec in zip(self.layers, self.spec["layers"], strict=True):
            layer.build(shape[:2] if spec["class"] == "Embedding" else (*shape[:2], spec["input_size"]))

    @property
    def weights(self):
        return [w for layer in self.layers for w in layer.weights]

    def __call__(self, x, mask=None, initial_state=None, training=None):
        states, flat = [], initial_state and iter(initial_state)
        self.masks = []  # after each layer
        for layer, spec in zip(self.layers, self.spec["layers"], strict=True):
            if state_names(spec):
                own = flat and [next(flat) for _ in state_names(spec)]
                outputs, own = call(layer, spec, x, mask, own, training)
                x, mask = tf.constant(outputs[0]), mask if layer.return_sequences else None
                states += own or []
            else:
                options = {"mask": mask} if layer._call_has_mask_arg else {}
                if layer._call_has_training_arg:
                    options["training"] = training
                mask, x = layer.compute_mask(x, mask), layer(x, **options)
            self.masks.append(mask)
        return [x, *states]

    def sequential_agrees(self, x, mask, training, output):
        layers = [
            build(quiet(spec), layer.compute_dtype)
            for layer, spec in zip(self.layers, self.spec["layers"], strict=True)
        ]
        model = keras.Sequential(layers)
        model.build(x.shape)
        model.set_weights([w.numpy() for w in self.weights])
        options = {} if mask is None else {"mask": tf.constant(mask)}
        return close(model(tf.constant(x), training=training, **options), output, 1e-6)


def quiet(spec):
    """The spec without return_state."""
    spec = {**spec, "config": {**spec.get("config", {})}}
    spec["config"].pop("return_state", None)
    for key in ("layer", "backward_layer"):
        if key in spec:
            spec[key] = quiet(spec[key])
    return spec


def children(layer, spec):
    """(path, layer, spec) of what a wrapper holds, in Keras's order."""
    kind = spec["class"]
    if kind == "Bidirectional":
        yield "forward", layer.forward_layer, spec["layer"]
        yield "backward", layer.backward_layer, spec.get("backward_layer", spec["layer"])
    elif kind == "RNN":
        yield from children(layer.cell, {"class": "StackedRNNCells", "cells": spec["cells"]})
    elif kind == "StackedRNNCells":
        for i, (cell, child) in enumerate(zip(layer.cells, spec["cells"], strict=True)):
            yield str(i), cell, child
    elif kind == "Sequential":
        for i, (child, child_spec) in enumerate(zip(layer.layers, spec["layers"], strict=True)):
            yield str(i), child, child_spec


def leaves(layer, spec, path=""):
    if spec["class"] == "TimeDistributed":  # adds nothing to the names
        layer, spec = layer.layer, spec["layer"]
    inner = list(children(layer, spec))
    if not inner:
        yield path, layer, spec
    for name, child, child_spec in inner:
        yield from leaves(child, child_spec, f"{path}{name}/")


def variables(layer, spec):
    """(name, variable) of every weight, in the order of Keras's get_weights, named by path: 0/forward/kernel."""
    found = []
    for path, leaf, _ in leaves(layer, spec):
        leaf = getattr(leaf, "cell", leaf)
        for name in ("kernel", "recurrent_kernel", "bias", "embeddings"):
            variable = getattr(leaf, name, None)
            if variable is not None:
                found.append((path + name, variable))
    assert [id(v) for _, v in found] == [id(v) for v in layer.weights], "the weights' order"
    return found


def entry(name, value):
    """An array with a name, as the files hold weights and states."""
    return {"name": name, "array": np.asarray(value)}


def weights(layer, spec):
    return [entry(name, v.numpy()) for name, v in variables(layer, spec)]


def set_weights(layer, spec, rng, strength=0.7):
    """Small distinct weights: each gate's recurrent block has the norm `strength`, so that a step contracts."""
    taken = set()
    for name, variable in variables(layer, spec):
        shape, dtype = tuple(variable.shape), variable.dtype
        if name.endswith("recurrent_kernel"):
            blocks = np.split(rng.uniform(-1, 1, shape), shape[1] // shape[0], axis=1)
            blocks = np.concatenate([b * strength / np.linalg.norm(b, 2) for b in blocks], axis=1)
            value = distinct(blocks, rng, taken)
        elif name.endswith("kernel"):
            value = values(rng, shape, 1 / math.sqrt(shape[0]), "float64", taken)
        elif name.endswith("bias"):
            value = values(rng, shape, 0.4, "float64", taken)
        else:
            value = values(rng, shape, 1.0, "float64", taken)
        variable.assign(value.astype(dtype))


def distinct(block, rng, taken):
    """The same numbers with four digits, moved a little where one is zero or is there already."""
    out = np.empty_like(block)
    for at, v in np.ndenumerate(block):
        v = round(float(v), 4)
        while v == 0 or v in taken:
            v = round(v + rng.choice([-1, 1]) * 1e-4, 4)
        taken.add(v)
        out[at] = v
    return out


def state_names(spec, path=""):
    """The names of a layer's states in Keras's order: h, c; forward/h; 0/h, 1/0/c."""
    kind = spec["class"].removesuffix("Cell")
    if kind in STATES:
        return [path + name for name in STATES[kind]]
    if kind == "Bidirectional":
        backward = spec.get("backward_layer", spec["layer"])
        return state_names(spec["layer"], path + "forward/") + state_names(backward, path + "backward/")
    inner = spec.get("cells", spec.get("layers", []))
    return [n for i, child in enumerate(inner) for n in state_names(child, f"{path}{i}/")]


def state_widths(spec):
    kind = spec["class"].removesuffix("Cell")
    if kind in STATES:
        return [spec["config"]["units"]] * len(STATES[kind])
    if kind == "Bidirectional":
        return state_widths(spec["layer"]) + state_widths(spec.get("backward_layer", spec["layer"]))
    return [w for child in spec.get("cells", spec.get("layers", [])) for w in state_widths(child)]


def named_states(spec, arrays):
    """States as the files hold them; None stays None."""
    return arrays and [entry(name, array) for name, array in zip(state_names(spec), arrays, strict=True)]


def random_state(spec, batch, rng, dtype):
    """One distinct non-zero array for each of a layer's states."""
    taken = set()
    return [values(rng, (batch, width), 0.8, dtype, taken) for width in state_widths(spec)]


def nest(spec, flat):
    """A flat list of states in the nesting that the Keras layer wants."""
    flat = iter(flat)

    def cells(spec):
        kind = spec["class"].removesuffix("Cell")
        if kind in STATES:
            own = [next(flat) for _ in STATES[kind]]
            return own if len(own) > 1 else own[0]
        return [cells(cell) for cell in spec["cells"]]

    if spec["class"] == "RNN":
        return [cells(cell) for cell in spec["cells"]]
    return list(flat)


def call(layer, spec, x, mask=None, initial_state=None, training=None):
    """One call: (outputs, states). Two outputs for merge_mode None; states as a flat list, None without return_state."""
    options = {}
    if mask is not None:
        options["mask"] = tf.constant(mask)
    if training is not None:
        options["training"] = training
    if initial_state is not None:
        options["initial_state"] = nest(spec, [tf.constant(s) for s in initial_state])
    result = keras.tree.flatten(layer(tf.constant(x), **options))
    outputs = 2 if spec["class"] == "Bidirectional" and spec["config"].get("merge_mode", "concat") is None else 1
    arrays = [np.asarray(a) for a in result]
    return arrays[:outputs], arrays[outputs:] or None


# ---------------------------------------------------------------- masks


def make_mask(pattern, batch, timesteps, rng):
    """Rows that differ from each other as far as the pattern lets them; True is a step that counts."""
    mask = np.ones((batch, timesteps), bool)
    for row in range(batch):
        k = 1 + (row + int(rng.integers(timesteps))) % (timesteps - 1)  # 1 .. timesteps - 1
        if pattern == "leading" and row != 1:
            mask[row, :k] = False
        elif pattern == "trailing" and row != 1:
            mask[row, k:] = False
        elif pattern == "inner":
            mask[row, 1 : 1 + min(k, timesteps - 2)] = False
        elif pattern == "rows":
            mask[row, k:] = False
            mask[row] &= row % 2 == 1
        elif pattern == "mixed":
            while mask[row].all() or not mask[row].any():
                mask[row] = rng.integers(2, size=timesteps) == 1
        elif pattern == "all":
            mask[row] = False
    return mask


def lengths(mask):
    """The mask as one length a row, or None if it is not of that kind."""
    counts = mask.sum(1)
    right = (np.arange(mask.shape[1]) < counts[:, None]) == mask
    return list(counts) if right.all() else None


# ---------------------------------------------------------------- a whole case


def close(a, b, tolerance):
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    return bool(np.all(np.abs(a - b) <= tolerance * np.maximum(1, np.abs(b))))


def settled(run):
    """Whether run(f32) and run(f64), lists of arrays, agree a few times better than the f32 tolerance: no jump is near, nothing explodes."""
    single, double = run("float32"), run("float64")
    finite = all(np.all(np.isfinite(a) & (np.abs(a) < 100)) for a in double)
    return finite and all(close(a, b, 3e-6) for a, b in zip(single, double, strict=True))


def record(name, spec, dtype, batch, timesteps, with_state=False, pattern=None, nan=False, watched=False):
    """One call of one layer as the files hold it. Numbers are drawn anew until the case is settled.

    `nan` puts NaN into the input where the mask is false. `watched` also keeps the preactivations off the kinks.
    """
    features = spec["input_size"]

    def run(dtype, watch=None):
        rng = generator(name, attempt)
        layer = build(spec, dtype, watch)
        layer.build((batch, timesteps, features))
        set_weights(layer, spec, rng)
        x = values(rng, (batch, timesteps, features), 1.0, dtype)
        state = random_state(spec, batch, rng, dtype) if with_state else None
        mask = pattern and make_mask(pattern, batch, timesteps, rng)
        if nan:
            x[~mask] = np.nan
        return layer, x, mask, state, call(layer, spec, x, mask, state)

    def arrays(dtype):
        outputs, states = run(dtype)[-1]
        return outputs + (states or [])

    for attempt in range(200):
        watch = [1.0]
        if watched:
            run("float64", watch)
        if min(watch) > 1e-4 and settled(arrays):
            break
    else:
        raise AssertionError(f"{name} never settles")
    layer, x, mask, state, (outputs, states) = run(dtype)
    if isinstance(layer, Chain) and not with_state:
        assert layer.sequential_agrees(x, mask, None, outputs[0]), name
    case = {"name": name, "dtype": dtype, "layer": spec, "weights": weights(layer, spec), "input": x}
    if pattern:
        case |= {"mask": mask, "lengths": lengths(mask)}
    case["initial_state"] = named_states(spec, state)
    case["output"] = outputs[0]
    if len(outputs) == 2:
        case["output_backward"] = outputs[1]
    case["states"] = named_states(spec, states)
    return case
