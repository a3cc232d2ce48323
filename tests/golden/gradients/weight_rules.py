"""Keras's regularizers with their gradients, its constraints, and runs with both: penalties and weights of each update."""

from flow import write
from oracle import entry, generator, keras, np, tf, values

R, C = keras.regularizers, keras.constraints

REGULARIZERS = [
    ("L1", {"l1": 0.03}, (3, 4)),
    ("L2", {"l2": 0.07}, (5,)),
    ("L1L2", {"l1": 0.02, "l2": 0.3}, (2, 3, 4)),
    ("L1L2", {"l1": 0.0, "l2": 0.3}, (2, 3)),
    ("OrthogonalRegularizer", {"factor": 0.4, "mode": "rows"}, (3, 4)),
    ("OrthogonalRegularizer", {"factor": 0.4, "mode": "columns"}, (4, 3)),
    ("OrthogonalRegularizer", {"factor": 0.1, "mode": "columns"}, (2, 5)),
]
CONSTRAINTS = [
    ("MaxNorm", {"max_value": 0.9, "axis": 0}, (4, 3)),
    ("MaxNorm", {"max_value": 1.0, "axis": [0, 1]}, (2, 3, 4)),
    ("UnitNorm", {"axis": -1}, (3, 4)),
    ("UnitNorm", {"axis": [0, 2]}, (2, 3, 4)),
    ("NonNeg", {}, (3, 5)),
    ("MinMaxNorm", {"min_value": 0.8, "max_value": 1.0, "rate": 1.0, "axis": 0}, (4, 6)),
    ("MinMaxNorm", {"min_value": 0.7, "max_value": 0.9, "rate": 0.3, "axis": 1}, (6, 3)),
    ("MaxNorm", {"max_value": 0.3, "axis": 0}, (5,)),
]


def regularizers():
    for i, (name, config, shape) in enumerate(REGULARIZERS):
        for dtype in ("float32", "float64"):
            if name == "OrthogonalRegularizer" and dtype == "float64":
                # Keras multiplies a factor of float32 with a sum of float64, and fails.
                continue
            weight = values(generator(f"{name}-{i}"), shape, 1.0, dtype)
            if i % 2:
                weight.flat[1] = 0
            x = tf.constant(weight)
            with tf.GradientTape() as tape:
                tape.watch(x)
                penalty = getattr(R, name)(**config)(x)
            yield {
                "name": f"{name}-{i}-{dtype}",
                "dtype": dtype,
                "regularizer": {"class": name, "config": config},
                "weight": weight,
                "penalty": penalty.numpy(),
                "gradient": tape.gradient(penalty, x).numpy(),
            }


def constraints():
    for i, (name, config, shape) in enumerate(CONSTRAINTS):
        for dtype in ("float32", "float64"):
            weight = values(generator(f"{name}-{i}"), shape, 1.0, dtype)
            yield {
                "name": f"{name}-{i}-{dtype}",
                "dtype": dtype,
                "constraint": {"class": name, "config": config},
                "weight": weight,
                "constrained": getattr(C, name)(**config)(tf.constant(weight)).numpy(),
            }


def run(dtype):
    rng = generator(f"run-{dtype}")
    layer = keras.layers.SimpleRNN(
        4,
        dtype=dtype,
        kernel_regularizer=R.L2(0.1),
        recurrent_regularizer=R.L1L2(l1=0.02, l2=0.05),
        bias_regularizer=R.L1(0.03),
        kernel_constraint=C.MaxNorm(0.6),
        recurrent_constraint=C.UnitNorm(axis=1),
        bias_constraint=C.NonNeg(),
    )
    x, target = values(rng, (3, 5, 2), 1.0, dtype), values(rng, (3, 4), 0.8, dtype)
    layer.build(x.shape)
    for v in layer.trainable_variables:
        v.assign(values(rng, v.shape, 0.7, dtype))
    names = ["kernel", "recurrent_kernel", "bias"]
    before = [entry(n, v.numpy()) for n, v in zip(names, layer.trainable_variables)]
    optimizer, steps = keras.optimizers.Adam(0.05, clipnorm=0.3), []
    for _ in range(5):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(layer(x) - target))
            penalty = tf.add_n([tf.cast(own, dtype) for own in layer.losses])
            total = loss + penalty
        optimizer.apply(tape.gradient(total, [v.value for v in layer.trainable_variables]), layer.trainable_variables)
        steps.append({"loss": total.numpy(), "penalty": penalty.numpy()})
    assert np.isfinite(steps[-1]["loss"])
    return {
        "name": f"run-{dtype}",
        "dtype": dtype,
        "input": x,
        "target": target,
        "weights": before,
        "steps": steps,
        "trained": [entry(n, v.numpy()) for n, v in zip(names, layer.trainable_variables)],
    }


def main():
    write("weight_rules", [*regularizers(), *constraints(), run("float32"), run("float64")])
