"""Models with code of one's own: Lambda, layer classes, cells; and what Keras computes with them.

`own_code.py` writes own_code/ and own_code.json; with KERAS_2 in the environment those of tf_keras, in
own_code_keras2/. `own_code.py round_trip FOLDER` has Keras take what the test `own_code` has written of them (into
target/tmp/own_code), with the same classes, and writes own_code_round_trip.json. The code that stands in the place of
each is in tests/golden/own_code.rs. Versions: requirements.txt. Gradients are those of a weighted sum of all outputs, for
the weights that aren't those of layers of one's own.
"""

import hashlib
import json
import pathlib
import sys
import zipfile

from random_graphs import HERE, KERAS_2, L, array, call, dump, gradients, keras, np, randomize, tf
from masked_graphs import Numbers

O = tf if KERAS_2 else keras.ops
CASES = {}


def Lambda(function, **options):
    """Without the place of this script, which would be in its code otherwise."""
    function.__code__ = function.__code__.replace(co_filename="own_code.py")
    if callable(options.get("mask")):
        options["mask"].__code__ = options["mask"].__code__.replace(co_filename="own_code.py")
    return L.Lambda(function, **options)


register = keras.utils.register_keras_serializable if KERAS_2 else keras.saving.register_keras_serializable
reduce_mean = tf.reduce_mean if KERAS_2 else keras.ops.mean
exp = tf.exp if KERAS_2 else keras.ops.exp
matmul = tf.matmul if KERAS_2 else keras.ops.matmul
sigmoid = tf.sigmoid if KERAS_2 else keras.ops.sigmoid
tanh = tf.tanh if KERAS_2 else keras.ops.tanh


def case(function):
    CASES[function.__name__] = function
    return function


def three(function):
    return function if KERAS_2 else case(function)


@register(package="mine")
class Scale(L.Layer):
    """scale * x ** power, x above zero."""

    def __init__(self, power=2.0, **options):
        super().__init__(**options)
        self.power = power

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), name="scale", initializer="ones")
        self.offset = self.add_weight(shape=(shape[-1],), name="offset", initializer="ones", trainable=False)

    def call(self, x):
        return self.scale * x**self.power + self.offset

    def get_config(self):
        return super().get_config() | {"power": self.power}


class Keeps(L.Layer):
    """The same, and the mask goes on."""

    def __init__(self, **options):
        super().__init__(**options)
        self.supports_masking = True

    def call(self, x):
        return x * 0.5


class Mixed(L.Layer):
    """A layer inside, and an input by name."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units
        self.dense = L.Dense(units, name="inner")

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x, context):
        return self.dense(x) - context

    def get_config(self):
        return super().get_config() | {"units": self.units}


@register(package="mine")
class MguCell(L.Layer):
    """f = sigmoid(x Kf + h Rf); g = tanh(x Kg + (f h) Rg); h' = (1 - f) h + f g"""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units
        self.state_size = units
        self.output_size = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 2 * self.units), name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(self.units, 2 * self.units), name="recurrent_kernel")

    def call(self, x, states, training=False):
        n, h = self.units, states[0]
        z = matmul(x, self.kernel)
        f = sigmoid(z[:, :n] + matmul(h, self.recurrent_kernel[:, :n]))
        g = tanh(z[:, n:] + matmul(f * h, self.recurrent_kernel[:, n:]))
        h = (1 - f) * h + f * g
        return h, [h]

    def get_config(self):
        return super().get_config() | {"units": self.units}


def mean_of_live(x, mask=None):
    live = O.cast(mask, "float32")[..., None]
    return O.sum(x * live, axis=1) / O.sum(live, axis=1)


CLASSES = {"mean_of_live": mean_of_live, "Keeps": Keeps, "Mixed": Mixed}


@case
def last_step(r):
    x = keras.Input((5, 3))
    h = L.GRU(4, return_sequences=True)(x)
    return keras.Model(x, L.Dense(2)(Lambda(lambda x: x[:, -1], name="last_step")(h))), [r.floats(3, 5, 3)]


@case
def any_length(r):
    """A Sequential of any number of steps, without a shape in the file but that of its input."""
    layers = [keras.Input((None, 3)), Lambda(lambda x: x * 2.0 + 0.5, name="scale"), L.LSTM(4, return_sequences=True)]
    return keras.Sequential(layers + [Lambda(lambda x: x[:, 1:] - x[:, :-1], name="steps"), L.GRU(2)]), [r.floats(3, 6, 3)]


@case
def two_inputs(r):
    x, y = keras.Input((5, 3)), keras.Input((5, 3))
    h = L.LSTM(3, return_sequences=True)(x)
    gate = Lambda(lambda t: t[0] * t[1], name="gate")
    outputs = [gate([h, y]), gate([y, x])]
    return keras.Model([x, y], outputs + [L.Dense(2)(outputs[0])]), [r.floats(3, 5, 3), r.floats(3, 5, 3)]


@case
def masks(r):
    """A Lambda drops the mask unless it says one; a layer of one's own says it in code alone."""
    x = keras.Input((5, 3))
    h = L.Masking()(x)
    drops = Lambda(lambda x: x * 1.5, name="drops")(h)
    keeps = Keeps(name="keeps")(h)
    # It goes on in a layer behind, if it goes on.
    outputs = [L.LSTM(2)(drops), L.LSTM(2)(keeps), L.LSTM(2)(L.Dense(3)(keeps))]
    if not KERAS_2:
        outputs.append(L.LSTM(2)(Lambda(lambda x: x * 0.25, mask=lambda x, mask: mask, name="own_mask")(h)))
        outputs.append(Lambda(mean_of_live, name="mean_of_live", output_shape=(3,))(h))
    return keras.Model(x, outputs), [r.masked(3, 5, 3)]


