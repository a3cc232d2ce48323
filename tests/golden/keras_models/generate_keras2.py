"""Writes the golden models of Keras 2 anew: legacy .h5 files, written and run by tf_keras, which is Keras 2.

Run with the versions of requirements.txt: `python tests/golden/keras_models/generate_keras2.py`.
"""

import json

import h5py
import numpy as np
import tf_keras as keras
from generate import HERE, Rng, array
from tf_keras import layers as L
from tf_keras.src.layers.rnn.cudnn_gru import CuDNNGRU
from tf_keras.src.layers.rnn.cudnn_lstm import CuDNNLSTM
from tf_keras.src.saving.legacy import hdf5_format

MODELS = HERE / "keras2"
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def sequential(*parts):
    return keras.Sequential(list(parts))


@case
def hard_sigmoid(r):
    """Keras 2 means 0.2 x + 0.5 by it."""
    return sequential(
        keras.Input((None, 3)),
        L.LSTM(4, recurrent_activation="hard_sigmoid", return_sequences=True),
        L.GRU(3, recurrent_activation="hard_sigmoid", reset_after=False),
        L.Dense(2, activation="hard_sigmoid"),
    ), [r.floats(2, 5, 3) * 3]


@case
def batch_input_shape(r):
    return sequential(
        L.LSTM(4, batch_input_shape=(2, None, 3), stateful=True, return_sequences=True), L.SimpleRNN(3, stateful=True)
    ), [[r.floats(2, 4, 3)], [r.floats(2, 3, 3)]]


@case
def embedding(r):
    return sequential(
        L.Embedding(9, 4, mask_zero=True, input_length=6), L.Dropout(0.3), L.Bidirectional(L.LSTM(3, return_sequences=True)),
        L.TimeDistributed(L.Dense(4, activation="relu")), L.GRU(2),
    ), [r.padded(9, 2, 6)]


@case
def graph(r):
    """Initial states among the inputs, with which Keras 2 does apply the mask; models within, counted from 1."""
    x, ids = keras.Input((None, 3)), keras.Input((None,), dtype="int32")
    sequence, h, c = L.LSTM(4, return_state=True, return_sequences=True)(L.Embedding(9, 4, mask_zero=True)(ids))
    decoded = L.LSTM(4, return_sequences=True)(L.Masking()(x), initial_state=[h, c])
    inner = keras.Sequential([keras.Input((None, 4)), L.Bidirectional(L.GRU(3)), L.BatchNormalization(), L.Dense(2)])
    y = keras.Input((2,))
    head = keras.Model(y, L.Dense(3)(y))
    data = r.floats(2, 6, 3)
    data[0, 4:] = 0
    data[1, 1] = 0
    return keras.Model([x, ids], [inner(decoded), head(inner(sequence)), decoded]), [data, r.padded(9, 2, 5)]


@case
def cells(r):
    cells = [L.LSTMCell(4), L.GRUCell(3, reset_after=True), L.SimpleRNNCell(2)]
    return sequential(keras.Input((None, 3)), L.RNN(cells, return_sequences=True), L.RNN(L.LSTMCell(3))), [r.floats(2, 5, 3)]


@case
def other_layers(r):
    a = keras.Input((5, 4))
    outputs = [
        L.LeakyReLU(0.2)(a), L.ReLU(max_value=0.5)(a), L.ELU(0.7)(a), L.ThresholdedReLU(0.3)(a), L.PReLU()(a),
        L.Softmax()(a), L.BatchNormalization()(a), L.LayerNormalization()(a), L.Flatten()(a), L.Permute((2, 1))(a),
        L.Reshape((10, 2))(a), L.RepeatVector(2)(L.Flatten()(a)), L.Concatenate()([a, a]), L.Add()([a, a]),
        L.Multiply()([a, a]), L.Average()([a, a]), L.Activation("swish")(a), L.SpatialDropout1D(0.2)(a),
    ]
    return keras.Model(a, outputs), [r.floats(2, 5, 4)]


