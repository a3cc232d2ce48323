"""Keras's other optimizers: the weights after every second of several updates by given gradients, options combined pairwise.

The variables are those of an Embedding of five rows, whose gradient comes as slices, equal ids apart, and of a
SimpleRNN of two units over three features, by name, so that layers can take their place.
"""

from flow import write
from optimizers import COMMON, arrays
from oracle import generator, keras, np, pairwise, tf, values

TABLE = (5, 2)
SHAPES = {"kernel": (3, 2), "recurrent_kernel": (2, 2), "bias": (2,)}
STEPS = 4

MOMENTS = {"beta_1": [0.9, 0.6], "beta_2": [0.999, 0.7], "epsilon": [1e-7, 1e-3]}
OWN = {
    "AdamW": {**MOMENTS, "amsgrad": [False, True], "weight_decay": ["default", 0.1]},
    "RMSprop": {"rho": [0.9, 0.55], "momentum": [0.0, 0.7], "epsilon": [1e-7, 1e-3], "centered": [False, True]},
    "Nadam": MOMENTS,
    "Adamax": MOMENTS,
    "Adagrad": {"initial_accumulator_value": [0.1, 0.7, 0.0], "epsilon": [1e-7, 1e-3]},
    "Lion": {"beta_1": [0.9, 0.6, 1.0], "beta_2": [0.99, 0.7]},
}


def config_of(optimizer, c):
    config = {k: v for k, v in c.items() if k in [*OWN[optimizer], "learning_rate", "weight_decay"]}
    config |= {k: c[k] for k in ("loss_scale_factor", "gradient_accumulation_steps")} | c["clip"] | c["ema"]
    return {k: v for k, v in config.items() if v is not None and v != "default"}


def case(name, optimizer, c):
    rng = generator(name)
    dtype = c["dtype"]
    shapes = {"embeddings": TABLE} | SHAPES
    variables = {n: keras.Variable(values(rng, shape, 1.0, dtype), dtype=dtype, name=n) for n, shape in shapes.items()}
    config = config_of(optimizer, c)
    made = getattr(keras.optimizers, optimizer)(**config)
    if c["exclude_from_weight_decay"]:
        made.exclude_from_weight_decay(var_names=c["exclude_from_weight_decay"])
    before = arrays((n, v.numpy()) for n, v in variables.items())
    # Slices can't be divided.
    by_rows = c["loss_scale_factor"] is None
    steps = []
    for step in range(STEPS):
        scale = [0.05, 1.5, 0.3][step % 3]
        gradients = {n: values(rng, shape, scale, dtype) for n, shape in SHAPES.items()}
        if step == 2:
            gradients["bias"][:] = 0
        ids = rng.integers(0, TABLE[0] - 1, 6).astype("int32")
        ids[3] = ids[1]
        rows = values(rng, (6, TABLE[1]), scale, dtype)
        table = tf.IndexedSlices(tf.constant(rows), tf.constant(ids), tf.constant(TABLE))
        rate = None
        if step == 3 and c["new_rate"] is not None:
            rate = made.learning_rate = c["new_rate"]
        given = [keras.ops.convert_to_tensor(g) for g in gradients.values()]
        made.apply([table if by_rows else tf.convert_to_tensor(table), *given], list(variables.values()))
        steps.append(
            {
                "learning_rate": rate,
                "ids": ids.tolist(),
                "rows": rows,
                "gradients": arrays(gradients.items()),
                "weights": arrays((n, v.numpy()) for n, v in variables.items()) if step % 2 else None,
            }
        )
        assert all(np.isfinite(v.numpy()).all() for v in variables.values()), name
    made.finalize_variable_values(list(variables.values()))
    return {
        "name": name,
        "dtype": dtype,
        "optimizer": {"class": optimizer, "config": config},
        "exclude_from_weight_decay": c["exclude_from_weight_decay"],
        "by_rows": by_rows,
        "weights": before,
        "steps": steps,
        "finalized": arrays((n, v.numpy()) for n, v in variables.items()),
    }


def cases(seed=12):
    for optimizer, own in OWN.items():
        for i, c in enumerate(pairwise({**COMMON, **own}, seed=seed)):
            yield case(f"{optimizer.lower()}-{i:02}", optimizer, c)
    plain = {key: choices[0] for key, choices in COMMON.items()}
    for optimizer in OWN:
        for dtype in COMMON["dtype"]:
            # The defaults, which most will use.
            own = {"weight_decay": "default"} if optimizer == "AdamW" else {}
            yield case(f"{optimizer.lower()}-{dtype}", optimizer, plain | {"dtype": dtype, "learning_rate": 0.001} | own)


def main():
    write("updates", list(cases()))
