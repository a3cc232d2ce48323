"""What makes categories of numbers, and what Keras computes with it.

`categories.py` writes categories/ and categories.json. Versions: requirements.txt. Gradients are those of a weighted sum of
the outputs that have any.
"""

import convolutions
from convolutions import CASES
from masked_graphs import Numbers
from random_graphs import HERE, L, array, call, dump, gradients, keras, np, randomize

CASES.clear()
MODES = ["one_hot", "multi_hot", "count"]


def case(function):
    CASES[function.__name__] = function
    return function


@case
def discretization(r):
    """A boundary belongs to what is above it; NaN is behind all; boundaries that were adapted."""
    x = keras.Input((4,))
    adapted = L.Discretization(num_bins=3, epsilon=0.1)
    adapted.adapt(np.random.default_rng(1).normal(size=40))
    bounds = [-0.5, 0.1, 0.3, 0.9]
    outputs = [L.Discretization(bin_boundaries=bounds)(x), adapted(x)]
    outputs += [L.Discretization(bin_boundaries=bounds, output_mode=mode)(x) for mode in MODES]
    y = L.Embedding(5, 2)(outputs[0])
    values = r.floats(3, 4)
    values[0] = [-0.5, np.float32(0.1), 0.9, np.nan]
    return keras.Model(x, outputs + [L.LSTM(3)(y)]), [values]


@case
def integer_lookup(r):
    """Tokens of a list and of a file beside the weights; masks; several places for what isn't known; back again."""
    x = keras.Input((None,), dtype="int64")
    tokens = [12, -7, 90, 3]
    adapted = L.IntegerLookup(mask_token=0)
    adapted.adapt(np.array([3, 3, 7, 9, 9, 9, 0, -2]))
    counted = L.IntegerLookup(output_mode="count", max_tokens=9, pad_to_max_tokens=True)
    counted.adapt(np.array([90, 90, 12]))
    outputs = [
        L.IntegerLookup(vocabulary=tokens)(x), adapted(x), counted(x),
        L.IntegerLookup(vocabulary=tokens, num_oov_indices=3, mask_token=5)(x),
        L.IntegerLookup(vocabulary=[0, -1] + tokens, mask_token=0)(x),
        L.IntegerLookup(vocabulary=tokens, invert=True)(x),
        L.IntegerLookup(vocabulary=tokens, invert=True, mask_token=5, oov_token=-9)(x),
        L.IntegerLookup(vocabulary=tokens, num_oov_indices=2, output_mode="multi_hot", mask_token=9)(x),
    ]
    known = keras.Input((4,), dtype="int64")
    outputs += [L.IntegerLookup(vocabulary=tokens, num_oov_indices=0, output_mode=mode)(known) for mode in MODES]
    y = L.Embedding(6, 3, mask_zero=True)(outputs[1])
    ids = np.array([[12, 3, 0, 90, -7], [9, 5, 1, 2, 3], [-1, -2, 4, 0, 7]])
    return keras.Model([x, known], outputs + [L.GRU(2, return_sequences=True)(y)]), [
        ids, np.array([[12, 12, 3, 90], [-7, 90, 3, 12], [3, 3, 3, 3]])]


@case
def weighed(r):
    """By how rare tokens are; the weights of places in front are the mean of the others'."""
    x = keras.Input((4,), dtype="int32")
    adapted = L.IntegerLookup(output_mode="tf_idf", num_oov_indices=2)
    adapted.adapt(np.array([[3, 3, 7, 9], [9, 9, 1, 2], [4, 9, 3, 3]]))
    given = L.IntegerLookup(vocabulary=[5, 3, 9], idf_weights=[0.5, 0.25, 0.75], output_mode="tf_idf")
    y = L.Dense(2)(adapted(x))
    return keras.Model(x, [adapted(x), given(x), y]), [np.array([[9, 9, 3, 1], [5, 8, 3, 3], [0, 6, 11, 4]], "int32")]


@case
def category_encoding(r):
    """What is behind the last category isn't counted."""
    x, y, z = keras.Input((4,), dtype="int32"), keras.Input((1,), dtype="int64"), keras.Input((3, 2), dtype="int32")
    outputs = [L.CategoryEncoding(num_tokens=6, output_mode=mode)(x) for mode in MODES]
    outputs += [L.CategoryEncoding(num_tokens=5, output_mode=mode)(y) for mode in MODES]
    outputs += [L.CategoryEncoding(num_tokens=4, output_mode="one_hot")(z), L.Dense(2, activation="tanh")(outputs[1])]
    return keras.Model([x, y, z], outputs), [
        np.array([[0, 5, 5, 2], [1, 7, 3, 3], [4, 4, 4, 4]], "int32"), np.array([[3], [0], [4]]), r.ids(3, 3, 2) % 4]


@case
def lookup_steps(r):
    """Ids of tokens, step by step."""
    x = keras.Input((None,), dtype="int64")
    y = L.Embedding(7, 3, mask_zero=True)(L.IntegerLookup(vocabulary=[5, 8, 2, 11], mask_token=0, num_oov_indices=2)(x))
    return keras.Model(x, L.Dense(2)(L.LSTM(4, return_sequences=True)(y))), [np.array([[5, 0, 2, 7], [8, 11, 4, 5]])]


def write(name, folder):
    keras.backend.clear_session()
    model, inputs = CASES[name](Numbers(name))
    randomize(model, len(name))
    outputs = call(model, inputs)
    calls = [{"inputs": [array(x) for x in inputs], "outputs": [array(y) for y in outputs]}]
    model.save(str(folder / f"{name}.keras"))
    found = None
    if model.trainable_weights:
        found = gradients(model, inputs, len(name))
    return {"name": name, "calls": calls, "gradients": found}


def main():
    folder = HERE / "categories"
    folder.mkdir(exist_ok=True)
    dump(HERE / "categories.json", [write(name, folder) for name in CASES])
    path = HERE / "categories.json"
    path.write_text(path.read_text().replace('"nan"', '"NaN"'))


if __name__ == "__main__":
    main()
