"""Layers over time whose states are pictures, and what Keras computes with them.

`conv_lstm.py` writes conv_lstm/, conv_lstm.json and conv_lstm_doubles.json; with KERAS_2 in the environment those of
tf_keras, in conv_lstm_keras2/; `conv_lstm.py FOLDER FIRST LAST` random ones outside, by their seeds. Versions:
requirements.txt. Gradients are those of a weighted sum of all outputs.
"""

import pathlib
import random
import sys

import convolutions
from convolutions import write
from masked_graphs import Numbers
from random_graphs import HERE, KERAS_2, L, array, call, dump, gradients, keras, np, randomize

CASES = convolutions.CASES
CASES.clear()
SIZES = {1: (6,), 2: (5, 4), 3: (3, 4, 3)}


def case(function):
    CASES[function.__name__] = function
    return function


def _options(rank):
    """Windows, strides, gaps, activations, what comes out."""
    make = getattr(L, f"ConvLSTM{rank}D")

    def build(r):
        x = keras.Input((4, *SIZES[rank], 2))
        outputs = [
            make(3, 2)(x),
            make(2, (3, 2, 2)[:rank], padding="same", return_sequences=True, activation="relu", use_bias=False)(x),
            make(3, (2, 1, 3)[:rank], strides=(2, 1, 1)[:rank], go_backwards=True, recurrent_activation="hard_sigmoid")(x),
            make(2, 2, dilation_rate=(2, 1, 1)[:rank], padding="same", return_sequences=True, go_backwards=True, unroll=True)(x),
            make(4, 1, activation="softmax", recurrent_activation="tanh", dropout=0.3, recurrent_dropout=0.2, seed=5,
                 unit_forget_bias=False)(x),
        ]
        y, h, c = make(2, 3, strides=2, padding="same", return_sequences=True, return_state=True)(x)
        return keras.Model(x, outputs + [y, h, c]), [r.floats(2, 4, *SIZES[rank], 2)]

    build.__name__ = f"conv_lstm{rank}d"
    return case(build)


for rank in (1, 2, 3):
    _options(rank)


@case
def masks(r):
    """Of steps, and of places; the output before is repeated, or zero; NaN under a mask."""
    x, m, n = keras.Input((4, 5, 3, 2)), keras.Input((4,), dtype="bool"), keras.Input((4, 5), dtype="bool")
    h = L.Masking()(x)
    make = lambda *given, **named: L.ConvLSTM2D(3, 2, *given, padding="same", **named)
    a = make(return_sequences=True)(h)
    outputs = [
        a, make(go_backwards=True)(h), make(return_sequences=True, zero_output_for_mask=True)(h),
        make(return_sequences=True)(x, mask=m), make(zero_output_for_mask=True)(x, mask=m),
        make(return_sequences=True, go_backwards=True)(x, mask=n), make()(a),
        L.ConvLSTM2D(2, 3)(x, mask=m),
    ]
    mask = np.array([[0, 1, 1, 0], [1, 0, 1, 1], [0, 0, 0, 0]], "bool")
    places = np.array(r.rng.random((3, 4, 5)) < 0.6)
    values = r.floats(3, 4, 5, 3, 2)
    values[0, 1] = 0
    values[1, 2, :3] = 0
    return keras.Model([x, m, n], outputs), [values, mask, places]


@case
def states(r):
    """An encoder that hands its state to a decoder; what begins with masked steps from a given state."""
    x, y, s, m = keras.Input((3, 4, 4, 2)), keras.Input((4, 4, 4, 1)), keras.Input((4, 4, 3)), keras.Input((4,), dtype="bool")
    _, h, c = L.ConvLSTM2D(3, 3, padding="same", return_state=True)(x)
    decoder = L.ConvLSTM2D(3, 2, padding="same", return_sequences=True)
    shared = decoder(y, initial_state=[h, c])
    a = L.ConvLSTM2D(3, 2, padding="same", return_sequences=True)(y, initial_state=[s, h], mask=m)
    b, bh, bc = L.ConvLSTM2D(3, 1, return_state=True)(y, initial_state=[s, s], mask=m)
    mask = np.array([[0, 1, 1, 0], [1, 0, 1, 1]], "bool")
    return keras.Model([x, y, s, m], [shared, decoder(y, initial_state=[s, c]), a, b, bh, bc]), [
        r.floats(2, 3, 4, 4, 2), r.floats(2, 4, 4, 4, 1), r.floats(2, 4, 4, 3), mask]


