"""Zoneout: the equations of Krueger et al. (2016) around Keras's cells, and their gradients by TensorFlow.

    h' = d_h h + (1 - d_h) h~,   c' = d_c c + (1 - d_c) c~        with h~, c~ by the cell from h, c

Writes zoneout.json. In training d_h and d_c are where Keras's dropout of ones drops, drawn for each step with the numbers
that the Rust layer draws: for h, then for c, from one generator. Else they are the rates. The loss is the sum of all
outputs and of the last state, each times a number of its own.
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from oracle import write

HERE = Path(__file__).parent
BATCH, STEPS, FEATURES, UNITS = 3, 5, 2, 4
SEED = 21

CELLS = {
    "LSTM": lambda dtype: keras.layers.LSTMCell(UNITS, dtype=dtype),
    "GRU": lambda dtype: keras.layers.GRUCell(UNITS, dtype=dtype),
    "GRU before": lambda dtype: keras.layers.GRUCell(UNITS, dtype=dtype, reset_after=False),
    "SimpleRNN": lambda dtype: keras.layers.SimpleRNNCell(UNITS, dtype=dtype),
}
RATES = {"LSTM": [(0.25, 0.5), (0.5, 0.0), (0.0, 0.75), (1.0, 0.5)]}


def numbers(shape, step, dtype):
    """Distinct, in (-0.8, 0.8), by a formula that the test doesn't need: they are written down."""
    at = np.arange(np.prod(shape), dtype=np.int64)
    return (((at * step + 3) % 53 - 26) / 32).reshape(shape).astype(dtype)


def case(name, rates, training, dtype):
    keras.backend.set_floatx(dtype)
    cell = CELLS[name](dtype)
    cell.build((BATCH, FEATURES))
    weights = [numbers(w.shape, 7 + 4 * i, dtype) for i, w in enumerate(cell.weights)]
    cell.set_weights(weights)
    parts = 2 if name == "LSTM" else 1
    x = tf.constant(numbers((BATCH, STEPS, FEATURES), 11, dtype))
    initial = [tf.constant(numbers((BATCH, UNITS), 13 + 2 * i, dtype)) for i in range(parts)]
    seeds = keras.random.SeedGenerator(SEED)
    upstream = [numbers((BATCH, STEPS, UNITS), 17, dtype), *(numbers((BATCH, UNITS), 19 + 4 * i, dtype) for i in range(parts))]
    ones = tf.ones((BATCH, UNITS), dtype)

    def stays(rate):
        if not training or rate in (0.0, 1.0):
            return tf.constant(rate, dtype) * ones
        return tf.cast(keras.random.dropout(ones, rate, seed=seeds) == 0, dtype)

    with tf.GradientTape() as tape:
        tape.watch([x, *initial])
        states, outputs = initial, []
        for step in range(STEPS):
            shares = [stays(rate) for rate in rates[:parts]]
            _, made = cell(x[:, step], states)
            made = made if isinstance(made, (list, tuple)) else [made]
            states = [d * old + (1 - d) * new for d, old, new in zip(shares, states, made)]
            outputs.append(states[0])
        outputs = tf.stack(outputs, axis=1)
        terms = zip([outputs, *states], upstream)
        loss = sum(tf.reduce_sum(values * d) for values, d in terms)
    kinds = [w.name for w in cell.weights]
    gradients = tape.gradient(loss, [*cell.trainable_variables, x, *initial])
    return {
        "name": f"{name} {rates} {'training' if training else 'expected'} {dtype}", "dtype": dtype, "cell": name,
        "rates": list(rates), "training": training, "seed": SEED,
        "weights": [{"name": kind, "values": w} for kind, w in zip(kinds, weights)],
        "x": x.numpy(), "initial": [part.numpy() for part in initial], "upstream": upstream,
        "outputs": outputs.numpy(), "states": [part.numpy() for part in states],
        "gradients": [g.numpy() for g in gradients],
    }  # fmt: skip


def main():
    cases = [
        case(name, rates, training, dtype)
        for dtype in ["float32", "float64"]
        for name in CELLS
        for rates in RATES.get(name, [(0.25, 0.0)])
        for training in [True, False]
    ]
    write("zoneout", cases, HERE)
    keras.backend.set_floatx("float32")


if __name__ == "__main__":
    main()
