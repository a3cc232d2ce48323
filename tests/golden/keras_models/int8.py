"""Models whose layers Keras's `quantize("int8")` has put into bytes, and what Keras computes with them.

`int8.py` writes int8/ and int8.json. Versions: requirements.txt. `quantized` are the layers in bytes: class, types of the
weights, number of their elements. The files refused_* are what other modes and quantizers make.
"""

from masked_graphs import Numbers
from random_graphs import HERE, L, array, call, dump, keras, np, randomize

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


@case
def words(r):
    """A table with a mask, a layer over time that stays as it is, a head."""
    x = keras.Input((6,), dtype="int32")
    y = L.LSTM(5)(L.Embedding(9, 4, mask_zero=True)(x))
    return keras.Model(x, L.Dense(3, activation="softmax")(L.Dense(7, activation="relu")(y))), [r.ids(3, 6)]


@case
def sequence(r):
    """Rows of each step, without a bias; a stream gives the same."""
    x = keras.Input((5, 3))
    y = L.Dense(6, use_bias=False, activation="tanh")(x)
    y = L.GRU(4, return_sequences=True)(y)
    y = L.TimeDistributed(L.Dense(5, activation="relu"))(y)
    return keras.Model(x, L.Dense(2, use_bias=False)(y)), [r.floats(2, 5, 3)]


@case
def both_directions(r):
    x = keras.Input((4, 3))
    y = L.Bidirectional(L.LSTM(3, return_sequences=True))(L.LayerNormalization()(x))
    y = L.TimeDistributed(L.TimeDistributed(L.Dense(4)))(L.Reshape((4, 2, 3))(y))
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), [r.floats(3, 4, 3)]


@case
def equations(r):
    """Heads apart and together again, step by step."""
    x = keras.Input((4, 3))
    y = L.EinsumDense("abc,cde->abde", output_shape=(None, 2, 5), bias_axes="de", activation="relu")(x)
    y = L.EinsumDense("abcd,cde->abe", output_shape=(None, 3), bias_axes="e")(y)
    return keras.Model(x, L.SimpleRNN(2, return_sequences=True)(y)), [r.floats(2, 4, 3)]


@case
def other_equations(r):
    """Kernels side by side, and outputs in another order than the products'."""
    x = keras.Input((5, 4))
    outputs = [
        L.EinsumDense("abc,bcd->abd", output_shape=(5, 3), bias_axes="d")(x),
        L.EinsumDense("abc,cd->adb", output_shape=(3, 5), bias_axes="d")(x),
        L.EinsumDense("abc,cde->adbe", output_shape=(2, 5, 3), activation="tanh")(x),
        L.EinsumDense("abc,bd->acd", output_shape=(4, 6), bias_axes="cd")(x),
        L.EinsumDense("abc,bcd->ad", output_shape=(7,), bias_axes="d", activation="softmax")(x),
        L.EinsumDense("abc,bcde->abed", output_shape=(5, 2, 3))(x),
    ]
    return keras.Model(x, outputs), [r.floats(2, 5, 4)]


@case
def wide(r):
    """More columns than a line holds; rows of zeros, of tiny and of huge numbers; numbers halfway between two bytes."""
    x = keras.Input((70,))
    rows = r.floats(7, 70)
    rows[1] = 0
    rows[2] *= 1e-8
    rows[3] *= 1e20
    rows[4] = np.round(rows[4] * 127) + 0.5
    rows[4, 0] = 127
    rows[5, 1:] = 0
    rows[6, :] = -rows[6, 0]
    return keras.Model(x, [L.Dense(37)(x), L.Dense(16, activation="elu")(x), L.Dense(1)(x)]), [rows]


@case
def within(r):
    """A model within a model, both with such layers, and one table for two layers."""
    ids, x = keras.Input((4,), dtype="int32"), keras.Input((4, 3))
    table, z = L.Embedding(9, 5), keras.Input((4, 3))
    inner = keras.Model(z, L.Dense(5, activation="sigmoid")(z), name="inner")
    both = L.Concatenate()([table(ids), inner(x)])
    return keras.Model([ids, x], [L.GRU(3)(both), L.Dense(2)(table(ids))]), [r.ids(3, 4), r.floats(3, 4, 3)]


@case
def chain(r):
    model = keras.Sequential([
        keras.Input((None, 4)),
        L.Dense(5, activation="relu"),
        L.LSTM(6, return_sequences=True),
        L.TimeDistributed(L.Dense(3, use_bias=False)),
        # Bytes as numbers make numbers, and what f32 leaves of them, a hundred times too large.
        L.Rescaling(0.01),
    ])
    return model, [r.floats(2, 7, 4)]


def weights(model):
    """Each layer's, by its class, with the type that Keras keeps it in."""
    found = []
    for layer in model._flatten_layers():
        if getattr(layer, "quantization_mode", None) == "int8":
            found.append([type(layer).__name__, [str(w.dtype) for w in layer.weights], int(layer.count_params())])
    return found


def write(name, folder):
    keras.backend.clear_session()
    model, inputs = CASES[name](Numbers(name))
    randomize(model, len(name))
    model.quantize("int8")
    model.save(str(folder / f"{name}.keras"))
    # Keras reads its own file as it was.
    again = keras.models.load_model(str(folder / f"{name}.keras"))
    outputs, same = call(model, inputs), call(again, inputs)
    assert all(np.array_equal(a, b) for a, b in zip(outputs, same)), name
    if name in ("words", "both_directions"):
        model.save(str(folder / f"{name}.h5"))
    calls = [{"inputs": [array(x) for x in inputs], "outputs": [array(y) for y in outputs]}]
    return {"name": name, "calls": calls, "quantized": weights(model), "params": int(model.count_params())}


def refused(folder):
    """Of one model what other modes and quantizers make."""
    from keras.quantizers import AbsMaxQuantizer, Int8QuantizationConfig

    def save(name, dtype=None, head=None, **options):
        keras.backend.clear_session()
        x = keras.Input((4, 8))
        model = keras.Model(x, (head or L.Dense(6, dtype=dtype, name="head"))(L.LSTM(8, return_sequences=True)(x)))
        randomize(model, 3)
        model.quantize(**options)
        model.save(str(folder / f"refused_{name}.keras"))

    narrow = Int8QuantizationConfig(activation_quantizer=AbsMaxQuantizer(value_range=(-63, 63)))
    alone = L.EinsumDense("abc,d->abd", output_shape=(None, 6), name="head")
    save("int4", mode="int4")
    save("float8", mode="float8")
    save("floats", config=Int8QuantizationConfig(activation_quantizer=None))
    save("narrow", config=narrow)
    save("double", dtype="float64", mode="int8")
    save("alone", head=alone, mode="int8")
    save("heads", head=Heads(), mode="int8")


class Heads:
    """Attention, whose projections become bytes, too: Keras writes such a file and can't read it."""

    def __call__(self, x):
        return L.MultiHeadAttention(2, 3, name="head")(x, x)


def main():
    folder = HERE / "int8"
    folder.mkdir(exist_ok=True)
    cases = [write(name, folder) for name in CASES]
    dump(HERE / "int8.json", cases)
    refused(folder)


if __name__ == "__main__":
    main()
