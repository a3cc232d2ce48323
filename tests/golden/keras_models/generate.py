"""Writes the golden models anew: each as .keras and (where Keras can) as legacy .h5, and their inputs and outputs.

Run with the versions of ../keras/requirements.txt: `python tests/golden/keras_models/generate.py [NAME ...]`.
"""

import json
import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["COLUMNS"] = "80"

import keras
import numpy as np
from keras import layers as L

HERE = pathlib.Path(__file__).parent
MODELS = HERE / "models"
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


class Rng:
    """Seeded numbers; each case has its own."""

    def __init__(self, name):
        self.rng = np.random.default_rng(list(name.encode()))

    def floats(self, *shape, dtype="float32"):
        return self.rng.uniform(-1, 1, shape).astype(dtype)

    def ids(self, high, *shape, dtype="int32"):
        return self.rng.integers(1, high, shape).astype(dtype)

    def padded(self, high, *shape, dtype="int32"):
        """Ids with zeros at the start, in the middle and at the end."""
        ids = self.ids(high, *shape, dtype=dtype)
        ids[0, -2:] = 0
        if shape[0] > 1:
            ids[1, :1] = 0
            ids[1, 2] = 0
        return ids


def randomize(model, rng):
    """Weights that are all different; variances positive."""
    for weight in model.weights:
        values = rng.floats(*weight.shape, dtype="float64") * 0.6
        if "variance" in weight.path or "gamma" in weight.path:
            values = np.abs(values) + 0.3
        weight.assign(values.astype(weight.dtype))
    return model


def sequential(*parts, name=None):
    return keras.Sequential(list(parts), name=name)


# --- recurrent layers alone ---------------------------------------------------------------------------------------


@case
def simple_rnn(r):
    return sequential(keras.Input((None, 3)), L.SimpleRNN(4, activation="relu")), [r.floats(2, 5, 3)]


@case
def lstm(r):
    return sequential(keras.Input((None, 3)), L.LSTM(4)), [r.floats(2, 5, 3)]


@case
def lstm_options(r):
    layer = L.LSTM(4, activation="softsign", recurrent_activation="hard_sigmoid", use_bias=False, return_sequences=True,
                   go_backwards=True, unit_forget_bias=False, dropout=0.2, recurrent_dropout=0.1)
    return sequential(keras.Input((None, 3)), layer), [r.floats(2, 5, 3)]


@case
def gru(r):
    return sequential(keras.Input((6, 3)), L.GRU(4, return_sequences=True)), [r.floats(2, 6, 3)]


@case
def gru_reset_before(r):
    return sequential(keras.Input((None, 3)), L.GRU(4, reset_after=False)), [r.floats(2, 5, 3)]


@case
def unrolled(r):
    return sequential(keras.Input((5, 3)), L.LSTM(4, unroll=True)), [r.floats(2, 5, 3)]


@case
def rnn_of_a_cell(r):
    return sequential(keras.Input((None, 3)), L.RNN(L.GRUCell(4), return_sequences=True)), [r.floats(2, 5, 3)]


@case
def rnn_of_cells(r):
    cells = [L.LSTMCell(4), L.GRUCell(5, reset_after=False), L.SimpleRNNCell(3), L.LSTMCell(2, activation="relu")]
    x = keras.Input((None, 3))
    return keras.Model(x, L.RNN(cells, return_sequences=True, return_state=True)(x)), [r.floats(2, 5, 3)]


@case
def rnn_of_stacked_cells_within(r):
    cells = L.StackedRNNCells([L.LSTMCell(4), L.StackedRNNCells([L.GRUCell(2), L.SimpleRNNCell(3)])])
    return sequential(keras.Input((None, 3)), L.RNN(cells, go_backwards=True)), [r.floats(2, 5, 3)]


@case
def return_state(r):
    x = keras.Input((None, 3))
    sequence, h, c = L.LSTM(4, return_sequences=True, return_state=True)(x)
    last, state = L.GRU(2, return_state=True)(sequence)
    return keras.Model(x, [c, last, h, state, sequence]), [r.floats(2, 5, 3)]


