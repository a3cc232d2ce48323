"""Random functional models, and what Keras computes with them.

`random_graphs.py` writes those of KEPT anew, into random/ and random.json. `random_graphs.py FOLDER FIRST LAST` makes the
models of these seeds outside, to be compared by the thousand. With KERAS_2 in the environment the models are tf_keras's
(random_keras2/, random_keras2.json), with the versions of requirements.txt.
"""

import json
import os
import pathlib
import random
import sys
import traceback

KERAS_2 = bool(os.environ.get("KERAS_2"))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import warnings

warnings.simplefilter("ignore")

import numpy as np
import tensorflow as tf

if KERAS_2:
    import tf_keras as keras
else:
    import keras

L = keras.layers
HERE = pathlib.Path(__file__).parent
BATCH = 3
# Seeds of models that each hold something odd.
KEPT = [3, 11]
KEPT_KERAS_2 = [36, 108, 287]


class Maker:
    """A model of random layers: tensors so far, by rank; each new layer reads some of them."""

    def __init__(self, seed, depth=0, rng=None, stateful=None, tag=""):
        self.rng = rng or random.Random(seed)
        self.depth, self.tag = depth, tag
        self.time = self.rng.choice([4, 5])
        self.any_time = self.rng.random() < 0.3
        self.stateful = self.rng.random() < 0.15 if stateful is None else stateful
        self.inputs, self.kinds, self.pool, self.shared, self.log = [], [], [], [], []
        self.read = set()
        self.count = 0

    def chance(self, p):
        return self.rng.random() < p

    def name(self, layer):
        self.count += 1
        return f"{self.tag}{layer}_{self.count}"

    # --- tensors

    def input(self, shape, kind):
        batch = BATCH if self.stateful else None
        dtype = {"ids": "int32", "mask": "bool", "float_mask": "float32"}.get(kind, "float32")
        x = keras.Input(batch_shape=(batch, *shape), dtype=dtype, name=self.name("in")) if not KERAS_2 else keras.Input(
            shape=shape, batch_size=batch, dtype=dtype, name=self.name("in"))
        self.inputs.append(x)
        self.kinds.append(kind)
        self.pool.append((x, kind))
        return x

    def of(self, rank, kind=None, **sizes):
        found = [x for x, k in self.pool if len(x.shape) == rank and k not in ("ids", "mask", "float_mask", "ints")]
        if "last" in sizes:
            found = [x for x in found if x.shape[-1] == sizes["last"]]
        if not found:
            return None
        # Later ones more often.
        x = found[-1 - int(len(found) * self.rng.random() ** 2)]
        self.read.add(id(x))
        return x

    def give(self, outputs, kind="float"):
        for x in outputs if isinstance(outputs, (list, tuple)) else [outputs]:
            self.pool.append((x, kind))

    def flagged(self, kind):
        found = [x for x, k in self.pool if k == kind]
        return self.rng.choice(found) if found else None

    # --- layers

    def cell_options(self):
        r = self.rng
        return dict(
            units=r.choice([2, 3, 4]),
            activation=r.choice(["tanh", "tanh", "relu", "softsign", "sigmoid"]),
            use_bias=r.random() < 0.8,
        )

    def one_cell(self):
        kind, options = self.rng.choice(["LSTM", "GRU", "SimpleRNN"]), self.cell_options()
        if kind != "SimpleRNN":
            options["recurrent_activation"] = self.rng.choice(["sigmoid", "hard_sigmoid", "tanh"])
        if kind == "GRU":
            options["reset_after"] = self.chance(0.6)
        return kind, options

    def layer_over_time(self, sequences=None, state=None, backwards=None, in_wrapper=False):
        kind, options = self.one_cell()
        run = dict(
            return_sequences=self.chance(0.7) if sequences is None else sequences,
            return_state=self.chance(0.3) if state is None else state,
            go_backwards=(self.chance(0.25) if backwards is None else backwards),
            unroll=not self.any_time and self.chance(0.3),
            stateful=self.stateful and self.chance(0.7),
        )
        if self.chance(0.3):
            run["zero_output_for_mask"] = True
        name = self.name(kind.lower())
        if self.chance(0.25):
            cells = []
            for _ in range(self.rng.choice([1, 2, 2, 3])):
                kind, options = self.one_cell()
                cells.append(getattr(L, kind + "Cell")(**options, name=self.name("cell")))
            run["stateful"] = False if len(cells) > 1 else run["stateful"]
            return L.RNN(cells if len(cells) > 1 else cells[0], **run, name=name)
        return getattr(L, kind)(**options, **run, name=name)

    def bidirectional(self):
        forward = self.layer_over_time(backwards=False, in_wrapper=True)
        merge = self.rng.choice(["concat", "concat", "sum", "mul", "ave", None])
        options = {}
        if self.chance(0.3):
            backward = None
            for _ in range(40):
                backward = self.layer_over_time(forward.return_sequences, forward.return_state, True, True)
                widths = [self.width(forward), self.width(backward)]
                if widths[0] == widths[1] and backward.stateful == forward.stateful:
                    break
            else:
                return L.Bidirectional(forward, merge_mode=merge, name=self.name("both"))
            options["backward_layer"] = backward
        return L.Bidirectional(forward, merge_mode=merge, name=self.name("both"), **options)

    def width(self, layer):
        out = layer.cell.output_size if hasattr(layer.cell, "output_size") else layer.cell.units
        return out[-1] if isinstance(out, (list, tuple)) else out

    def recurrent(self):
        x = self.of(3)
        if x is None:
            return
        if self.shared and self.chance(0.3):
            layer, width, units = self.rng.choice(self.shared)
            if x.shape[-1] != width:
                x = L.Dense(width, name=self.name("fit"))(x)
        else:
            layer = self.bidirectional() if self.chance(0.4) else self.layer_over_time()
            units = None
            if self.chance(0.4):
                self.shared.append((layer, x.shape[-1], units))
        options = {}
        inner = layer.forward_layer if isinstance(layer, L.Bidirectional) else layer
        if self.chance(0.25):
            state = self.state_for(layer, inner)
            if state is not None:
                options["initial_state"] = state
        if self.chance(0.2):
            mask = self.mask_for(x)
            if mask is not None:
                options["mask"] = mask
        self.give(layer(x, **options))

    def state_for(self, layer, inner):
        sizes = inner.cell.state_size
        sizes = list(sizes) if isinstance(sizes, (list, tuple)) else [sizes]
        if any(isinstance(s, (list, tuple)) for s in sizes):
            return None
        if isinstance(layer, L.Bidirectional):
            other = layer.backward_layer.cell.state_size
            other = list(other) if isinstance(other, (list, tuple)) else [other]
            if any(isinstance(s, (list, tuple)) for s in other):
                return None
            sizes = sizes + other
        parts = []
        for size in sizes:
            part = self.of(2, last=size)
            if part is None:
                some = self.of(2)
                if some is None:
                    return None
                part = L.Dense(size, name=self.name("state"))(some)
            parts.append(part)
        return parts[0] if len(parts) == 1 and self.chance(0.5) else parts

    def mask_for(self, x):
        steps = x.shape[1]
        found = [m for m, k in self.pool if k in ("mask", "float_mask") and m.shape[1] == steps]
        if found and (KERAS_2 or self.chance(0.7)):
            return self.rng.choice(found)
        if KERAS_2:
            return None
        if self.chance(0.5):
            return keras.ops.any(keras.ops.not_equal(x, 0.0), axis=-1)
        ids = self.flagged("ids")
        if ids is not None and ids.shape[1] == steps:
            return keras.ops.not_equal(ids, 0)
        return None

    def merge(self):
        rank = 3 if self.chance(0.8) else 2
        first = self.of(rank)
        if first is None:
            return
        kinds = ["Add", "Subtract", "Multiply", "Multiply", "Average", "Maximum", "Maximum", "Minimum", "Concatenate"]
        kind = self.rng.choice(kinds)
        count = 2 if kind == "Subtract" or self.chance(0.6) else 3
        inputs = [first]
        while len(inputs) < count:
            how = self.rng.random()
            if how < 0.65:
                other = self.of(rank)
                if other.shape[-1] != first.shape[-1] and kind != "Concatenate":
                    other = L.Dense(first.shape[-1], name=self.name("fit"))(other)
                if rank == 3 and other.shape[1] != first.shape[1]:
                    other = first
            elif how < 0.75 and rank == 3:
                other = L.Dense(1, name=self.name("narrow"))(self.of(3))
                if other.shape[1] != first.shape[1]:
                    other = first
            elif how < 0.9 and rank == 3 and kind != "Concatenate":
                vector = self.of(2)
                if vector is None:
                    other = first
                else:
                    other = L.Dense(first.shape[-1], name=self.name("fit"))(vector)
                    if self.chance(0.4):
                        other = L.RepeatVector(1, name=self.name("row"))(other)
            else:
                other = first
            inputs.append(other)
        self.rng.shuffle(inputs)
        options = {}
        if kind == "Concatenate" and rank == 3 and len({i.shape[-1] for i in inputs}) == 1 and self.chance(0.3):
            options["axis"] = 1
        self.give(getattr(L, kind)(name=self.name(kind.lower()), **options)(inputs))

    def plain(self):
        x = self.of(self.rng.choice([3, 3, 3, 2]))
        if x is None:
            return
        rank = len(x.shape)
        kinds = ["Dense", "LayerNormalization", "BatchNormalization", "Activation", "Dropout", "PReLU", "LeakyReLU", "Softmax"]
        if rank == 3:
            kinds += ["TimeDistributed", "Masking", "Masking", "Dense", "Identity", "Flatten", "Permute", "Reshape", "SpatialDropout1D"]
        else:
            kinds += ["RepeatVector", "RepeatVector", "Reshape2"]
        kind = self.rng.choice(kinds)
        name = self.name(kind.lower())
        if kind == "Dense":
            y = L.Dense(self.rng.choice([2, 3, 4]), activation=self.rng.choice([None, "tanh", "relu"]), name=name)(x)
        elif kind == "Activation":
            y = L.Activation(self.rng.choice(["tanh", "softplus", "linear", "elu"]), name=name)(x)
        elif kind == "Dropout":
            y = L.Dropout(0.3, name=name)(x)
        elif kind == "SpatialDropout1D":
            y = L.SpatialDropout1D(0.3, name=name)(x)
        elif kind == "Identity":
            y = L.Identity(name=name)(x) if not KERAS_2 else L.GaussianNoise(0.1, name=name)(x)
        elif kind == "Softmax":
            y = L.Softmax(axis=self.rng.choice([-1, 1]), name=name)(x)
        elif kind == "PReLU":
            y = L.PReLU(shared_axes=[1] if rank == 3 else None, name=name)(x)
        elif kind == "Masking":
            y = L.Masking(self.rng.choice([0.0, 0.0, 0.5]), name=name)(x)
        elif kind == "TimeDistributed":
            inner = self.rng.choice([L.Dense(3), L.Activation("tanh"), L.LayerNormalization(), L.Dropout(0.2)])
            y = L.TimeDistributed(inner, name=name)(x)
        elif kind == "Flatten":
            if x.shape[1] is None:
                return
            y = L.Flatten(name=name)(x)
        elif kind == "Permute":
            if x.shape[1] is None:
                return
            y = L.Permute((2, 1), name=name)(x)
        elif kind == "Reshape":
            if x.shape[1] is None:
                return
            y = L.Reshape(self.rng.choice([(-1, x.shape[1]), (x.shape[1], x.shape[2]), (x.shape[1] * x.shape[2],)]), name=name)(x)
        elif kind == "Reshape2":
            y = L.Reshape((x.shape[1], 1), name=name)(x)
        elif kind == "RepeatVector":
            y = L.RepeatVector(self.time, name=name)(x)
        elif kind == "LeakyReLU":
            y = L.LeakyReLU(0.2, name=name)(x)
        else:
            y = getattr(L, kind)(name=name)(x)
        self.give(y)

    def embed(self):
        ids = self.flagged("ids")
        if ids is not None:
            table = L.Embedding(9, self.rng.choice([2, 3]), mask_zero=self.chance(0.75), name=self.name("table"))
            self.give(table(ids))

    def nested(self):
        """A model of one or two of the tensors, called once or twice."""
        if self.depth >= 2:
            return
        kinds = [x for x in [self.of(3), self.of(3) if self.chance(0.3) else None, self.of(2) if self.chance(0.3) else None] if x is not None]
        if not kinds:
            return
        tag = self.name("m") + "_"
        if len(kinds) == 1 and self.chance(0.4):
            layers = [keras.Input(shape=tuple(kinds[0].shape[1:]), batch_size=BATCH if self.stateful else None)]
            for _ in range(self.rng.choice([1, 2, 3])):
                layers.append(self.rng.choice([
                    lambda: L.Dense(3, name=self.name(tag + "d")), lambda: L.Masking(name=self.name(tag + "k")),
                    lambda: L.GRU(3, return_sequences=True, stateful=self.stateful, name=self.name(tag + "g")),
                    lambda: L.Bidirectional(L.SimpleRNN(2, return_sequences=True), name=self.name(tag + "b")),
                    lambda: L.Dropout(0.2), lambda: L.LayerNormalization(name=self.name(tag + "n")),
                    lambda: keras.Sequential([L.LSTM(2, return_sequences=True), L.Dense(3)], name=self.name(tag + "s")),
                ])())
            inner = keras.Sequential(layers, name=tag + "model")
        else:
            maker = Maker(0, self.depth + 1, self.rng, self.stateful, tag)
            maker.time, maker.any_time = self.time, self.any_time
            for x in kinds:
                maker.input(tuple(x.shape[1:]), "float")
            maker.grow(self.rng.choice([2, 3, 4]))
            inner = maker.model(tag + "model")
        for _ in range(2 if self.chance(0.3) else 1):
            options = {}
            if self.chance(0.15):
                masks = [self.mask_for(x) if len(x.shape) == 3 else None for x in kinds]
                if all(m is not None for m in masks):
                    options["mask"] = masks if len(kinds) > 1 else masks[0]
            self.give(inner(kinds if len(kinds) > 1 else kinds[0], **options))
            other = [self.of(len(x.shape), last=x.shape[-1]) for x in kinds]
            if any(o is None or tuple(o.shape[1:]) != tuple(x.shape[1:]) for o, x in zip(other, kinds)):
                break
            kinds = other

    def grow(self, count):
        for _ in range(count):
            action = self.rng.choices([self.recurrent, self.merge, self.plain, self.nested], [5, 5, 4, 1])[0]
            try:
                action()
            except Exception as error:  # what Keras refuses
                self.log.append(f"{action.__name__}: {error!r}"[:300])

    def model(self, name="model"):
        tensors = [x for x, k in self.pool if k not in ("ids", "mask", "float_mask")]
        made = [x for x in tensors if id(x) not in self.read and all(x is not i for i in self.inputs)]
        outputs = made[-4:] or tensors[-1:]
        for _ in range(self.rng.choice([0, 1])):
            outputs.append(self.rng.choice(tensors))
        if self.chance(0.1):
            outputs.append(outputs[0])
        return keras.Model(self.inputs if len(self.inputs) > 1 else self.inputs[0], outputs if len(outputs) > 1 else outputs[0], name=name)