@case
def steps(r):
    """What runs step by step, behind and before other layers."""
    x = keras.Input((None, 5, 5, 1))
    y = L.ConvLSTM2D(3, 3, padding="same", return_sequences=True)(x)
    y = L.ConvLSTM2D(2, 2, strides=2, return_sequences=True, activation="relu")(L.BatchNormalization()(y))
    z = L.LSTM(3, return_sequences=True)(L.TimeDistributed(L.Flatten())(y))
    return keras.Model(x, [z, y]), [r.floats(2, 4, 5, 5, 1)]


@case
def masked_steps(r):
    x = keras.Input((None, 4, 2))
    y = L.ConvLSTM1D(3, 2, padding="same", return_sequences=True)(L.Masking()(x))
    last, h, c = L.ConvLSTM1D(2, 3, return_state=True, zero_output_for_mask=False)(x)
    values = r.floats(2, 5, 4, 2)
    values[0, 1] = 0
    values[1, 2, :3] = 0
    return keras.Model(x, [y, L.TimeDistributed(L.Flatten())(y)]), [values]


@case
def decoder_steps(r):
    """A decoder that begins with states, step by step; a mask from its first step on."""
    y, s, t, m = keras.Input((None, 4, 4, 1)), keras.Input((4, 4, 3)), keras.Input((4, 4, 3)), keras.Input((None,), dtype="bool")
    a = L.ConvLSTM2D(3, 2, padding="same", return_sequences=True)(y, initial_state=[s, t], mask=m)
    mask = np.array([[0, 1, 1, 0], [1, 0, 1, 1]], "bool")
    return keras.Model([y, s, t, m], a), [r.floats(2, 4, 4, 4, 1), r.floats(2, 4, 4, 3), r.floats(2, 4, 4, 3), mask]


@case
def channels_before_sizes(r):
    """TensorFlow has no such convolution over fewer dimensions on a CPU."""
    x = keras.Input((2, 2, 3, 4, 3))
    first = {"data_format": "channels_first"}
    a, h, c = L.ConvLSTM3D(3, 2, strides=(1, 2, 2), padding="same", return_state=True, return_sequences=True, **first)(x)
    b = L.ConvLSTM3D(3, 3, strides=(1, 2, 2), padding="same", **first)(x, initial_state=[h, c])
    return keras.Model(x, [a, h, c, b, L.ConvLSTM3D(2, 2, dilation_rate=(1, 2, 1), go_backwards=True, **first)(x)]), [
        r.floats(2, 2, 2, 3, 4, 3)]


# Those that tell tf_keras from Keras 3, if any do.
OF_KERAS_2 = ["conv_lstm1d", "conv_lstm2d", "conv_lstm3d", "steps"]


