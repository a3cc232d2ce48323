"""Models with SpectralNormalization in training: `spectral.json` has runs of `fit` of 52 updates, and `spectral_*.keras` the
models as they were before them; `spectral_twice.keras` and `spectral_steps.keras` are of models whose kernels Keras divides
more than once in a call. The data are those of runs.py."""

from pathlib import Path

import keras
import numpy as np
import runs
from oracle import write

HERE = Path(__file__).parent
K = keras.layers
STEPS = runs.STEPS
SN = K.SpectralNormalization


def chain():
    """After recurrent layers and before them, one of the kernels all zeros, which stays as it is."""
    x = keras.Input((STEPS, runs.FEATURES))
    y = SN(K.Conv1D(4, 3, padding="causal", activation="tanh"), power_iterations=3)(x)
    y = SN(K.Dense(5, activation="tanh"), name="tall")(K.GRU(4)(y))
    zeros = SN(K.Dense(3, kernel_initializer="zeros", use_bias=False), name="zeros")(y)
    return keras.Model(x, SN(K.Dense(2), name="last")(K.Concatenate()([y, zeros])))


def pictures():
    """Kernels of other numbers of dimensions; one that isn't trained, but normalized all the same; in a model within."""
    x = keras.Input((STEPS, runs.FEATURES))
    y = SN(K.EinsumDense("abc,cde->abde", output_shape=(None, 3, 2), bias_axes="d"))(x)
    y = SN(K.Conv2D(3, (2, 2), padding="same", activation="relu"), power_iterations=2)(y)
    inner_x = keras.Input((STEPS, 9))
    inner_y = SN(K.DepthwiseConv1D(2, depth_multiplier=2), name="deep")(inner_x)
    inner = keras.Model(inner_x, K.BatchNormalization()(inner_y), name="inner")
    y = K.LSTM(4)(inner(K.Reshape((STEPS, 9))(y)))
    frozen = SN(K.Dense(6), name="frozen")
    y = K.Dropout(0.2, seed=3)(frozen(y))
    frozen.trainable = False
    return keras.Model(x, K.Dense(2)(y))


def ruled():
    """With regularizers, a constraint, and an optimizer that decays what it trains."""
    x = keras.Input((STEPS, runs.FEATURES))
    rules = {"kernel_regularizer": keras.regularizers.L2(0.01), "kernel_constraint": keras.constraints.MaxNorm(0.4)}
    y = K.SimpleRNN(4)(SN(K.Dense(4, **rules), name="ruled")(x))
    return keras.Model(x, SN(K.Dense(2), name="last")(y))


def twice():
    x, layer = keras.Input((STEPS, runs.FEATURES)), SN(K.Dense(runs.FEATURES), name="twice")
    return keras.Model(x, layer(layer(x)))


def steps():
    return keras.Sequential([keras.Input((STEPS, runs.FEATURES)), K.TimeDistributed(SN(K.Dense(2)), name="steps")])


def sgd():
    return keras.optimizers.SGD(1 / 32, momentum=0.5)


RUNS = {"chain": (chain, sgd), "pictures": (pictures, sgd), "ruled": (ruled, lambda: keras.optimizers.AdamW(1 / 64, 0.125))}


def case(name, dtype):
    keras.backend.set_floatx(dtype)
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    make, optimizer = RUNS[name]
    model = make()
    model.compile(optimizer(), runs.MSE(dtype=dtype), jit_compile=False)
    model.save(HERE / f"spectral_{name}_{dtype}.keras")
    updates, x, y = runs.Updates(), runs.features().astype(dtype), runs.numbers().astype(dtype)
    history = model.fit(
        x, y, batch_size=4, epochs=13, verbose=0, shuffle=False, validation_split=0.2, callbacks=[updates]
    )
    to = np.dtype(dtype).type
    return {
        "name": f"{name}-{dtype}", "dtype": dtype, "run": name,
        "losses": np.array(updates.losses, dtype),
        "prediction": np.asarray(model(x[:3], training=False)).astype(dtype),
        "history": [{"name": key, "values": np.array(values, to)} for key, values in history.history.items()],
    }  # fmt: skip


def main():
    write("spectral", [case(name, dtype) for dtype in ["float32", "float64"] for name in RUNS], HERE)
    keras.backend.set_floatx("float32")
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    for make in [twice, steps]:
        make().save(HERE / f"spectral_{make.__name__}.keras")


if __name__ == "__main__":
    main()
