"""Models with convolutional LSTMs in training, whose inputs and states are dropped gate by gate: `conv_lstm.json` has runs
of `fit` of 52 updates, and `conv_lstm_*.keras` the models as they were before them. The data are those of runs.py."""

from pathlib import Path

import keras
import numpy as np
import runs
from oracle import write

HERE = Path(__file__).parent
K = keras.layers
STEPS = runs.STEPS


def line():
    """Places of zeros are masked; both are dropped, in two layers one upon the other."""
    x = keras.Input((STEPS, runs.FEATURES))
    y = K.Masking()(K.Reshape((STEPS, runs.FEATURES, 1))(x))
    y = K.ConvLSTM1D(3, 2, padding="same", dropout=0.2, recurrent_dropout=0.3, return_sequences=True, seed=21)(y)
    y = K.ConvLSTM1D(2, 2, padding="same", dropout=0.3, seed=22)(y)
    return keras.Model(x, K.Dense(2)(K.Dropout(0.1, seed=4)(K.Flatten()(y))))


def pictures():
    """Of the state alone, backwards; then of the input alone, with states from outside."""
    x = keras.Input((STEPS, runs.FEATURES))
    y = K.Reshape((STEPS, 2, 3, 2))(K.Dense(12)(x))
    layer = K.ConvLSTM2D(
        2, (2, 3), padding="same", recurrent_dropout=0.4, go_backwards=True, return_sequences=True, return_state=True, seed=23
    )
    y, h, c = layer(y)
    layer = K.ConvLSTM2D(2, 2, padding="same", dropout=0.25, activation="relu", recurrent_activation="hard_sigmoid", seed=24)
    y = layer(y, initial_state=[h, c])
    return keras.Model(x, K.Dense(2)(K.Flatten()(y)))


def all_or_nothing():
    """Keras takes no notice of a rate of 1."""
    x = keras.Input((STEPS, runs.FEATURES))
    y = K.Reshape((STEPS, runs.FEATURES, 1))(x)
    y = K.ConvLSTM1D(2, 2, strides=2, dropout=1.0, recurrent_dropout=0.2, return_sequences=True, seed=25)(y)
    y = K.ConvLSTM1D(2, 1, use_bias=False, dropout=0.2, recurrent_dropout=1.0, return_sequences=True, seed=26)(y)
    y = K.Reshape((STEPS, 1, 1, 2, 1))(y)
    y = K.ConvLSTM3D(1, (1, 1, 2), dropout=0.5, recurrent_dropout=0.5, seed=27)(y)
    return keras.Model(x, K.Dense(2)(K.Flatten()(y)))


RUNS = {"line": (line, 1 / 8), "pictures": (pictures, 1 / 16), "all_or_nothing": (all_or_nothing, 1 / 8)}


def case(name, dtype):
    keras.backend.set_floatx(dtype)
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    make, rate = RUNS[name]
    model = make()
    model.compile(keras.optimizers.SGD(rate, momentum=0.5), runs.MSE(dtype=dtype), jit_compile=False)
    model.save(HERE / f"conv_lstm_{name}_{dtype}.keras")
    updates, x, y = runs.Updates(), runs.features().astype(dtype), runs.numbers().astype(dtype)
    history = model.fit(
        x, y, batch_size=4, epochs=13, verbose=0, shuffle=False, validation_split=0.2, callbacks=[updates]
    )
    to = np.dtype(dtype).type
    return {
        "name": f"{name}-{dtype}", "dtype": dtype, "run": name, "rate": rate,
        "losses": np.array(updates.losses, dtype),
        "prediction": np.asarray(model(x[:3], training=False)).astype(dtype),
        "history": [{"name": key, "values": np.array(values, to)} for key, values in history.history.items()],
    }  # fmt: skip


def main():
    write("conv_lstm", [case(name, dtype) for dtype in ["float32", "float64"] for name in RUNS], HERE)
    keras.backend.set_floatx("float32")


if __name__ == "__main__":
    main()
