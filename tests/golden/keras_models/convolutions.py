"""Convolutions, pooling, padding, cropping and upsampling over time, and what Keras computes with them.

`convolutions.py` writes convolutions/ and convolutions.json; with KERAS_2 in the environment those of tf_keras, in
convolutions_keras2/. Versions: requirements.txt. Gradients are those of a weighted sum of all outputs.
"""

import sys

from masked_graphs import Numbers
from random_graphs import HERE, KERAS_2, L, array, call, dump, gradients, keras, np, randomize

CASES = {}

# (strides, dilation, groups)
STANDS = [(1, 1, 1), (2, 1, 1), (3, 1, 2), (1, 2, 1), (1, 3, 2)]
ACTIVATIONS = ["tanh", "linear", "relu", "softmax", "sigmoid"]


def case(function):
    CASES[function.__name__] = function
    return function


def _conv1d(padding):
    def build(r):
        x = keras.Input((None, 4) if padding == "same" else (8, 4))
        outputs = []
        for i, (strides, dilation, groups) in enumerate(STANDS):
            layer = L.Conv1D(2 * groups + 1 * (groups == 1), 1 + (i + 2) % 4, strides=strides, dilation_rate=dilation,
                             groups=groups, padding=padding, activation=ACTIVATIONS[i], use_bias=i != 2)
            outputs.append(layer(x))
        return keras.Model(x, outputs), [r.floats(3, 8, 4)]

    build.__name__ = f"conv1d_{padding}"
    return case(build)


for padding in ["valid", "same", "causal"]:
    _conv1d(padding)


@case
def cnn_lstm(r):
    """Convolutions between other layers: a mask ends at the first, a window longer than the sequence."""
    x = keras.Input((6, 3))
    y = L.Conv1D(5, 9, padding="same", activation="relu")(L.Masking()(x))
    y = L.Conv1D(4, 3, dilation_rate=2, padding="causal")(y)
    z = L.LSTM(3, return_sequences=True)(y)
    shared = L.Conv1D(3, 2, padding="causal", activation="gelu")
    return keras.Model(x, [z, shared(shared(z)), L.GRU(2)(shared(x))]), [r.masked(3, 6, 3)]


@case
def causal_chain(r):
    """What runs step by step."""
    x = keras.Input((None, 3))
    y = L.Conv1D(4, 3, padding="causal", activation="relu")(x)
    y = L.Conv1D(6, 2, dilation_rate=3, padding="causal", groups=2, activation="tanh")(y)
    y = L.Conv1D(5, 1)(y)
    z = L.GRU(3, return_sequences=True)(y)
    return keras.Model(x, [L.Dense(2)(z), L.Add()([L.Dense(6)(z), L.Conv1D(6, 4, padding="causal")(y)])]), [r.floats(3, 7, 3)]


@case
def each_step(r):
    """Inside TimeDistributed, and inside a model within."""
    x = keras.Input((4, 7, 2))
    inner_input = keras.Input((7, 2))
    inner = keras.Model(inner_input, L.Flatten()(L.Conv1D(2, 3, strides=2, activation="tanh")(inner_input)))
    y = L.TimeDistributed(L.Conv1D(3, 3, padding="causal", activation="relu"))(x)
    z = L.TimeDistributed(inner)(x)
    return keras.Model(x, [y, L.LSTM(2, return_sequences=True)(z)]), [r.floats(3, 4, 7, 2)]


@case
def channels_first(r):
    """Time as the last axis."""
    x = keras.Input((4, 8))
    outputs = [
        L.Conv1D(3, 3, data_format="channels_first", activation="tanh")(x),
        L.Conv1D(6, 2, strides=2, padding="same", data_format="channels_first", groups=1)(x),
        L.Conv1D(5, 2, dilation_rate=2, padding="causal", data_format="channels_first")(x),
    ]
    return keras.Model(x, outputs), [r.floats(3, 4, 8)]


def write(name, folder):
    keras.backend.clear_session()
    model, inputs = CASES[name](Numbers(name))
    randomize(model, len(name))
    calls = [{"inputs": [array(x) for x in inputs], "outputs": [array(y) for y in call(model, inputs)]}]
    model.save(str(folder / f"{name}.{'h5' if KERAS_2 else 'keras'}"))
    return {"name": name, "calls": calls, "gradients": gradients(model, inputs, len(name))}


def main():
    folder = HERE / ("convolutions_keras2" if KERAS_2 else "convolutions")
    folder.mkdir(exist_ok=True)
    dump(HERE / f"{folder.name}.json", [write(name, folder) for name in CASES if name in sys.argv[1:] or not sys.argv[1:]])


if __name__ == "__main__":
    main()