def doubles(folder):
    """A model of float64, with all its digits."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    keras.backend.set_floatx("float64")
    x = keras.Input((3, 5, 4, 2))
    y = L.ConvLSTM2D(3, 2, padding="same", return_sequences=True, bias_initializer="glorot_uniform")(x)
    outputs = [y, *L.ConvLSTM2D(2, 3, return_state=True, activation="softsign", go_backwards=True)(y)]
    model = keras.Model(x, outputs)
    inputs = np.random.default_rng(5).uniform(-1, 1, (2, 3, 5, 4, 2))
    exact = lambda a: {"shape": list(a.shape), "data": [float(v) for v in np.asarray(a).ravel()]}
    model.save(str(folder / "doubles.keras"))
    keras.backend.set_floatx("float32")
    return {"name": "doubles", "input": exact(inputs), "outputs": [exact(y) for y in model(inputs)]}


def random_case(seed):
    """One to three layers with random options, masks of steps or places, states handed on."""
    r, rng = Numbers(str(seed)), random.Random(seed)
    rank, steps = rng.choice([1, 1, 2, 2, 3]), rng.choice([1, 2, 4])
    sizes = [rng.choice([3, 4, 5]) for _ in range(rank)]
    channels = rng.choice([1, 2, 3])
    first = rank == 3 and rng.random() < 0.1
    frame = [channels, *sizes] if first else [*sizes, channels]
    x = keras.Input((rng.choice([None, steps]), *frame))
    values = r.floats(2, steps, *frame)
    inputs, given, outputs = [x], [values], []
    masking = rng.random()
    h, mask = x, None
    if masking < 0.25 and not first:
        h = L.Masking()(x)
        values[r.rng.random(values.shape[:-1]) < 0.3] = 0
    elif masking < 0.5:
        mask = keras.Input((None,), dtype="bool")
        inputs.append(mask)
        given.append(np.array(r.rng.random((2, steps)) < 0.6))
    for _ in range(rng.choice([1, 2, 3])):
        options = dict(
            filters=rng.choice([1, 2, 3]), kernel_size=[rng.choice([1, 2, 3]) for _ in range(rank)],
            padding="same" if masking < 0.25 else rng.choice(["same", "valid"]),
            activation=rng.choice(["tanh", "relu", "linear", "softsign"]),
            recurrent_activation=rng.choice(["sigmoid", "hard_sigmoid", "tanh"]),
            use_bias=rng.random() < 0.8, return_sequences=rng.random() < 0.6, return_state=rng.random() < 0.5,
            go_backwards=rng.random() < 0.3, zero_output_for_mask=rng.random() < 0.3,
        )
        how = rng.random()
        if how < 0.25 and masking >= 0.25:
            options["strides"] = [rng.choice([1, 2]) for _ in range(rank)]
        elif how < 0.5:
            options["dilation_rate"] = [rng.choice([1, 2]) if options["padding"] == "same" else 1 for _ in range(rank)]
        if first:
            options["data_format"] = "channels_first"
        layer = getattr(L, f"ConvLSTM{rank}D")(**options)
        named = {} if mask is None or rng.random() < 0.3 else {"mask": mask}
        out = layer(h, **named)
        if options["return_state"]:
            outputs += out
            if rng.random() < 0.5:
                options = dict(options, go_backwards=rng.random() < 0.3, return_sequences=True, return_state=False)
                outputs.append(getattr(L, f"ConvLSTM{rank}D")(**options)(h, initial_state=out[1:], **named))
        else:
            outputs.append(out)
    model = keras.Model(inputs, outputs)
    randomize(model, seed)
    return model, given


def main():
    if len(sys.argv) > 1:
        folder = pathlib.Path(sys.argv[1])
        folder.mkdir(exist_ok=True)
        cases = []
        for seed in range(int(sys.argv[2]), int(sys.argv[3])):
            keras.backend.clear_session()
            model, inputs = random_case(seed)
            calls = [{"inputs": [array(x) for x in inputs], "outputs": [array(y) for y in call(model, inputs)]}]
            model.save(str(folder / f"{seed}.keras"))
            cases.append({"name": str(seed), "calls": calls, "gradients": gradients(model, inputs, seed)})
        dump(folder / "random.json", cases)
        return
    folder = HERE / ("conv_lstm_keras2" if KERAS_2 else "conv_lstm")
    folder.mkdir(exist_ok=True)
    if not KERAS_2:
        dump(HERE / "conv_lstm_doubles.json", [doubles(folder)])
    dump(HERE / f"{folder.name}.json", [write(name, folder) for name in (OF_KERAS_2 if KERAS_2 else CASES)])


if __name__ == "__main__":
    main()