@case
def activation_objects(r):
    return sequential(
        keras.Input((None, 3)),
        L.LSTM(4, activation=L.LeakyReLU(0.3), recurrent_activation=L.ReLU(max_value=1.0), return_sequences=True),
        L.GRU(3, activation="leaky_relu", return_sequences=True),
        L.SimpleRNN(3, activation=None, return_sequences=True),
        L.Dense(2, activation=L.ELU(0.7)),
    ), [r.floats(2, 5, 3)]


# --- wrappers -----------------------------------------------------------------------------------------------------


def _bidirectional(merge):
    def build(r):
        return sequential(
            keras.Input((None, 3)),
            L.Bidirectional(L.LSTM(4, return_sequences=True), merge_mode=merge),
            L.Bidirectional(L.GRU(2), merge_mode=merge),
        ), [r.floats(2, 5, 3)]

    build.__name__ = f"bidirectional_{merge}"
    return case(build)


for merge in ["concat", "sum", "mul", "ave"]:
    _bidirectional(merge)


@case
def bidirectional_none(r):
    x = keras.Input((None, 3))
    outputs = L.Bidirectional(L.LSTM(4, return_sequences=True, return_state=True), merge_mode=None)(x)
    return keras.Model(x, outputs), [r.floats(2, 5, 3)]


@case
def bidirectional_backward_layer(r):
    layer = L.Bidirectional(L.LSTM(4, return_sequences=True), backward_layer=L.GRU(4, go_backwards=True, return_sequences=True))
    return sequential(keras.Input((None, 3)), layer), [r.floats(2, 5, 3)]


@case
def bidirectional_of_cells(r):
    layer = L.Bidirectional(L.RNN([L.LSTMCell(3), L.GRUCell(2)], return_sequences=True))
    return sequential(keras.Input((None, 3)), layer), [r.floats(2, 5, 3)]


@case
def bidirectional_initial_state(r):
    x, h, c = keras.Input((None, 3)), keras.Input((4,)), keras.Input((4,))
    out = L.Bidirectional(L.LSTM(4, return_sequences=True))(x, initial_state=[h, c, c, h])
    return keras.Model([x, h, c], out), [r.floats(2, 5, 3), r.floats(2, 4), r.floats(2, 4)]


@case
def time_distributed(r):
    return sequential(
        keras.Input((None, 3)),
        L.GRU(4, return_sequences=True),
        L.TimeDistributed(L.Dense(3, activation="tanh", use_bias=False)),
        L.TimeDistributed(L.Activation("softmax")),
    ), [r.floats(2, 5, 3)]


@case
def time_distributed_rank_4(r):
    inner = sequential(keras.Input((4, 3)), L.LSTM(5), L.Dropout(0.3), L.Dense(2), name="inner")
    return sequential(
        keras.Input((6, 4, 3)), L.TimeDistributed(inner), L.TimeDistributed(L.Flatten()), L.LSTM(3)
    ), [r.floats(2, 6, 4, 3)]


# --- masks --------------------------------------------------------------------------------------------------------


@case
def embedding(r):
    return sequential(keras.Input((None,), dtype="int32"), L.Embedding(9, 3), L.LSTM(4)), [r.ids(9, 2, 5)]


@case
def embedding_masked(r):
    return sequential(
        keras.Input((None,), dtype="int64"), L.Embedding(9, 3, mask_zero=True), L.LSTM(4, return_sequences=True), L.GRU(3)
    ), [r.padded(9, 2, 6, dtype="int64")]


@case
def embedding_of_floats(r):
    return sequential(L.Embedding(9, 3, mask_zero=True), L.LSTM(4)), [r.padded(9, 2, 6)]


@case
def masking(r):
    x = r.floats(3, 6, 3)
    x[0, 4:] = 0.5
    x[1, 0] = 0.5
    x[1, 3] = 0.5
    x[2] = 0.5
    return sequential(keras.Input((None, 3)), L.Masking(0.5), L.LSTM(4, return_sequences=True), L.GRU(2)), [x]


