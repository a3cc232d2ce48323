"""Keras's SGD and Adam: the weights after each of several updates by given gradients, options combined pairwise.

The variables are those of an LSTM of two units over three features, by name, so that a layer can take their place.
"""

from flow import write
from oracle import entry, generator, keras, np, pairwise, values

SHAPES = {"kernel": (3, 8), "recurrent_kernel": (2, 8), "bias": (8,)}
STEPS = 7

COMMON = {
    "dtype": ["float32", "float64"],
    "learning_rate": [0.01, 0.3],
    "weight_decay": [None, 0.004, 0.1],
    "exclude_from_weight_decay": [[], ["bias"], ["recurrent"]],
    "clip": [{}, {"clipnorm": 0.7}, {"clipvalue": 0.3}, {"global_clipnorm": 1.1}],
    "ema": [{}, {"use_ema": True}, {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 2}],
    "loss_scale_factor": [None, 8.0],
    "gradient_accumulation_steps": [None, 2, 3],
    "new_rate": [None, 0.05],
}
OWN = {
    "SGD": {"momentum": [0.0, 0.9, 0.55], "nesterov": [False, True]},
    "Adam": {
        "beta_1": [0.9, 0.6],
        "beta_2": [0.999, 0.7],
        "epsilon": [1e-7, 1e-3],
        "amsgrad": [False, True],
    },
}


def arrays(pairs):
    return [entry(name, array) for name, array in pairs]


def case(name, optimizer, c):
    rng = generator(name)
    dtype = c["dtype"]
    variables = {n: keras.Variable(values(rng, shape, 1.0, dtype), dtype=dtype, name=n) for n, shape in SHAPES.items()}
    config = {k: v for k, v in c.items() if k in [*OWN[optimizer], "learning_rate", "weight_decay"]}
    config |= {k: c[k] for k in ("loss_scale_factor", "gradient_accumulation_steps")} | c["clip"] | c["ema"]
    config = {k: v for k, v in config.items() if v is not None}
    made = getattr(keras.optimizers, optimizer)(**config)
    if c["exclude_from_weight_decay"]:
        made.exclude_from_weight_decay(var_names=c["exclude_from_weight_decay"])
    before = arrays((n, v.numpy()) for n, v in variables.items())
    steps = []
    for step in range(STEPS):
        # Small ones and large ones, so that clipping does something and nothing; and zeros, whose norm is none.
        scale = [0.05, 1.5, 0.3][step % 3]
        gradients = {n: values(rng, shape, scale, dtype) for n, shape in SHAPES.items()}
        if step == 2:
            gradients["bias"][:] = 0
        rate = None
        if step == 4 and c["new_rate"] is not None:
            rate = made.learning_rate = c["new_rate"]
        made.apply([keras.ops.convert_to_tensor(g) for g in gradients.values()], list(variables.values()))
        steps.append(
            {
                "learning_rate": rate,
                "gradients": arrays(gradients.items()),
                "weights": arrays((n, v.numpy()) for n, v in variables.items()),
            }
        )
    made.finalize_variable_values(list(variables.values()))
    return {
        "name": name,
        "dtype": dtype,
        "optimizer": {"class": optimizer, "config": config},
        "exclude_from_weight_decay": c["exclude_from_weight_decay"],
        "weights": before,
        "steps": steps,
        "finalized": arrays((n, v.numpy()) for n, v in variables.items()),
    }


def cases():
    for optimizer, own in OWN.items():
        for i, c in enumerate(pairwise({**COMMON, **own}, seed=11)):
            yield case(f"{optimizer.lower()}-{i:02}", optimizer, c)
    plain = {key: choices[0] for key, choices in COMMON.items()}
    for dtype in COMMON["dtype"]:
        # The defaults, which most will use.
        yield case(f"sgd-{dtype}", "SGD", plain | {"dtype": dtype})
        yield case(f"sgd-momentum-{dtype}", "SGD", plain | {"dtype": dtype, "momentum": 0.9})
        yield case(f"adam-{dtype}", "Adam", plain | {"dtype": dtype, "learning_rate": 0.001})


def main():
    write("optimizers", list(cases()))
