"""Models with stateful layers in `fit`: their states go on from batch to batch, into validation, into the next epoch.

`stateful.json` has runs of 52 updates, `stateful.keras` is the model of one as it was before. The data are those of
runs.py; `last` is what the model gives for four rows after the run, its states going on, `states` are those it had before.
"""

from pathlib import Path

import keras
import numpy as np
import runs
from oracle import write

HERE = Path(__file__).parent
K = keras.layers
BATCH = 4


def chain(*layers):
    x = y = keras.Input(batch_shape=(BATCH, runs.STEPS, runs.FEATURES))
    for layer in layers:
        y = layer(y)
    return keras.Model(x, y)


def deep(seed=None):
    # Made in this order, in which they take their seeds.
    both = K.Bidirectional(K.LSTM(3, return_sequences=True, stateful=True))
    lstm = K.LSTM(4, dropout=0.2, stateful=True, seed=seed)
    return chain(both, lstm, K.Dropout(0.3, seed=seed and seed + 1), K.Dense(2))


RUNS = {
    "lstm": (lambda: chain(K.LSTM(5, stateful=True), K.Dense(2)), False),
    "gru": (lambda: chain(K.GRU(5, stateful=True), K.Dense(2)), True),
    "deep": (deep, False),
}


def stateful_layers(model):
    return [layer for layer in model.layers if getattr(layer, "stateful", False)]


def all_states(layer):
    layers = [layer.forward_layer, layer.backward_layer] if isinstance(layer, K.Bidirectional) else [layer]
    return [np.asarray(state) for each in layers for state in each.states]


class Resets(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        for layer in stateful_layers(self.model):
            layer.reset_state()


def case(name, dtype, file=False):
    keras.backend.set_floatx(dtype)
    keras.backend.clear_session()
    make, resets = RUNS[name]
    keras.utils.set_random_seed(7)
    model = make(seed=11) if file else make()
    model.compile(keras.optimizers.SGD(0.125, momentum=0.5), runs.MSE(dtype=dtype), jit_compile=False)
    if file:
        model.save(HERE / "stateful.keras")
    x, y, updates = runs.features().astype(dtype), runs.numbers().astype(dtype), runs.Updates()
    history = model.fit(
        x, y, batch_size=BATCH, epochs=13, verbose=0, shuffle=False, validation_split=0.2,
        callbacks=[updates, *([Resets()] if resets else [])],
    )  # fmt: skip
    to = np.dtype(dtype).type
    states = np.concatenate([state.ravel() for layer in stateful_layers(model) for state in all_states(layer)])
    return {
        "name": f"{name}{'-file' if file else ''}-{dtype}", "dtype": dtype, "run": name, "file": file, "resets": resets,
        "losses": np.array(updates.losses, dtype), "states": states.astype(dtype),
        "prediction": np.asarray(model(x[:BATCH], training=False)).astype(dtype),
        "history": [{"name": key, "values": np.array(values, to)} for key, values in history.history.items()],
    }  # fmt: skip


def main():
    write("stateful", [case("deep", "float32", True)] + [case(n, d) for d in ["float32", "float64"] for n in RUNS], HERE)
    keras.backend.set_floatx("float32")


if __name__ == "__main__":
    main()
