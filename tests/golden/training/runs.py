"""Whole training runs by `fit`: the running mean of the loss after each update, and the history.

The data are whole numbers over 8, by formulas that the test repeats; the weights come from seeds.
"""

from pathlib import Path

import keras
import numpy as np
from oracle import write

HERE = Path(__file__).parent
K = keras.layers
ROWS, STEPS, FEATURES = 20, 6, 3


def features(rows=ROWS):
    b, t, f = np.indices((rows, STEPS, FEATURES))
    return (((5 * b + 3 * t + 7 * f + b * t) % 17) - 8) / 8


def ids(rows=ROWS):
    """Padded with zeros at the end."""
    b, t = np.indices((rows, STEPS))
    return np.where(t < 2 + b % 5, 1 + (3 * b + 5 * t) % 9, 0)


def numbers(rows=ROWS, width=2):
    b, k = np.indices((rows, width))
    return (((3 * b + 5 * k) % 11) - 5) / 8


def classes(rows=ROWS):
    return np.arange(rows) * 7 % 3


def step_classes(rows=ROWS):
    b, t = np.indices((rows, STEPS))
    return (b + 2 * t) % 3


def weights(rows=ROWS):
    return (1 + np.arange(rows) % 4) / 4


def sequential(*layers):
    return keras.Sequential(list(layers))


def two_heads():
    x = keras.Input((STEPS, FEATURES))
    h = K.GRU(5)(x)
    outputs = [K.Dense(2, name="value")(h), K.Dense(3, name="kind")(h)]
    return keras.Model(x, outputs)


MSE = keras.losses.MeanSquaredError
SPARSE = keras.losses.SparseCategoricalCrossentropy


def sgd():
    return keras.optimizers.SGD(0.1, momentum=0.9)


def adam():
    return keras.optimizers.Adam(0.02)


def masked():
    return sequential(K.Embedding(10, 4, mask_zero=True), K.LSTM(5, return_sequences=True), K.Dense(3))


# name: (model, loss, optimizer, x, y, options of compile, options of fit)
RUNS = {
    "lstm": (lambda: sequential(K.LSTM(5), K.Dense(2)), MSE, sgd, features, numbers, {}, {}),
    "gru": (lambda: sequential(K.GRU(5), K.Dense(2)), keras.losses.Huber, adam, features, numbers, {}, {}),
    "simple_rnn": (lambda: sequential(K.SimpleRNN(5), K.Dense(2)), MSE, adam, features, numbers, {}, {}),
    "bidirectional": (
        lambda: sequential(K.Bidirectional(K.LSTM(4)), K.Dense(2)), keras.losses.LogCosh, adam, features, numbers,
        {"metrics": ["mae", keras.metrics.RootMeanSquaredError]}, {"shuffle": True},
    ),
    "stack": (
        lambda: sequential(K.LSTM(5, return_sequences=True), K.GRU(4), K.Dense(3)),
        lambda **k: SPARSE(from_logits=True, **k), adam, features, classes,
        {"metrics": [keras.metrics.SparseCategoricalAccuracy]}, {"shuffle": True, "validation_split": 0.25},
    ),
    "weighted": (
        lambda: sequential(K.GRU(5), K.Dense(2)), MSE, adam, features, numbers,
        {"metrics": ["mse"], "weighted_metrics": ["mae"]}, {"shuffle": True, "sample_weight": weights},
    ),
    "class_weight": (
        lambda: sequential(K.LSTM(5), K.Dense(3)), lambda **k: SPARSE(from_logits=True, **k), adam, features, classes,
        {}, {"class_weight": {0: 0.5, 2: 3.0}},
    ),
    "embedding": (
        masked, lambda **k: SPARSE(from_logits=True, **k), adam, ids, step_classes,
        {"metrics": [keras.metrics.SparseCategoricalAccuracy]}, {"shuffle": True, "validation_split": 0.25},
    ),
    "embedding_last": (
        lambda: sequential(K.Embedding(10, 4, mask_zero=True), K.Bidirectional(K.GRU(4)), K.Dense(3)),
        lambda **k: SPARSE(from_logits=True, **k), adam, ids, classes, {}, {"shuffle": True},
    ),
    "softmax": (
        lambda: sequential(K.LSTM(5), K.Dense(3, activation="softmax")), SPARSE, adam, features, classes, {}, {},
    ),
    "dropout": (
        lambda: sequential(K.LSTM(5, dropout=0.2, recurrent_dropout=0.1), K.Dense(2)), MSE, adam, features, numbers,
        {}, {"shuffle": True},
    ),
    "dropout_validated": (
        lambda: sequential(K.GRU(5, dropout=0.3, return_sequences=True), K.SimpleRNN(4, dropout=0.2), K.Dense(2)),
        MSE, sgd, features, numbers, {}, {"validation_split": 0.3},
    ),
    "early_stopping": (
        lambda: sequential(K.LSTM(5), K.Dense(2)), MSE, lambda: keras.optimizers.Adam(0.3), features, numbers, {},
        {"validation_split": 0.25, "stop": {"monitor": "val_loss", "patience": 2, "restore_best_weights": True}},
    ),
    "two_heads": (
        two_heads, None, adam, features, lambda: [numbers(), classes()],
        {"metrics": [["mae"], [keras.metrics.SparseCategoricalAccuracy]], "loss_weights": [0.3, 2.0]},
        {"validation_split": 0.25},
    ),
}  # fmt: skip


