"""True values of the f64 functions, to 60 digits: for each x the nearest double y and what y lacks, in ulp of y.

A line is `name x y lack`: text, because serde_json's numbers may be off in the last place.

    pip install mpmath==1.4.1 && python tests/golden/math/values.py [points per function]
"""

import math
import pathlib
import random
import struct
import sys

import mpmath as mp

mp.mp.dps = 60


def as_f32(x):
    return mp.mpf(struct.unpack("f", struct.pack("f", x))[0])


def wide(work):
    """More digits where a formula cancels."""

    def inner(x):
        with mp.workdps(60 + 2 * max(0, math.ceil(abs(math.log10(abs(x))))) + int(min(abs(x), 800))):
            return work(x)

    return inner


SCALE, SCALE_ALPHA = mp.mpf("1.0507009873554804934193349852946"), mp.mpf("1.7580993408473768599402175208123")
C = as_f32(math.sqrt(0.5))  # TensorFlow's constants for gelu, rounded to f32
CUBE = as_f32(0.044715)

sigmoid = lambda x: 1 / (1 + mp.exp(-x))
softplus = lambda x: mp.log1p(mp.exp(x))
# The first element of a row [x, 10.3, -1.7]: the largest one is not always the first, nor the one of the largest size.
others = lambda x: mp.exp(mp.mpf(10.3) - x) + mp.exp(mp.mpf(-1.7) - x)
gelu_by_tanh = lambda x: x * sigmoid(2 * mp.mpf(0.7978845608028654) * (x + CUBE * x**3))

# Name: function, smallest and largest size of its argument as powers of ten, largest negative and positive argument.
FUNCTIONS = {
    "exp": (mp.exp, -20, 2.9, -745, 709.7),
    "exp_m1": (mp.expm1, -20, 2.9, -60, 709.7),
    "ln": (mp.log, -300, 300, 0, 1e300),
    "ln_1p": (mp.log1p, -20, 300, -0.9999999, 1e300),
    "sigmoid": (sigmoid, -20, 2.9, -745, 60),
    "softplus": (softplus, -20, 2.9, -745, 1e3),
    "tanh": (mp.tanh, -20, 1.5, -30, 30),
    "log_sigmoid": (lambda x: -softplus(-x), -20, 2.9, -1e3, 745),
    "silu": (lambda x: x * sigmoid(x), -20, 2.9, -745, 100),
    "gelu": (lambda x: x / 2 * mp.erfc(-C * x), -20, 1.6, -40, 40),
    "gelu_by_tanh": (gelu_by_tanh, -20, 1.4, -23, 40),
    "mish": (lambda x: x * mp.tanh(softplus(x)), -20, 2.9, -745, 100),
    "tanh_shrink": (wide(lambda x: x - mp.tanh(x)), -100, 1.5, -30, 30),
    "squareplus": (wide(lambda x: (x + mp.sqrt(x * x + 4)) / 2), -20, 100, -1e100, 1e100),
    "elu": (lambda x: x if x > 0 else mp.mpf(0.75) * mp.expm1(x), -20, 1.6, -60, 40),
    "celu": (lambda x: x if x > 0 else mp.mpf(0.75) * mp.expm1(x / mp.mpf(0.75)), -20, 1.6, -60, 40),
    "softmax": (lambda x: 1 / (1 + others(x)), -20, 2.9, -690, 800),
    "log_softmax": (lambda x: -mp.log1p(others(x)), -20, 2.9, -1e3, 690),
    "selu": (lambda x: SCALE * x if x > 0 else SCALE_ALPHA * mp.expm1(x), -20, 1.6, -60, 40),
}


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 250
    path = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else pathlib.Path(__file__).with_suffix(".txt")
    draw = random.Random(20261124)
    lines = []
    for name, (function, low, high, minimum, maximum) in FUNCTIONS.items():
        points = 0
        while points < count:
            # Half of them spread over all sizes, half over the few powers of ten where most happens.
            size = draw.uniform(low, high) if points % 2 else draw.uniform(max(low, -1), min(high, 1.5))
            x = draw.choice([-1, 1]) * 10**size
            if not minimum < x < maximum:
                continue
            value = function(mp.mpf(x))
            y = float(value)
            if math.isinf(y) or abs(y) < 2.0**-1022:
                continue
            lack = float((value - mp.mpf(y)) / mp.mpf(math.ulp(y)))
            lines.append(f"{name} {x!r} {y!r} {lack:.3f}\n")
            points += 1
    path.write_text("".join(lines))


if __name__ == "__main__":
    main()
