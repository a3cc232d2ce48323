"""The polynomials of src/kernels/math: near-minimax fits, coefficients rounded one after the other.

Each fit is a weighted least-squares fit on Chebyshev points (within a factor of two of minimax, and it never fails).
The lowest coefficient is rounded first and the rest fitted again, so that the others make up for its rounding.
Prints Rust arrays, lowest power first, with the largest relative error of the function that each one leaves.

    pip install mpmath==1.4.1 && python tools/fit_math.py
"""

import struct

import mpmath as mp

mp.mp.prec = 400


def f32(x):
    return mp.mpf(struct.unpack("f", struct.pack("f", float(x)))[0])


def f64(x):
    return mp.mpf(float(x))


def least_squares(points, values, weights, powers):
    n = len(powers)
    a, b = mp.matrix(n, n), mp.matrix(n, 1)
    for x, y, w in zip(points, values, weights):
        row = [w * x**p for p in powers]
        for i in range(n):
            b[i] += row[i] * w * y
            for j in range(n):
                a[i, j] += row[i] * row[j]
    return list(mp.lu_solve(a, b))


def fit(name, rounding, target, weight, count, lo, hi):
    """sum(c[k] x^k) close to target(x) on [lo, hi]: the levelled error is weight(x) times the difference."""
    points = [(lo + hi) / 2 - (hi - lo) / 2 * mp.cos(mp.pi * (i + mp.mpf(1) / 2) / (6 * count)) for i in range(6 * count)]
    left = [target(x) for x in points]
    weights = [weight(x) for x in points]
    c = []
    while len(c) < count:
        k = len(c)
        c.append(rounding(least_squares(points, left, weights, range(k, count))[0]))
        left = [y - c[k] * x**k for x, y in zip(points, left)]
    grid = [lo + (hi - lo) * (mp.mpf(i) + mp.mpf(1) / 3) / 2000 for i in range(2000)]
    worst = max(abs(weight(x) * (mp.polyval(c[::-1], x) - target(x))) for x in grid)
    print(f"// {name}: relative error 2^{mp.nstr(mp.log(worst, 2), 4)}")
    print("[" + ", ".join(shortest(v, rounding) for v in c) + "]")


def shortest(value, rounding):
    """The fewest digits that still mean this number."""
    return next(text for text in (f"{float(value):.{digits}g}" for digits in range(1, 18)) if rounding(float(text)) == value)


def main():
    # expm1(r) = r + r^2 q(r) for |r| <= ln(2) / 2, a little more because n is rounded from a rounded product.
    bound = mp.log(2) / 2 * (1 + mp.mpf(2) ** -16)
    tail = lambda r: (mp.expm1(r) - r) / r**2
    share = lambda r: abs(r**2 / mp.expm1(r))
    fit("EXPM1 f32", f32, tail, share, 5, -bound, bound)
    fit("EXPM1 f64", f64, tail, share, 10, -bound, bound)

    # log(1 + f) = f - f^2/2 + s (f^2/2 + z R(z)), s = f / (2 + f), z = s^2: R is the tail of 2 atanh(s) / s.
    top = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2
    fit("LOG f64", f64, lambda z: (mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 1) * 2 / z, lambda z: z / 2, 7, mp.mpf(0), top)

    # (1 + 9/8 a) exp(a^2) erfc(a) = P(t), t = (a - 4) / (a + 4), for 0 <= a <= 28. The factor makes P nearly level at
    # a = 0, where t is less precise than a.
    def erfcx(t):
        a = 4 * (1 + t) / (1 - t)
        return (1 + mp.mpf(9) / 8 * a) * mp.exp(a * a) * mp.erfc(a)

    fit("ERFCX f64", f64, erfcx, lambda t: 1 / erfcx(t), 24, mp.mpf(-1), mp.mpf(24) / 32)


if __name__ == "__main__":
    main()