class Updates(keras.callbacks.Callback):
    def __init__(self):
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])


def case(name, dtype):
    keras.backend.set_floatx(dtype)
    keras.backend.clear_session()
    make, loss, optimizer, x, y, compiled, options = RUNS[name]
    keras.utils.set_random_seed(7)
    model, options = make(), dict(options)
    metrics = {key: [m() if isinstance(m, type) else m for m in ms] for key, ms in compiled.items() if "metrics" in key}
    if name == "two_heads":
        loss = [MSE(dtype=dtype), SPARSE(from_logits=True, dtype=dtype)]
        metrics = {"metrics": [["mae"], [keras.metrics.SparseCategoricalAccuracy()]]}
    else:
        loss = loss(dtype=dtype)
    rest = {key: value for key, value in compiled.items() if "metrics" not in key}
    model.compile(optimizer(), loss, jit_compile=False, **metrics, **rest)
    updates, callbacks = Updates(), []
    if stop := options.pop("stop", None):
        callbacks.append(keras.callbacks.EarlyStopping(**stop))
    if "sample_weight" in options:
        options["sample_weight"] = options["sample_weight"]().astype(dtype)
    options.setdefault("shuffle", False)
    targets = y()
    targets = [t.astype(dtype) if t.dtype.kind == "f" else t for t in targets] if isinstance(targets, list) else targets
    given = x()
    given = given.astype(dtype) if given.dtype.kind == "f" else given.astype("int32")
    if not isinstance(targets, list) and targets.dtype.kind == "f":
        targets = targets.astype(dtype)
    batch = 4
    history = model.fit(
        given, targets, batch_size=batch, epochs=10, verbose=0, callbacks=[updates, *callbacks], **options
    )
    outputs = model(given[:3], training=False)
    head = np.asarray(outputs[0] if name == "two_heads" else outputs)
    to = np.dtype(dtype).type
    return {
        "name": f"{name}-{dtype}", "dtype": dtype, "run": name,
        "losses": np.array(updates.losses, dtype), "prediction": head.astype(dtype),
        "history": [{"name": key, "values": np.array(values, to)} for key, values in history.history.items()],
    }  # fmt: skip


def main():
    write("runs", [case(name, dtype) for dtype in ["float32", "float64"] for name in RUNS], HERE)
    keras.backend.set_floatx("float32")
