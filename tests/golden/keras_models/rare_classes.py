"""Classes that are in no other model here, and what Keras computes with them.

`rare_classes.py` writes rare_classes/ and rare_classes.json. Versions: requirements.txt.
"""

import convolutions
from convolutions import CASES, write
from keras.src.ops import numpy as operations
from random_graphs import HERE, L, dump, keras

CASES.clear()


def case(function):
    CASES[function.__name__] = function
    return function


@case
def rare_classes(r):
    x, y, z = keras.Input((4, 3)), keras.Input((3, 2, 2)), keras.Input((2, 2, 3, 2))
    h = L.GRU(3, return_sequences=True)(x)
    outputs = [operations.Abs()(h), operations.Divide()(h, x), operations.Copy()(h), operations.Amin(axis=-1)(h)]
    outputs += [L.SpatialDropout2D(0.3)(y), L.SpatialDropout3D(0.3)(z)]
    return keras.Model([x, y, z], outputs), [r.floats(2, 4, 3) + 2, r.floats(2, 3, 2, 2), r.floats(2, 2, 2, 3, 2)]


def main():
    folder = HERE / "rare_classes"
    folder.mkdir(exist_ok=True)
    dump(HERE / "rare_classes.json", [write(name, folder) for name in CASES])


if __name__ == "__main__":
    main()