def build(seed):
    maker = Maker(seed)
    steps = None if maker.any_time else maker.time
    for _ in range(maker.rng.choice([1, 1, 2])):
        maker.input((steps, maker.rng.choice([2, 3])), "sequence")
    if maker.chance(0.5):
        maker.input((maker.rng.choice([2, 3]),), "vector")
    if maker.chance(0.6):
        maker.input((steps,), "ids")
        maker.embed()
        if maker.chance(0.4):
            maker.embed()
    if maker.chance(0.3):
        maker.input((steps,), maker.rng.choice(["mask", "float_mask"]))
    for x, kind in list(maker.pool):
        if kind == "sequence" and maker.chance(0.8):
            maker.give(L.Masking(name=maker.name("masking"))(x))
            if maker.chance(0.8):
                maker.give(L.Dense(maker.rng.choice([2, 3]), name=maker.name("dense"))(maker.pool[-1][0]))
    maker.grow(maker.rng.choice([3, 5, 8]))
    return maker, maker.model()


def data(maker, seed):
    rng = np.random.default_rng(seed)
    values = []
    for x, kind in zip(maker.inputs, maker.kinds):
        shape = (BATCH, *[maker.time if n is None else n for n in x.shape[1:]])
        if kind == "ids":
            value = rng.integers(1, 9, shape).astype("int32")
            value[rng.random(shape) < 0.3] = 0
        elif kind == "mask":
            value = rng.random(shape) < 0.7
        elif kind == "float_mask":
            value = (rng.random(shape) < 0.7).astype("float32")
        else:
            value = np.round(rng.uniform(-1, 1, shape), 3).astype("float32")
            if len(shape) == 3:
                value[rng.random(shape[:2]) < 0.3] = 0
        values.append(value)
    return values