@case
def masking_bidirectional(r):
    x = r.floats(3, 6, 3)
    x[0, 4:] = 0
    x[1, :2] = 0
    return sequential(
        keras.Input((6, 3)),
        L.Masking(),
        L.Bidirectional(L.LSTM(4, return_sequences=True)),
        L.TimeDistributed(L.Dense(3)),
        L.Bidirectional(L.GRU(2)),
    ), [x]


@case
def masks_through_layers(r):
    return sequential(
        keras.Input((None,), dtype="int32"),
        L.Embedding(9, 3, mask_zero=True),
        L.Dropout(0.5),
        L.SpatialDropout1D(0.5),
        L.Dense(4),
        L.LayerNormalization(),
        L.BatchNormalization(),
        L.Activation("tanh"),
        L.LeakyReLU(),
        L.GaussianNoise(0.1),
        L.GRU(3, zero_output_for_mask=True, return_sequences=True),
        L.LSTM(2),
    ), [r.padded(9, 2, 6)]


@case
def masks_lost_in_layers(r):
    return sequential(
        keras.Input((6,), dtype="int32"),
        L.Embedding(9, 4, mask_zero=True),
        L.Reshape((3, 8)),
        L.GRU(3, return_sequences=True),
        L.Permute((2, 1)),
        L.LSTM(2),
    ), [r.padded(9, 2, 6)]


@case
def masks_of_merging_layers(r):
    a, b = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    table = L.Embedding(9, 4, mask_zero=True)
    x, y = table(a), table(b)
    total = L.Add()([x, y])
    joined = L.Concatenate()([L.LSTM(3, return_sequences=True)(total), L.Dense(2)(y)])
    ids, more = r.padded(9, 2, 6), r.ids(9, 2, 6)
    more[0, 3:] = 0
    return keras.Model([a, b], [L.GRU(3)(total), L.LSTM(2)(joined), L.Average()([x, y])]), [ids, more]


@case
def masks_and_initial_states(r):
    """With an initial state a layer ignores the mask, which still goes on."""
    ids = keras.Input((None,), dtype="int32")
    x = L.Embedding(9, 3, mask_zero=True)(ids)
    _, h, c = L.LSTM(4, return_state=True)(x)
    sequence = L.LSTM(4, return_sequences=True)(x, initial_state=[h, c])
    return keras.Model(ids, [sequence, L.GRU(2)(sequence)]), [r.padded(9, 2, 6)]


@case
def softmax_with_mask(r):
    x = r.floats(4, 4, 4)  # the mask spreads as numpy does it: (batch, timesteps) over the last two axes
    x[0, 3] = 0
    return sequential(keras.Input((4, 4)), L.Masking(), L.Softmax(axis=1)), [x]


# --- other layers -------------------------------------------------------------------------------------------------


@case
def activation_layers(r):
    x = keras.Input((5, 4))
    layers = [
        L.ReLU(), L.ReLU(max_value=0.5, negative_slope=0.1, threshold=0.2), L.LeakyReLU(0.1), L.ELU(0.5), L.PReLU(),
        L.PReLU(shared_axes=[1]), L.Softmax(), L.Softmax(axis=1),
    ]
    return keras.Model(x, [layer(x) for layer in layers]), [r.floats(2, 5, 4)]


@case
def activations(r):
    x = keras.Input((None, 4))
    names = ["elu", "gelu", "selu", "softplus", "silu", "exponential", "hard_sigmoid", "log_softmax", "mish", "relu6",
             "hard_silu", "sparse_plus", "linear", "celu", "squareplus", "soft_shrink"]
    return keras.Model(x, [L.Activation(name)(x) for name in names]), [r.floats(2, 3, 4)]


@case
def glu(r):
    """Keras's summary shows the input's width."""
    return sequential(keras.Input((None, 4)), L.Activation("glu")), [r.floats(2, 3, 4)]


@case
def dropouts(r):
    return sequential(
        keras.Input((None, 3)), L.Dropout(0.4), L.SpatialDropout1D(0.3), L.GaussianDropout(0.2), L.GaussianNoise(0.1),
        L.AlphaDropout(0.2), L.ActivityRegularization(0.1), L.Identity(), L.LSTM(2),
    ), [r.floats(2, 5, 3)]


