"""Whole models in training: dropout and batch normalization, by `fit` and call by call.

`models.json` has runs of `fit` of 52 updates, `noise.json` what layers of noise give in their first two calls of
training. `text.keras` and `pictures.keras` are models as they were before their runs: the test loads them, too.
The data are those of runs.py.
"""

from pathlib import Path

import keras
import numpy as np
import runs
from oracle import write

HERE = Path(__file__).parent
K = keras.layers
STEPS, FEATURES = runs.STEPS, runs.FEATURES


def padded(rows=runs.ROWS):
    """The last steps of some rows are zeros."""
    x = runs.features(rows)
    b, t, _ = np.indices(x.shape)
    return np.where(t < 2 + b % 5, x + 1 / 16, 0)


def text(seed=None):
    # Made in this order, in which they take their seeds.
    lstm = K.LSTM(5, dropout=0.2, recurrent_dropout=0.1, seed=seed)
    drop = K.Dropout(0.3, seed=seed and seed + 1)
    return runs.sequential(K.Embedding(10, 4, mask_zero=True), lstm, drop, K.Dense(2))


def pictures(seed=None):
    x = keras.Input((STEPS, FEATURES))
    y = K.Conv1D(4, 2, activation="relu")(x)
    y = K.BatchNormalization(momentum=0.9)(y)
    y = K.SpatialDropout1D(0.2, seed=seed)(y)
    y = K.LSTM(7, dropout=0.2, return_sequences=True, seed=seed)(y)
    y = K.BatchNormalization(axis=1, scale=False)(y)
    y = K.Flatten()(y)
    y = K.Dropout(0.4, seed=seed)(y)
    return keras.Model(x, K.Dense(2)(y))


def masked():
    x = keras.Input((STEPS, FEATURES))
    y = K.Masking()(x)
    y = K.LSTM(4, return_sequences=True)(y)
    y = K.BatchNormalization(momentum=0.8, epsilon=0.01)(y)
    y = K.Bidirectional(K.GRU(3, dropout=0.2, recurrent_dropout=0.3))(y)
    z = K.Conv1D(3, 3)(x)
    z = K.BatchNormalization(center=False)(z)
    z = K.GlobalMaxPooling1D()(z)
    y = K.Concatenate()([y, z])
    y = K.Dropout(0.25)(y)
    return keras.Model(x, K.Dense(2)(y))


def within():
    """Noise within models and TimeDistributed, a shared layer, one that isn't trained."""
    inner = runs.sequential(keras.Input((FEATURES,)), K.Dense(4), K.Dropout(0.2), K.BatchNormalization(momentum=0.7))
    shared = K.SimpleRNN(4, dropout=0.3)
    frozen = K.BatchNormalization()
    x = keras.Input((STEPS, FEATURES))
    y = K.TimeDistributed(inner)(x)
    y = K.TimeDistributed(K.Dropout(0.1))(y)
    y = K.Add()([shared(y), shared(K.GaussianNoise(0.1)(y))])
    frozen.trainable = False
    y = frozen(y)
    return keras.Model(x, K.Dense(2)(y))


RUNS = {
    "text": (text, runs.ids, {"validation_split": 0.2}),
    "pictures": (pictures, runs.features, {"validation_split": 0.2, "shuffle": True, "rate": 1 / 128}),
    "masked": (masked, padded, {"validation_split": 0.2}),
    "within": (within, runs.features, {"validation_split": 0.2, "shuffle": True}),
}


def case(name, dtype, file=False):
    keras.backend.set_floatx(dtype)
    keras.backend.clear_session()
    make, x, options = RUNS[name]
    options = dict(options)
    keras.utils.set_random_seed(7)
    model = make(seed=11) if file else make()
    # Numbers that are exact in f32, as Keras keeps some of them.
    model.compile(keras.optimizers.SGD(options.pop("rate", 0.125), momentum=0.5), runs.MSE(dtype=dtype), jit_compile=False)
    given = x()
    given = given.astype(dtype) if given.dtype.kind == "f" else given.astype("int32")
    if file:
        model.build((None, *given.shape[1:]))
        model.save(HERE / f"{name}.keras")
    updates = runs.Updates()
    options = {"shuffle": False, **options}
    history = model.fit(
        given, runs.numbers().astype(dtype), batch_size=4, epochs=13, verbose=0, callbacks=[updates], **options
    )
    to = np.dtype(dtype).type
    return {
        "name": f"{name}{'-file' if file else ''}-{dtype}", "dtype": dtype, "run": name, "file": file,
        "losses": np.array(updates.losses, dtype),
        "prediction": np.asarray(model(given[:3], training=False)).astype(dtype),
        "history": [{"name": key, "values": np.array(values, to)} for key, values in history.history.items()],
    }  # fmt: skip


NOISE = {
    "Dropout": {"rate": 0.4},
    "Dropout of a shape": {"rate": 0.4, "noise_shape": (None, 1, FEATURES)},
    "Dropout of a shorter shape": {"rate": 0.4, "noise_shape": (FEATURES,)},
    "Dropout of all": {"rate": 1.0},
    "Dropout of nothing": {"rate": 0.0},
    "SpatialDropout1D": {"rate": 0.4},
    "GaussianDropout": {"rate": 0.4},
    "GaussianNoise": {"stddev": 0.4},
    "AlphaDropout": {"rate": 0.4},
    "AlphaDropout of a shape": {"rate": 0.4, "noise_shape": (None, STEPS, 1)},
}


def noise(name, dtype):
    """Two calls in training, and the gradient of the second one's by the input."""
    import tensorflow as tf

    keras.backend.set_floatx(dtype)
    keras.backend.clear_session()
    layer = getattr(K, name.split(" ")[0])(seed=21, **NOISE[name])
    x = tf.constant(runs.features(3).astype(dtype))
    first = layer(x, training=True)
    with tf.GradientTape() as tape:
        tape.watch(x)
        second = layer(x, training=True)
        sum = tf.reduce_sum(second * tf.cast(tf.reshape(tf.range(tf.size(x)), x.shape), dtype))
    d = tape.gradient(sum, x)
    options = dict(NOISE[name])
    return {
        "name": f"{name}-{dtype}", "dtype": dtype, "layer": name.split(" ")[0],
        "rate": options.pop("rate", options.pop("stddev", 0)), "noise_shape": options.get("noise_shape"),
        "first": np.asarray(first), "second": np.asarray(second),
        "d": np.zeros(x.shape, dtype) if d is None else np.asarray(d).astype(dtype),
    }  # fmt: skip


def main():
    files = [case("text", "float32", True), case("pictures", "float32", True)]
    by_hand = [case(name, dtype) for dtype in ["float32", "float64"] for name in RUNS]
    write("models", files + by_hand, HERE)
    write("noise", [noise(name, dtype) for dtype in ["float32", "float64"] for name in NOISE], HERE)
    keras.backend.set_floatx("float32")


if __name__ == "__main__":
    main()
