"""Activity regularizers: runs of `fit`, as in runs.py, of layers whose outputs are regularized.

Writes activity.json, and two of the models before they were trained: activity_NAME.keras. The data are those of runs.py. 14 rows are trained on in batches of 4, so that the last batch of an epoch is a smaller one.
"""

from pathlib import Path

import keras
import models
import numpy as np
import runs
from oracle import write

HERE = Path(__file__).parent
K = keras.layers
R = keras.regularizers
STEPS, FEATURES = runs.STEPS, runs.FEATURES


def stack():
    return runs.sequential(
        K.LSTM(5, return_sequences=True, activity_regularizer=R.L2(0.125)),
        K.GRU(4, activity_regularizer=R.L1L2(0.0625, 0.25)),
        K.Dense(2, activity_regularizer="l1"),
    )


def text():
    """Masked steps are regularized, too; in both directions, before they are merged."""
    return runs.sequential(
        K.Embedding(10, 4, mask_zero=True, activity_regularizer=R.L2(0.5)),
        K.Bidirectional(K.LSTM(4, return_sequences=True, activity_regularizer=R.L1(0.03125)), merge_mode="mul"),
        K.Bidirectional(
            K.GRU(3, activity_regularizer=R.L2(0.25)),
            backward_layer=K.LSTM(3, go_backwards=True, activity_regularizer=R.L1(0.125)),
        ),
        K.Dense(2),
    )


def graph():
    inner = runs.sequential(
        keras.Input((STEPS, 4)), K.Dense(4, activity_regularizer=R.L2(0.25), name="inside"), K.Dense(3), K.ReLU()
    )
    inner.name = "inner"
    shared = K.GRU(4, return_sequences=True, activity_regularizer=R.L2(0.125), name="shared")
    frozen = K.Dense(4, activity_regularizer=R.L1(0.0625), name="frozen")
    x = keras.Input((STEPS, FEATURES), name="x")
    y = K.Masking(name="masking")(x)
    y = K.Conv1D(FEATURES, 2, padding="causal", activity_regularizer=R.L1L2(0.03125, 0.0625), name="conv")(y)
    # Two calls, two penalties.
    y = K.Add(name="add")([shared(x), shared(y)])
    y = frozen(y)
    # Of each step, past the regularizer.
    y = K.TimeDistributed(K.Dense(4, activity_regularizer=R.L2(8.0)), name="each")(y)
    y = K.ActivityRegularization(l1=0.03125, l2=0.125, name="activity")(y)
    y = inner(y)
    # Of its states, too.
    last, h, c = K.LSTM(3, return_state=True, activity_regularizer=R.L2(0.25), name="lstm")(y)
    y = K.Concatenate(name="all")([last, h, c])
    model = keras.Model(x, K.Dense(2, name="dense")(y))
    frozen.trainable = False
    return model


def orthogonal():
    regularizer = R.OrthogonalRegularizer(0.03125, mode="columns")
    return runs.sequential(K.GRU(4), K.Dense(5, activity_regularizer=regularizer), K.Dense(2))


RUNS = {
    "stack": (stack, runs.features),
    "text": (text, runs.ids),
    "graph": (graph, models.padded),
    "orthogonal": (orthogonal, runs.features),
}


def case(name, dtype):
    keras.backend.set_floatx(dtype)
    keras.backend.clear_session()
    make, x = RUNS[name]
    keras.utils.set_random_seed(7)
    model = make()
    rate = 1 / 128 if name == "graph" else 0.125
    model.compile(keras.optimizers.SGD(rate, momentum=0.5), runs.MSE(dtype=dtype), jit_compile=False)
    given = x()
    given = given.astype(dtype) if given.dtype.kind == "f" else given.astype("int32")
    if dtype == "float32" and name in ["text", "graph"]:
        model.build((None, *given.shape[1:]))
        model.save(HERE / f"activity_{name}.keras")
    updates = runs.Updates()
    history = model.fit(
        given, runs.numbers().astype(dtype), batch_size=4, epochs=8, verbose=0, callbacks=[updates],
        shuffle=False, validation_split=0.3,
    )  # fmt: skip
    to = np.dtype(dtype).type
    return {
        "name": f"{name}-{dtype}", "dtype": dtype, "run": name,
        "losses": np.array(updates.losses, dtype),
        "prediction": np.asarray(model(given[:3], training=False)).astype(dtype),
        "history": [{"name": key, "values": np.array(values, to)} for key, values in history.history.items()],
    }  # fmt: skip


def main():
    f32 = [case(name, "float32") for name in RUNS]
    # Keras can't do an orthogonal one of outputs in f64.
    f64 = [case(name, "float64") for name in RUNS if name != "orthogonal"]
    write("activity", f32 + f64, HERE)
    keras.backend.set_floatx("float32")


if __name__ == "__main__":
    main()