@case
def shapes(r):
    x = keras.Input((4, 6))
    outputs = [
        L.Flatten()(x), L.Reshape((3, 8))(x), L.Reshape((-1, 2))(x), L.Permute((2, 1))(x),
        L.RepeatVector(3)(L.Flatten()(x)), L.Reshape((24,))(x), L.Reshape((2, 2, -1))(x),
    ]
    return keras.Model(x, outputs), [r.floats(2, 4, 6)]


@case
def merging(r):
    a, b, c = keras.Input((5, 4)), keras.Input((5, 4)), keras.Input((4,))
    outputs = [
        L.Add()([a, b, a]), L.Multiply()([a, b]), L.Average()([a, b, b]), L.Subtract()([a, b]), L.Maximum()([a, b]),
        L.Minimum()([a, b]), L.Concatenate()([a, b]), L.Concatenate(axis=1)([a, b]), L.Add()([a, c]),
        L.Multiply()([c, L.RepeatVector(1)(c)]),
    ]
    return keras.Model([a, b, c], outputs), [r.floats(2, 5, 4), r.floats(2, 5, 4), r.floats(2, 4)]


@case
def normalization(r):
    x = keras.Input((5, 4))
    outputs = [
        L.LayerNormalization()(x), L.LayerNormalization(axis=1, epsilon=0.1, scale=False)(x),
        L.LayerNormalization(axis=[1, 2], center=False)(x), L.LayerNormalization(center=False, scale=False)(x),
        L.BatchNormalization()(x), L.BatchNormalization(axis=1, center=False)(x),
        L.BatchNormalization(scale=False, epsilon=0.2)(x),
    ]
    return keras.Model(x, outputs), [r.floats(3, 5, 4)]


@case
def dense_head(r):
    return sequential(
        keras.Input((7, 3)), L.LSTM(4, return_sequences=True), L.Flatten(), L.Dense(5, activation="relu"), L.Dense(2)
    ), [r.floats(2, 7, 3)]


# --- graphs -------------------------------------------------------------------------------------------------------


@case
def encoder_decoder(r):
    source, target = keras.Input((None, 3), name="source"), keras.Input((None, 2), name="target")
    _, h, c = L.LSTM(4, return_state=True, name="encoder")(source)
    decoded = L.LSTM(4, return_sequences=True, name="decoder")(target, initial_state=[h, c])
    return keras.Model([source, target], L.Dense(2, name="head")(decoded)), [r.floats(2, 5, 3), r.floats(2, 4, 2)]


@case
def repeat_vector_autoencoder(r):
    return sequential(
        keras.Input((6, 3)), L.LSTM(4), L.RepeatVector(6), L.LSTM(4, return_sequences=True),
        L.TimeDistributed(L.Dense(3)),
    ), [r.floats(2, 6, 3)]


@case
def dictionaries(r):
    inputs = {"b": keras.Input((None, 3), name="b"), "a": keras.Input((4,), name="a")}
    x = L.GRU(4)(inputs["b"], initial_state=inputs["a"])
    return keras.Model(inputs, {"z": L.Dense(2)(x), "y": x}), [r.floats(2, 4), r.floats(2, 5, 3)]


@case
def shared_layers(r):
    a, b = keras.Input((None, 3)), keras.Input((None, 3))
    shared = L.LSTM(4, return_sequences=True, return_state=True)
    x, h, c = shared(a)
    y, *_ = shared(b, initial_state=[c, h])
    z, *_ = shared(L.Dense(3)(y))
    return keras.Model([a, b], [x, y, z]), [r.floats(2, 5, 3), r.floats(2, 4, 3)]


@case
def residual(r):
    x = keras.Input((None, 4))
    y = L.LSTM(4, return_sequences=True)(x)
    y = L.Add()([x, y])
    z = L.LayerNormalization()(L.GRU(4, return_sequences=True)(y))
    return keras.Model(x, [L.Concatenate()([y, z]), L.Dense(2)(L.SimpleRNN(3)(z))]), [r.floats(2, 5, 4)]


