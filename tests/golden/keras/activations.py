"""Every Keras activation, by name, with default and other parameters, computed in f32 and in f64."""

from oracle import KINKS, activation, generator, np, tf, write

ELEMENTWISE = [
    ("relu", {}),
    ("relu", {"negative_slope": 0.3}),
    ("relu", {"max_value": 2.7}),
    ("relu", {"threshold": 0.75}),
    ("relu", {"negative_slope": 0.1, "max_value": 3.0, "threshold": -0.4}),
    ("relu", {"negative_slope": 0.1, "max_value": 2.7, "threshold": 0.3}),
    ("relu", {"negative_slope": 0.0, "max_value": 6.0, "threshold": 0.5}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("relu6", {}),
    ("elu", {}),
    ("elu", {"alpha": 0.4}),
    ("elu", {"alpha": 1.7}),
    ("celu", {}),
    ("celu", {"alpha": 0.4}),
    ("celu", {"alpha": 1.7}),
    ("selu", {}),
    ("softplus", {}),
    ("softsign", {}),
    ("soft_shrink", {}),
    ("soft_shrink", {"threshold": 1.3}),
    ("hard_shrink", {}),
    ("hard_shrink", {"threshold": 1.3}),
    ("tanh_shrink", {}),
    ("hard_tanh", {}),
    ("sigmoid", {}),
    ("hard_sigmoid", {}),
    ("sparse_sigmoid", {}),
    ("log_sigmoid", {}),
    ("silu", {}),
    ("swish", {}),
    ("hard_silu", {}),
    ("hard_swish", {}),
    ("gelu", {}),
    ("gelu", {"approximate": True}),
    ("tanh", {}),
    ("squareplus", {}),
    ("squareplus", {"b": 0.7}),
    ("sparse_plus", {}),
    ("mish", {}),
    ("threshold", {"threshold": 0.7, "default_value": -0.3}),
    ("exponential", {}),
    ("linear", {}),
]
ROWWISE = ["softmax", "log_softmax", "sparsemax", "glu"]
# Magnitudes from tiny to where everything saturates; both signs, zero, then a finer walk through the middle.
MAGNITUDES = [
    1e-30,
    1e-8,
    3e-5,
    0.0012,
    0.013,
    0.11,
    0.27,
    0.45,
    0.63,
    0.9,
    1.1,
    1.45,
    1.9,
    2.3,
    2.9,
    3.2,
    4.1,
    5.3,
    6.5,
    8.2,
    9.7,
    13,
    17.5,
    21,
    33,
    47,
    70,
    85,
]
GRID = [0.0] + [sign * m for m in MAGNITUDES for sign in (1, -1)]
SPECIAL = [float("inf"), float("-inf"), float("nan"), -0.0, 120.0, -120.0, 800.0, -800.0, 1e30, -1e30]


def apply(name, args, x):
    return np.asarray(activation({"name": name, "args": args})(tf.constant(x)))


def each(name, args, xs, dtype):
    """One number at a time: TensorFlow's vector code treats NaN and infinity differently from its scalar code."""
    return np.array([apply(name, args, np.array([x], dtype))[0] for x in xs], dtype)


def cases():
    for name, args in ELEMENTWISE:
        kinks = [k for k in KINKS.get(name, lambda **_: [])(**args) if k != 0]
        assert all(abs(x - k) > 1e-3 for x in GRID for k in kinks), (name, kinks)
        label = name + "".join(f"-{k}={v}" for k, v in args.items())
        for dtype in ("float32", "float64"):
            x, special = np.array(GRID, dtype), np.array(SPECIAL, dtype)
            yield {
                "name": f"{label}-{dtype}",
                "dtype": dtype,
                "activation": {"name": name, "args": args},
                "input": x,
                "output": apply(name, args, x),
                "special_input": special,
                "special_output": each(name, args, special, dtype),
            }
    for name in ROWWISE:
        for shape in ((3, 6), (4, 2), (2, 8)):
            for scale in (1, 30):
                for dtype in ("float32", "float64"):
                    label = f"{name}-{shape[0]}x{shape[1]}-{scale}-{dtype}"
                    x = generator(f"{name}{shape}{scale}").uniform(-scale, scale, shape).round(3).astype(dtype)
                    yield {
                        "name": label,
                        "dtype": dtype,
                        "activation": {"name": name, "args": {}},
                        "input": x,
                        "output": apply(name, {}, x),
                        "special_input": None,
                        "special_output": None,
                    }


def main():
    write("activations", list(cases()))


if __name__ == "__main__":
    main()
