"""Models with attention in training, whose weights are dropped: `attention.json` has runs of `fit` of 52 updates, and
`attention_*.keras` the models as they were before them. The data are those of runs.py."""

from pathlib import Path

import keras
import models
import numpy as np
import runs
from oracle import write

HERE = Path(__file__).parent
K = keras.layers


def dot():
    """Padded words, a weight for the scores, and the weights themselves among what is computed."""
    x = keras.Input((runs.STEPS,), dtype="int32")
    y = K.LSTM(5, return_sequences=True)(K.Embedding(10, 4, mask_zero=True)(x))
    attention = K.Attention(use_scale=True, dropout=0.3, seed=11)
    y, scores = attention([y, y], return_attention_scores=True)
    y = K.Concatenate()([K.GRU(3)(y), K.Flatten()(scores)])
    return keras.Model(x, K.Dense(2)(y))


def additive():
    x = keras.Input((runs.STEPS, runs.FEATURES))
    y = K.GRU(4, return_sequences=True, dropout=0.2, seed=3)(x)
    z = K.Dense(4)(x)
    y = K.AdditiveAttention(dropout=0.4, seed=12)([y, z, y], use_causal_mask=True)
    y = K.Attention(score_mode="concat", dropout=0.2, seed=13)([y, z])
    return keras.Model(x, K.Dense(2)(K.Dropout(0.1, seed=4)(K.Flatten()(y))))


def heads():
    x = keras.Input((runs.STEPS, runs.FEATURES))
    y = K.Masking()(x)
    y = K.LSTM(4, return_sequences=True)(y)
    y, scores = K.MultiHeadAttention(2, 3, dropout=0.3, seed=14)(y, y, return_attention_scores=True)
    z = K.MultiHeadAttention(3, 2, value_dim=4, dropout=0.2, seed=15)(y, x, use_causal_mask=True)
    y = K.Concatenate()([K.Flatten()(y), K.Flatten()(z), K.Flatten()(scores)])
    return keras.Model(x, K.Dense(2)(y))


def groups():
    x = keras.Input((runs.STEPS, runs.FEATURES))
    y = K.SimpleRNN(4, return_sequences=True)(x)
    y, scores = K.GroupQueryAttention(3, 4, 2, dropout=0.3, seed=16)(y, y, return_attention_scores=True)
    y = K.Concatenate()([K.Flatten()(y), K.Flatten()(scores)])
    return keras.Model(x, K.Dense(2)(y))


RUNS = {
    "dot": (dot, runs.ids, 1 / 8),
    "additive": (additive, runs.features, 1 / 16),
    "heads": (heads, models.padded, 1 / 32),
    "groups": (groups, runs.features, 1 / 16),
}


def case(name, dtype):
    keras.backend.set_floatx(dtype)
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    make, x, rate = RUNS[name]
    model = make()
    model.compile(keras.optimizers.SGD(rate, momentum=0.5), runs.MSE(dtype=dtype), jit_compile=False)
    model.save(HERE / f"attention_{name}_{dtype}.keras")
    given = x()
    given = given.astype(dtype) if given.dtype.kind == "f" else given.astype("int32")
    updates, y = runs.Updates(), runs.numbers().astype(dtype)
    history = model.fit(
        given, y, batch_size=4, epochs=13, verbose=0, shuffle=False, validation_split=0.2, callbacks=[updates]
    )
    to = np.dtype(dtype).type
    return {
        "name": f"{name}-{dtype}", "dtype": dtype, "run": name, "rate": rate,
        "losses": np.array(updates.losses, dtype),
        "prediction": np.asarray(model(given[:3], training=False)).astype(dtype),
        "history": [{"name": key, "values": np.array(values, to)} for key, values in history.history.items()],
    }  # fmt: skip


def main():
    write("attention", [case(name, dtype) for dtype in ["float32", "float64"] for name in RUNS], HERE)
    keras.backend.set_floatx("float32")


if __name__ == "__main__":
    main()