@case
def nested(r):
    inner_input = keras.Input((None, 3), name="inner_input")
    inner = keras.Model(inner_input, L.Dense(4)(L.GRU(5, return_sequences=True)(inner_input)), name="inner")
    tail = sequential(keras.Input((None, 4)), L.BatchNormalization(), L.LSTM(3), L.Dense(2), name="tail")
    tail.layers[1].trainable = False
    a, b = keras.Input((None, 3)), keras.Input((None, 3))
    return keras.Model([a, b], [tail(inner(a)), inner(b), tail(inner(b))]), [r.floats(2, 5, 3), r.floats(2, 4, 3)]


@case
def nested_in_sequential(r):
    inner = sequential(keras.Input((None, 3)), L.LSTM(4, return_sequences=True), name="inner")
    return sequential(keras.Input((None, 3)), inner, L.GRU(2)), [r.floats(2, 5, 3)]


@case
def nested_masks(r):
    """Masks go into a model within, and come out where a layer within attaches one."""
    inner = sequential(keras.Input((None, 3)), L.LSTM(4, return_sequences=True), name="reader")
    embedder = sequential(keras.Input((None,), dtype="int32"), L.Embedding(9, 3, mask_zero=True), name="embedder")
    ids = keras.Input((None,), dtype="int32")
    x = L.Embedding(9, 3, mask_zero=True)(ids)
    y = embedder(ids)
    return keras.Model(ids, [inner(x), L.GRU(2)(inner(x)), L.GRU(3)(y)]), [r.padded(9, 2, 6)]


@case
def nested_with_several(r):
    a, b = keras.Input((None, 3)), keras.Input((2,))
    s, h = L.GRU(2, return_sequences=True, return_state=True)(a, initial_state=b)
    inner = keras.Model([a, b], [h, s], name="pair")
    x, y = keras.Input((None, 3)), keras.Input((2,))
    h, s = inner([x, y])
    h2, s2 = inner([x, h])
    return keras.Model([x, y], [s2, h2, L.Dense(2)(s)]), [r.floats(2, 5, 3), r.floats(2, 2)]


@case
def nested_twice(r):
    deep = sequential(keras.Input((None, 3)), L.SimpleRNN(3, return_sequences=True), name="deep")
    middle = sequential(keras.Input((None, 3)), deep, L.Dense(3), name="middle")
    return sequential(keras.Input((None, 3)), middle, L.LSTM(2)), [r.floats(2, 5, 3)]


# --- types, states, training --------------------------------------------------------------------------------------


@case
def float64(r):
    keras.config.set_dtype_policy("float64")
    try:
        model = sequential(
            keras.Input((None, 3), dtype="float64"), L.Bidirectional(L.LSTM(4, return_sequences=True)),
            L.LayerNormalization(), L.GRU(3), L.Dense(2, activation="softmax"),
        )
    finally:
        keras.config.set_dtype_policy("float32")
    return model, [r.floats(2, 5, 3, dtype="float64")]


@case
def flags_as_input(r):
    x = keras.Input((5, 3), dtype="bool")
    return keras.Model(x, L.LSTM(4)(L.Masking()(L.Dense(3)(x)))), [r.floats(2, 5, 3) > 0]


@case
def stateful(r):
    model = sequential(
        keras.Input(batch_shape=(2, None, 3)), L.LSTM(4, stateful=True, return_sequences=True),
        L.GRU(3, stateful=True, return_sequences=True), L.SimpleRNN(2, stateful=True),
    )
    return model, [[r.floats(2, 4, 3)], [r.floats(2, 3, 3)], "reset", [r.floats(2, 4, 3)], [r.floats(2, 1, 3)]]


@case
def stateful_bidirectional(r):
    model = sequential(
        keras.Input(batch_shape=(2, None, 3)), L.Bidirectional(L.LSTM(4, stateful=True, return_sequences=True)), L.Dense(2)
    )
    return model, [[r.floats(2, 4, 3)], [r.floats(2, 3, 3)]]


