"""Every Keras initializer: seeds of every size, parameters, shapes of rank 0 to 4, f32 and f64; then long tensors."""

from oracle import initializer, np, write

SEEDS = [0, 7, -1, -5, 1337, 2**31 - 3, 2**31 - 2, 2**31 - 1, 2**31, 2**32 + 9, 2**63 - 1, -(2**63), -(2**31), 2024]
SHAPES = [(3, 4), (), (5,), (2, 3, 4), (2, 3, 2, 5), (7, 2), (2, 12), (1, 1), (3, 3), (0, 4)]
LONG = (331, 257)

SCALED = [
    ("VarianceScaling", {"scale": scale, "mode": mode, "distribution": distribution})
    for mode, scale in (("fan_in", 1.0), ("fan_out", 0.7), ("fan_avg", 2.5))
    for distribution in ("truncated_normal", "untruncated_normal", "uniform")
]
RANDOM = [
    ("RandomUniform", {}),
    ("RandomUniform", {"minval": -1.5, "maxval": 2.25}),
    ("RandomUniform", {"minval": 0.1, "maxval": 0.3}),
    ("RandomNormal", {}),
    ("RandomNormal", {"mean": 0.25, "stddev": 1.5}),
    ("RandomNormal", {"mean": -0.7, "stddev": 0.0}),
    ("TruncatedNormal", {}),
    ("TruncatedNormal", {"mean": -0.3, "stddev": 0.8}),
    ("GlorotUniform", {}),
    ("GlorotNormal", {}),
    ("HeUniform", {}),
    ("HeNormal", {}),
    ("LecunUniform", {}),
    ("LecunNormal", {}),
    *SCALED,
]
ORTHOGONAL = [("Orthogonal", {}), ("Orthogonal", {"gain": 0.5}), ("Orthogonal", {"gain": -1.3})]
CONSTANT = [
    ("Zeros", {}),
    ("Ones", {}),
    ("Constant", {"value": 0.3}),
    ("Constant", {"value": -2.5}),
]
IDENTITY = [("Identity", {}), ("Identity", {"gain": 0.6}), ("Identity", {"gain": -2.0})]


def label(kind, config):
    return kind + "".join(f"-{k}={v}" for k, v in config.items())


def values(kind, config, shape, dtype):
    return np.asarray(initializer({"class": kind, "config": config})(shape, dtype=dtype))


def case(kind, config, shape, dtype):
    name = f"{label(kind, config)}-{'x'.join(map(str, shape)) or 'scalar'}-{dtype}"
    return {
        "name": name,
        "dtype": dtype,
        "initializer": {"class": kind, "config": config},
        "shape": list(shape),
        "values": values(kind, config, shape, dtype),
    }


def fnv1a(value):
    """FNV-1a, 64 bits, over the little-endian bytes: what a test of a long tensor can compare without the tensor."""
    digest = 0xCBF29CE484222325
    for byte in value.astype(value.dtype.newbyteorder("<")).tobytes():
        digest = ((digest ^ byte) * 0x100000001B3) % 2**64
    return f"{digest:016x}"


def long_case(kind, config, dtype):
    value = values(kind, config, LONG, dtype)
    flat = value.ravel()
    # An f64 normal depends on the C library's log, sin and cos in its last digit, so only parts of it are compared.
    exact = dtype == "float32" or "Uniform" in kind
    return {
        "name": f"long-{label(kind, config)}-{dtype}",
        "dtype": dtype,
        "initializer": {"class": kind, "config": config},
        "shape": list(LONG),
        "first": flat[:12],
        "last": flat[-12:],
        "fnv1a64": fnv1a(value) if exact else None,
    }


def cases():
    dtypes = ("float32", "float64")
    count = 0

    def seed():
        nonlocal count
        count += 1
        return {"seed": SEEDS[count % len(SEEDS)]}

    # Each initializer with three shapes that walk through the list, then one shape with every seed.
    for i, (kind, config) in enumerate(RANDOM):
        for dtype in dtypes:
            for shape in [SHAPES[(i + k) % len(SHAPES)] for k in (0, 3, 7)]:
                yield case(kind, {**config, **seed()}, shape, dtype)
    for kind in ("RandomUniform", "RandomNormal", "TruncatedNormal"):
        for s in SEEDS:
            for dtype in dtypes:
                yield case(
                    kind,
                    {**({"minval": 0.0, "maxval": 1.0} if kind == "RandomUniform" else {"stddev": 1.0}), "seed": s},
                    (5,),
                    dtype,
                )
    for kind, config in ORTHOGONAL:
        for dtype in dtypes:
            for shape in [(4, 4), (3, 12), (9, 2), (2, 3, 4), (2, 2, 2, 3), (1, 5), (6, 1), (1, 1)]:
                yield case(kind, {**config, **seed()}, shape, dtype)
    for dtype in dtypes:
        yield case("Orthogonal", {"seed": 11}, (8, 32), dtype)
        yield case("Orthogonal", {"seed": 12}, (16, 16), dtype)
        for kind, config in CONSTANT:
            for shape in SHAPES[:5]:
                yield case(kind, config, shape, dtype)
        for kind, config in IDENTITY:
            for shape in [(3, 3), (2, 5), (4, 3)]:
                yield case(kind, config, shape, dtype)
        for axes in (
            {"input_axes": [0, 1], "output_axes": [2]},
            {"input_axes": [-1], "output_axes": [0, 1]},
            {"input_axes": [0]},  # one alone doesn't count
        ):
            config = {"scale": 1.4, "mode": "fan_in", "distribution": "uniform", "seed": 5, **axes}
            yield case("VarianceScaling", config, (2, 3, 5), dtype)
    # Long ones reach the tails: tiny u in Box-Muller, many re-draws, counters that carry.
    for kind, config in [
        ("RandomUniform", {"seed": 8}),
        ("RandomNormal", {"stddev": 1.0, "seed": 8}),
        ("RandomNormal", {"seed": -9}),
        ("TruncatedNormal", {"stddev": 1.0, "seed": 8}),
        ("HeNormal", {"seed": 2**40 + 1}),
        ("GlorotUniform", {"seed": 99}),
    ]:
        for dtype in dtypes:
            yield long_case(kind, config, dtype)


def main():
    write("initializers", list(cases()))


if __name__ == "__main__":
    main()
