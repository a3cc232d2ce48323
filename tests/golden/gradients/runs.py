"""Whole training runs: the mean squared error before each of twelve updates, and the weights after the last.

Each update sees a batch of its own. A run with dropout draws the masks of one call after another.
"""

from bidirectional import wrap
from companions import chain, embedding
from flow import flow, write
from one_layer import spec_of
from oracle import build, entry, generator, keras, make_mask, np, set_weights, tf, values, variables, weights
from stacked import dense

STEPS = 12
BATCH, TIMESTEPS = 4, 5

NETS = {
    "lstm": chain(spec_of("lstm", 3, 6), dense(6, 2)),
    "gru_sequence": chain(spec_of("gru_after", 3, 5, return_sequences=True), dense(5, 2, activation="tanh")),
    "both_directions": chain(
        wrap(spec_of("lstm", 3, 4, return_sequences=True), merge_mode="concat"), spec_of("gru_before", 8, 5), dense(5, 2)
    ),
    "simple_rnn_dropout": chain(
        spec_of("simple_rnn", 3, 6, dropout=0.2, recurrent_dropout=0.3, seed=3, return_sequences=True),
        spec_of("lstm", 6, 4, dropout=0.3, seed=4),
        dense(4, 2),
    ),
    "ids": chain(embedding(9, 4, mask_zero=True), spec_of("lstm", 4, 5), dense(5, 2)),
}
OPTIMIZERS = {
    "adam": ("Adam", {"learning_rate": 0.02}),
    "amsgrad_global_clipnorm": ("Adam", {"learning_rate": 0.05, "amsgrad": True, "global_clipnorm": 0.2}),
    "adam_clipnorm": ("Adam", {"learning_rate": 0.05, "clipnorm": 0.05}),
    "adam_clipvalue": ("Adam", {"learning_rate": 0.05, "clipvalue": 0.01}),
    "sgd_clipvalue": ("SGD", {"learning_rate": 0.3, "clipvalue": 0.01}),
    "sgd": ("SGD", {"learning_rate": 0.1}),
    "nesterov_decay": ("SGD", {"learning_rate": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
}


def case(net, optimizer, dtype):
    spec, (optimizer_class, config) = NETS[net], OPTIMIZERS[optimizer]
    name = f"{net}-{optimizer}-{dtype}"
    rng = generator(name)
    ids = spec["layers"][0]["class"] == "Embedding"
    layer = build(spec, dtype)
    layer.build((BATCH, TIMESTEPS, spec["input_size"]))
    set_weights(layer, spec, rng)
    made = getattr(keras.optimizers, optimizer_class)(**config)
    loss_of = keras.losses.MeanSquaredError(dtype=dtype)
    trained = [variable for _, variable in variables(layer, spec)]
    before, steps = weights(layer, spec), []
    for step in range(STEPS):
        if ids:
            x = rng.integers(1, spec["input_size"], (BATCH, TIMESTEPS)).astype("int32")
            x[0, 3:] = 0
            x[2, 1] = 0
            # The same id again and again: its row gets the sum, but Keras squares and clips the parts.
            x[3] = x[1, 2]
        else:
            x = values(rng, (BATCH, TIMESTEPS, spec["input_size"]), 1.0, dtype)
        mask = None if ids or step % 3 else make_mask("trailing", BATCH, TIMESTEPS, rng)
        with tf.GradientTape() as tape:
            masks = None if mask is None else tf.constant(mask)
            (output,), _ = flow(layer, spec, tf.constant(x), masks, None, True)
            target = values(rng, output.shape, 0.8, dtype)
            # A plain tensor: Keras's loss would weigh by a mask that it finds on the output.
            loss = loss_of(tf.constant(target), tf.identity(output))
        gradients = tape.gradient(loss, [v.value for v in trained])
        steps.append({"input": x, "mask": mask, "target": target, "loss": loss.numpy()})
        made.apply(gradients, trained)
    # It learns nothing, the targets are noise; but it must go somewhere.
    assert np.isfinite(steps[-1]["loss"]), name
    return {
        "name": name,
        "dtype": dtype,
        "layer": spec,
        "optimizer": {"class": optimizer_class, "config": config},
        "weights": before,
        "steps": steps,
        "trained": [entry(n, v.numpy()) for n, v in variables(layer, spec)],
    }


def cases():
    for i, net in enumerate(NETS):
        for j, optimizer in enumerate(OPTIMIZERS):
            if net not in ("ids", "lstm") and "_clip" in optimizer:
                continue
            yield case(net, optimizer, ["float32", "float64"][(i + j) % 2])
    yield case("lstm", "adam", "float64")
    yield case("ids", "adam", "float64")


def main():
    write("runs", list(cases()))