def randomize(model, seed):
    rng = np.random.default_rng(seed + 1)
    for weight in model.weights:
        name = weight.name if KERAS_2 else weight.path
        if "seed" in name or "int" in str(weight.dtype) or (KERAS_2 and "Variable" in name):
            continue
        values = np.round(rng.uniform(-0.7, 0.7, tuple(weight.shape)), 3)
        if "variance" in name or "gamma" in name:
            values = np.abs(values) + 0.4
        weight.assign(values.astype("float32"))


def call(model, inputs):
    outputs = model([tf.constant(x) for x in inputs] if len(inputs) > 1 else tf.constant(inputs[0]), training=False)
    return list(tf.nest.flatten(outputs))


def reset(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            reset(layer)
        elif getattr(layer, "stateful", False):
            if KERAS_2:
                layer.reset_states()
            elif isinstance(layer, L.Bidirectional):
                for one in (layer.forward_layer, layer.backward_layer):
                    one.reset_state()
            else:
                layer.reset_state()


def array(values):
    values = np.asarray(values)
    if values.dtype.kind == "f":
        values = values.astype("float32")
        data = [float(np.format_float_positional(v, unique=True)) if np.isfinite(v) else str(v) for v in values.ravel()]
    else:
        data = [int(v) for v in values.ravel()]
    return {"dtype": str(values.dtype), "shape": list(values.shape), "data": data}


def own(layer, path):
    names = ("kernel", "recurrent_kernel", "depthwise_kernel", "pointwise_kernel", "bias", "embeddings", "alpha", "gamma", "beta",
             "scale", "concat_score_weight")
    for name in names:
        variable = getattr(layer, name, None)
        if name == "depthwise_kernel" and type(layer).__name__ == "DepthwiseConv1D":
            name = "kernel"  # its name in Keras 3
        if variable is not None and not isinstance(variable, (float, int)) and hasattr(variable, "shape"):
            yield path + name, variable


def variables(layer, path):
    """(name in the crate's words, variable) of each weight of a layer."""
    if isinstance(layer, keras.Model):
        for inner in layer.layers:
            yield from variables(inner, f"{path}{inner.name}/")
    elif isinstance(layer, L.Bidirectional):
        yield from variables(layer.forward_layer, path + "forward/")
        yield from variables(layer.backward_layer, path + "backward/")
    elif isinstance(layer, L.TimeDistributed):
        yield from variables(layer.layer, path)
    elif isinstance(layer, L.RNN):
        yield from cells(layer.cell, path)
    elif type(layer).__name__ in ("SimpleRNN", "LSTM", "GRU"):
        yield from cells(layer.cell, path)
    else:
        yield from own(layer, path)


def cells(cell, path):
    if isinstance(cell, L.StackedRNNCells):
        for i, inner in enumerate(cell.cells):
            yield from cells(inner, f"{path}{i}/")
    else:
        yield from own(cell, path)


def gradients(model, inputs, seed):
    """What the gradients of a weighted sum of all outputs are."""
    rng = np.random.default_rng(seed + 2)
    tensors = [tf.constant(x) for x in inputs]
    floats = [x for x in tensors if x.dtype.is_floating]
    wanted = {id(v) for v in model.trainable_weights}
    named = [(name, v) for name, v in variables(model, "") if id(v) in wanted]
    with tf.GradientTape() as tape:
        for x in floats:
            tape.watch(x)
        outputs = list(tf.nest.flatten(model(tensors if len(tensors) > 1 else tensors[0], training=False)))
        upstream = [np.round(rng.uniform(-1, 1, tuple(y.shape)), 3).astype("float32") for y in outputs]
        loss = sum(tf.reduce_sum(tf.cast(y, "float32") * d) for y, d in zip(outputs, upstream))
    sources = floats + [v if KERAS_2 else v.value for _, v in named]
    made = [np.zeros(s.shape, "float32") if g is None else np.asarray(tf.convert_to_tensor(g))
            for g, s in zip(tape.gradient(loss, sources), sources)]
    of_floats = iter(made)
    return {
        "upstream": [array(d) for d in upstream],
        "inputs": [array(next(of_floats)) if x.dtype.is_floating else None for x in tensors],
        "weights": [{"name": name, "array": array(g)} for (name, _), g in zip(named, of_floats)],
    }


def same(a, b):
    return len(a) == len(b) and all(x.shape == y.shape and np.allclose(x, y, 1e-5, 1e-5, equal_nan=True) for x, y in zip(a, b))


def write(seed, folder):
    keras.utils.set_random_seed(seed)
    keras.backend.clear_session()
    maker, model = build(seed)
    randomize(model, seed)
    inputs = data(maker, seed)
    outputs = call(model, inputs)
    calls = [{"inputs": [array(x) for x in inputs], "outputs": [array(y) for y in outputs]}]
    if maker.stateful:
        more = data(maker, seed + 1000)
        calls.append({"inputs": [array(x) for x in more], "outputs": [array(y) for y in call(model, more)]})
    name = f"random_{seed}"
    case = {"name": name, "calls": calls}
    if folder.parent != HERE:
        case |= {"log": maker.log, "layers": [type(layer).__name__ for layer in model.layers]}
    reset(model)
    # Whether Keras's own reader makes the same model of its file.
    for ext in ("h5",) if KERAS_2 else ("keras",) if folder.parent == HERE else ("keras", "h5"):
        file = str(folder / f"{name}.{ext}")
        try:
            model.save(file)
            loaded = keras.models.load_model(file, compile=False)
            again = call(loaded, inputs)
            again = same([y.numpy() for y in outputs], [y.numpy() for y in again])
            if folder.parent != HERE:
                case["reloads_" + ext] = again
        except Exception as error:
            case["reloads_" + ext] = repr(error)[:200]
    try:
        case["gradients"] = gradients(model, inputs, seed)
    except Exception as error:
        case["gradients_failed"] = repr(error)[:200]
    return case


def dump(path, cases):
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    path.write_text(f'{{"versions":{{"keras":"{keras.__version__}"}},"cases":[\n{lines}\n]}}\n')


def main():
    if len(sys.argv) > 1:
        folder, first, last = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
        folder.mkdir(parents=True, exist_ok=True)
        cases = []
        for seed in range(first, last):
            try:
                cases.append(write(seed, folder))
            except Exception:
                print(seed, traceback.format_exc()[-600:], flush=True)
            dump(folder / "random.json", cases)
        return
    folder = HERE / ("random_keras2" if KERAS_2 else "random")
    folder.mkdir(exist_ok=True)
    cases = [write(seed, folder) for seed in (KEPT_KERAS_2 if KERAS_2 else KEPT)]
    dump(HERE / f"{folder.name}.json", cases)


if __name__ == "__main__":
    main()