@case
def wrapped(r):
    """Inside TimeDistributed, between layers of both directions."""
    x = keras.Input((4, 3))
    h = L.Bidirectional(L.LSTM(2, return_sequences=True))(x)
    h = L.TimeDistributed(Lambda(lambda x: x - reduce_mean(x, axis=-1, keepdims=True), name="centred"), name="each")(h)
    return keras.Model(x, [h, L.Bidirectional(L.GRU(2))(h)]), [r.floats(3, 4, 3)]


@case
def weights(r):
    """Layers with weights and options: by the class that they are registered as, and by one that isn't."""
    x = keras.Input((4, 3))
    h = L.Activation("sigmoid")(x)
    outputs = [Scale(1.5, name="first")(h), L.LSTM(2)(Scale(0.5, name="second")(h)), L.Dense(2)(h)]
    return keras.Model(x, outputs), [r.floats(3, 4, 3)]


@three
def mixed(r):
    x = keras.Input((4, 3))
    h = L.GRU(2, return_sequences=True)(x)
    return keras.Model(x, [Mixed(2, name="mixed")(x, context=h), L.Dense(3)(h)]), [r.floats(3, 4, 3)]


@case
def cells(r):
    """A cell of one's own, alone and in both directions."""
    x = keras.Input((5, 3))
    h = L.Masking()(x)
    outputs = [L.RNN(MguCell(4), return_sequences=True, name="own")(h)]
    outputs.append(L.Dense(2)(outputs[0]))
    if not KERAS_2:
        stack = [L.LSTMCell(3), MguCell(2), L.GRUCell(2)]
        outputs += [L.RNN(stack, name="stack")(h), L.Bidirectional(L.RNN(MguCell(2)), name="both")(x)]
    return keras.Model(x, outputs), [r.masked(3, 5, 3)]


@case
def within(r):
    """In a model within, called twice; an operation without a reader of its own."""
    y = keras.Input((4, 3))
    inner = keras.Model(y, L.Dense(3)(Lambda(lambda x: exp(x) - 1.0, name="grown")(y)), name="inner")
    x = keras.Input((4, 3))
    h = inner(x)
    h = inner(h)
    outputs = [h, L.LSTM(2)(h)]
    if not KERAS_2:
        outputs.append(keras.ops.sin(h))
    return keras.Model(x, outputs), [r.floats(3, 4, 3)]


@three
def doubles(r):
    x = keras.Input((4, 3), dtype="float64")
    h = Lambda(lambda x: x * x - 0.125, name="squared", dtype="float64")(x)
    return keras.Model(x, L.GRU(2, dtype="float64")(h)), [r.floats(3, 4, 3).astype("float64")]


def of_layers_of_ones_own(model, made):
    """Gradients without those of weights that aren't trained here."""
    names = ("first", "second", "mixed")
    made["weights"] = [weight for weight in made["weights"] if not weight["name"].startswith(names)]
    return made


def wide(values):
    return {"dtype": "float64", "shape": list(values.shape), "data": [float(value) for value in np.asarray(values).ravel()]}


def write(name, folder):
    keras.backend.clear_session()
    model, inputs = CASES[name](Numbers(name))
    randomize(model, len(name))
    outputs = call(model, inputs)
    listed = wide if name == "doubles" else array
    written = [{"inputs": [listed(x) for x in inputs], "outputs": [listed(np.asarray(y)) for y in outputs]}]
    model.save(str(folder / f"{name}.{'h5' if KERAS_2 else 'keras'}"))
    if not KERAS_2 and name in ("weights", "masks"):
        model.save(str(folder / f"{name}.h5"))
    case = {"name": name, "calls": written}
    return case if name == "doubles" else case | {"gradients": of_layers_of_ones_own(model, gradients(model, inputs, len(name)))}


def stated(value):
    """Without what says nothing: nulls, the shapes and types of tensors, which Keras finds out by itself."""
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        return value["config"]["keras_history"]
    if isinstance(value, dict):
        return {key: stated(item) for key, item in value.items() if item is not None}
    return [stated(item) for item in value] if isinstance(value, list) else value


def written_in(path):
    """The configuration in a file, as it stands there: what Keras reads of a Lambda isn't written in the same bytes."""
    from round_trip import plain

    with zipfile.ZipFile(path) as file:
        return plain(stated(json.loads(file.read("config.json"))))


def round_trip(folder):
    import builtins

    from round_trip import first_difference, inputs_of, run

    # What the code of a Lambda that was read finds.
    builtins.exp, builtins.reduce_mean = exp, reduce_mean
    files = {}
    for path in sorted(folder.glob("*.keras")):
        source = HERE / "own_code" / path.name
        options = {"custom_objects": CLASSES, "safe_mode": False, "compile": False}
        ours, theirs = (keras.models.load_model(one, **options) for one in (path, source))
        arrays = [np.abs(array) + 0.1 if "float" in str(array.dtype) else array for array in inputs_of(theirs)]
        same = all(np.array_equal(a, b) for a, b in zip(run(ours, arrays), run(theirs, arrays), strict=True))
        assert same, path
        found = first_difference(written_in(source), written_in(path))
        assert found is None, (path, found)
        files[path.stem] = hashlib.sha256(path.read_bytes()).hexdigest()
    (HERE / "own_code_round_trip.json").write_text(json.dumps({"keras": keras.__version__, "files": files}, indent=1) + "\n")


def main():
    if sys.argv[1:2] == ["round_trip"]:
        return round_trip(pathlib.Path(sys.argv[2]))
    folder = HERE / ("own_code_keras2" if KERAS_2 else "own_code")
    folder.mkdir(exist_ok=True)
    dump(HERE / f"{folder.name}.json", [write(name, folder) for name in CASES])


if __name__ == "__main__":
    main()