@case
def stateful_shared(r):
    x = keras.Input(batch_shape=(2, 4, 3))
    shared = L.GRU(3, stateful=True, return_sequences=True)
    y = shared(x)
    return keras.Model(x, [y, shared(y)]), [[r.floats(2, 4, 3)], [r.floats(2, 4, 3)]]


@case
def stateful_masked(r):
    ids = keras.Input(batch_shape=(2, None), dtype="int32")
    x = L.LSTM(4, stateful=True, return_sequences=True)(L.Embedding(9, 3, mask_zero=True)(ids))
    return keras.Model(ids, x), [[r.padded(9, 2, 5)], [r.padded(9, 2, 4)]]


@case
def trained_classifier(r):
    keras.utils.set_random_seed(1)
    model = sequential(
        keras.Input((None,), dtype="int32"), L.Embedding(9, 4, mask_zero=True), L.Bidirectional(L.LSTM(5)),
        L.BatchNormalization(), L.Dropout(0.3), L.Dense(2, activation="softmax"),
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    ids = r.padded(9, 32, 7)
    model.fit(ids, ids[:, 2] % 2, epochs=3, verbose=0)
    return model, [ids[:4]]


@case
def trained_forecaster(r):
    keras.utils.set_random_seed(2)
    model = sequential(keras.Input((12, 1)), L.GRU(6, return_sequences=True), L.GRU(4), L.Dense(1))
    model.compile("rmsprop", "mse")
    x = np.sin(r.floats(32, 1, 1) * 3 + np.arange(13)[None, :, None] / 2).astype("float32")
    model.fit(x[:, :12], x[:, 12, 0], epochs=3, verbose=0)
    return model, [x[:3, :12]]


TRAINED = ["trained_classifier", "trained_forecaster"]


# --- writing ------------------------------------------------------------------------------------------------------


def number(value):
    value = value.item()
    if isinstance(value, (bool, int)):
        return int(value)
    return value


def array(values):
    values = np.asarray(values)
    if values.dtype == np.float32:
        data = [float(np.format_float_positional(v, unique=True)) for v in values.ravel()]
    else:
        data = [number(v) for v in values.ravel()]
    return {"dtype": str(values.dtype), "shape": list(values.shape), "data": data}


def outputs_of(model, inputs):
    """In the order of the model's outputs, flattened."""
    names = [tensor.name for tensor in model.inputs]
    struct = model._functional._inputs_struct if isinstance(model, keras.Sequential) else model._inputs_struct
    given = dict(zip(sorted(struct), inputs)) if isinstance(struct, dict) else (inputs[0] if len(names) == 1 else inputs)
    outputs = keras.tree.flatten(model.predict_on_batch(given))
    return [array(output) for output in outputs]


def reset(model):
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()


def write(name):
    keras.utils.clear_session()
    rng = Rng(name)
    model, calls = CASES[name](rng)
    if not isinstance(calls[0], list):
        calls = [calls]
    if not model.built:
        model.build(calls[0][0].shape[:1] and (None,) + calls[0][0].shape[1:])
    if name not in TRAINED:
        randomize(model, rng)
    written = []
    for call in calls:
        if call == "reset":
            reset(model)
            written.append("reset")
        else:
            written.append({"inputs": [array(x) for x in call], "outputs": outputs_of(model, call)})
    model.save(MODELS / f"{name}.keras")
    model.save(MODELS / f"{name}.h5")
    lines = []
    loaded = keras.models.load_model(MODELS / f"{name}.keras", compile=False)
    loaded.summary(print_fn=lines.append)
    return {"name": name, "calls": written, "summary": "\n".join(lines).rstrip("\n")}


def main():
    MODELS.mkdir(exist_ok=True)
    path = HERE / "cases.json"
    names = sys.argv[1:]
    old = {case["name"]: case for case in json.loads(path.read_text())["cases"]} if names else {}
    for name in names or CASES:
        old[name] = write(name)
        print(name, flush=True)
    cases = [old[name] for name in CASES if name in old]
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    versions = json.dumps({"keras": keras.__version__})
    path.write_text(f'{{"versions":{versions},"cases":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