@case
def bidirectional(r):
    x = keras.Input((None, 3))
    y = L.Bidirectional(L.LSTM(4, return_sequences=True), merge_mode="sum")(x)
    z = L.Bidirectional(L.GRU(3, return_sequences=True), backward_layer=L.LSTM(3, go_backwards=True, return_sequences=True))(y)
    return keras.Model(x, [y, z]), [r.floats(2, 5, 3)]


@case
def shared(r):
    a, b = keras.Input((None, 3)), keras.Input((None, 3))
    layer = L.GRU(4, return_sequences=True)
    x, y = layer(a), layer(b)
    return keras.Model([a, b], [x, L.LSTM(2)(y)]), [r.floats(2, 5, 3), r.floats(2, 4, 3)]


def _cudnn(plain, cudnn):
    def build(r):
        first = sequential(keras.Input((None, 3)), plain(5, **({"reset_after": True} if plain is L.GRU else {})))
        randomize(first, r)
        second = sequential(keras.Input((None, 3)), cudnn(5))
        second.set_weights(hdf5_format._convert_rnn_weights(second.layers[0], first.get_weights()))
        return second, [r.floats(2, 5, 3)], first

    build.__name__ = cudnn.__name__
    return case(build)


_cudnn(L.LSTM, CuDNNLSTM)
_cudnn(L.GRU, CuDNNGRU)


def randomize(model, rng):
    for weight in model.weights:
        values = rng.floats(*weight.shape) * 0.6
        if "variance" in weight.name or "gamma" in weight.name:
            values = np.abs(values) + 0.3
        weight.assign(values)


def write(name):
    keras.backend.clear_session()
    rng = Rng(name)
    model, calls, *runs = CASES[name](rng)
    if not isinstance(calls[0], list):
        calls = [calls]
    if not model.built:
        model.build(calls[0][0].shape)
    if not runs:
        randomize(model, rng)
    written = []
    for call in calls:
        outputs = (runs or [model])[0].predict_on_batch(call if len(call) > 1 else call[0])
        outputs = outputs if isinstance(outputs, list) else [outputs]
        written.append({"inputs": [array(x) for x in call], "outputs": [array(y) for y in outputs]})
    model.save(MODELS / f"{name}.h5")
    return {"name": name, "calls": written}


def standalone():
    """As Keras 2.2 wrote a Sequential model: a list as its config, no cells in the names, texts of fixed length.

    Written by hand, because that version runs on no Python of today; the numbers are those of `hard_sigmoid`."""
    with h5py.File(MODELS / "hard_sigmoid.h5") as old, h5py.File(MODELS / "standalone.h5", "w") as new:
        config = json.loads(old.attrs["model_config"])
        layers = [layer for layer in config["config"]["layers"] if layer["class_name"] != "InputLayer"]
        layers[0]["config"]["batch_input_shape"] = [None, None, 3]
        new.attrs["keras_version"] = np.bytes_("2.2.4")
        new.attrs["backend"] = np.bytes_("tensorflow")
        new.attrs["model_config"] = np.bytes_(json.dumps({"class_name": "Sequential", "config": layers}))
        group = new.create_group("model_weights")
        names = [layer["config"]["name"] for layer in layers]
        group.attrs["layer_names"] = [np.bytes_(name) for name in names]
        for name in names:
            own = group.create_group(name)
            paths = []
            for path in old["model_weights"][name].attrs["weight_names"]:
                short = f"{name}/{path.split('/')[-1]}"
                own.create_dataset(short, data=old["model_weights"][name][path][()])
                paths.append(np.bytes_(short))
            own.attrs["weight_names"] = paths


def main():
    MODELS.mkdir(exist_ok=True)
    cases = [write(name) for name in CASES]
    standalone()
    cases.append({**next(case for case in cases if case["name"] == "hard_sigmoid"), "name": "standalone"})
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    (HERE / "keras2.json").write_text(f'{{"versions":{{"keras":"{keras.__version__}"}},"cases":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
