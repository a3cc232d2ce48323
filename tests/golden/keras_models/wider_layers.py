"""Normalization, dense layers along any axes, attention of several heads, layers over rows and columns; and what Keras
computes with them.

`wider_layers.py` writes wider_layers/, wider_layers.json and wider_layers_doubles.json. Versions: requirements.txt.
Gradients are those of a weighted sum of all outputs.
"""

import random_graphs
from masked_graphs import Numbers
from random_graphs import HERE, L, array, call, dump, gradients, keras, np, randomize

CASES = {}
PARTS = {"query": "query", "key": "key", "gate": "gate", "value": "value", "output": "attention_output"}


def case(function):
    CASES[function.__name__] = function
    return function


def variables(layer, path, others=random_graphs.variables):
    """The weights of layers within layers, too."""
    name = type(layer).__name__
    if name == "SpectralNormalization":
        yield from others(layer.layer, path)
        yield path + "vector_u", layer.vector_u
    elif name in ("MultiHeadAttention", "GroupedQueryAttention"):
        for part, own in PARTS.items():
            dense = getattr(layer, f"_{part}_dense", None)
            if dense is not None:
                yield from random_graphs.own(dense, f"{path}{own}/")
    else:
        yield from others(layer, path)


random_graphs.variables = variables


@case
def normalizations(r):
    """Masks go on; groups along other axes, one for each channel; a causal convolution streams inside."""
    x = keras.Input((5, 6))
    h = L.Masking()(x)
    outputs = [
        L.RMSNormalization()(h), L.RMSNormalization(axis=[-2, -1], epsilon=0.25)(x), L.GroupNormalization(3)(h),
        L.GroupNormalization(-1, center=False)(x), L.GroupNormalization(5, axis=1, scale=False, epsilon=0.5)(x),
        L.SpectralNormalization(L.Dense(3, activation="tanh"), power_iterations=2)(h),
        L.SpectralNormalization(L.Conv1D(2, 3, padding="causal"))(h),
    ]
    return keras.Model(x, outputs + [L.LSTM(2)(y) for y in outputs[:3:2] + outputs[5:]]), [r.masked(3, 5, 6)]


@case
def normalized_steps(r):
    """What runs step by step."""
    x = keras.Input((None, 4))
    y = L.RMSNormalization()(L.EinsumDense("abc,cd->abd", (None, 6), activation="relu", bias_axes="d")(x))
    z = L.SpectralNormalization(L.Conv1D(3, 2, padding="causal"))(y)
    return keras.Model(x, [L.GRU(2, return_sequences=True)(z), L.EinsumDense("...c,cde->...de", (2, 3))(z)]), [r.floats(3, 5, 4)]


@case
def einsum_dense(r):
    x, y = keras.Input((5, 4)), keras.Input((3, 4, 2))
    dense = [
        ("abc,cd->abd", (None, 7), "d", "tanh"), ("abc,cd->abd", 6, None, "relu"), ("...c,dc->...d", 6, "d", "softmax"),
        ("abc,bd->adc", (3, 4), "dc", None), ("abc,bcd->ad", 3, "d", "sigmoid"), ("abc,bcd->abd", (5, 2), "b", None),
        ("ab...,bd->ad...", 3, "d", "relu"), ("abc,cde->aebd", (3, 5, 2), "ed", None), ("abc,bc->abc", (5, 4), "bc", None),
    ]
    outputs = [
        L.EinsumDense(equation, shape if isinstance(shape, tuple) or "..." in equation or equation.endswith("ad") else (5, shape),
                      bias_axes=bias, activation=activation)(x)
        for equation, shape, bias, activation in dense
    ]
    outputs += [L.EinsumDense("abcd,Xcd->abX", (3, 4), bias_axes="X")(y), L.EinsumDense("...cd,cdXY->...YX", (2, 5))(y)]
    return keras.Model([x, y], outputs), [r.floats(3, 5, 4), r.floats(3, 3, 4, 2)]


@case
def multi_head(r):
    """Masks of query, value and key, of pairs of steps; later layers see no mask of what it has read."""
    x, y, z, m = keras.Input((None, 4)), keras.Input((6, 3)), keras.Input((6, 5)), keras.Input((None, 6), dtype="bool")
    h, v, k = L.Masking()(x), L.Masking()(y), L.Masking()(z)
    before = [L.LSTM(2)(h)]
    a = L.MultiHeadAttention(2, 3)(h, v)
    b = L.MultiHeadAttention(3, 2, value_dim=4, output_shape=7, use_gate=True)(x, y, key=k, attention_mask=m)
    c = L.MultiHeadAttention(2, 3, use_bias=False, sliding_window=2, output_shape=(2, 3))(x, y)
    d, scores = L.MultiHeadAttention(2, 2, dropout=0.3)(x, y, return_attention_scores=True, attention_mask=m)
    e = L.MultiHeadAttention(2, 2, dropout=0.5)(L.Masking()(x), L.Masking()(y), use_causal_mask=True)
    s = L.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)
    after = [L.GRU(2)(a), L.GRU(2)(h), L.GRU(2)(v), L.LSTM(2)(e), L.LayerNormalization()(L.Add()([s, x]))]
    mask = np.array(r.rng.random((3, 5, 6)) < 0.7)
    mask[1, 2] = False
    return keras.Model([x, y, z, m], before + [a, b, c, d, scores, e] + after), [
        r.masked(3, 5, 4), r.masked(3, 6, 3), r.floats(3, 6, 5), mask]


@case
def group_query(r):
    """Heads of the query that share one of the key and the value; masks stay where they are."""
    x, y, m = keras.Input((None, 4)), keras.Input((6, 4)), keras.Input((None, 6), dtype="bool")
    h, v = L.Masking()(x), L.Masking()(y)
    a = L.GroupQueryAttention(3, 4, 2)(h, v)
    b = L.GroupQueryAttention(2, 6, 2, use_gate=True, use_bias=False)(x, y, attention_mask=m)
    c, scores = L.GroupQueryAttention(2, 4, 1, sliding_window=3)(h, v, return_attention_scores=True)
    s = L.GroupQueryAttention(3, 2, 2, dropout=0.5)(x, x, use_causal_mask=True)
    after = [L.GRU(2)(a), L.GRU(2)(h), L.GRU(2)(v), L.LSTM(2)(c)]
    mask = np.array(r.rng.random((3, 5, 6)) < 0.7)
    return keras.Model([x, y, m], [a, b, c, scores, s] + after), [r.masked(3, 5, 4), r.masked(3, 6, 4), mask]


def _convolutions(rank):
    sizes = (5, 6) if rank == 2 else (3, 4, 3)
    name = f"Conv{rank}D"

    def build(r):
        x = keras.Input((*((None,) * rank), 4))
        make = getattr(L, name)
        stands = [("valid", 1, 1, 1, "tanh"), ("same", 2, 1, 1, "relu"), ("same", 1, 2, 1, None), ("valid", 2, 1, 2, "softmax")]
        outputs = [
            make(4 + i, (2, 3, 2)[:rank] if i else 2, strides=strides, padding=padding, dilation_rate=dilation, groups=groups,
                 activation=activation, use_bias=i != 1) if groups == 1 else
            make(6, (3, 1, 2)[:rank], strides=(1, 2, 1)[:rank], padding=padding, groups=groups, activation=activation)
            for i, (padding, strides, dilation, groups, activation) in enumerate(stands)
        ]
        outputs = [layer(x) for layer in outputs]
        if rank == 2:
            outputs += [L.DepthwiseConv2D((3, 2), depth_multiplier=2, padding="same", activation="relu")(x)]
            outputs += [L.DepthwiseConv2D(2, strides=2)(x), L.SeparableConv2D(5, (2, 3), depth_multiplier=2, padding="same")(x)]
        return keras.Model(x, outputs), [r.floats(2, *sizes, 4)]

    build.__name__ = f"conv{rank}d"
    return case(build)


def _pooling(rank):
    sizes = (4, 7) if rank == 2 else (3, 4, 2)

    def build(r):
        x = keras.Input((*sizes, 3))
        y = L.ReLU()(x) if rank == 2 else x
        layer = lambda kind: getattr(L, f"{kind}{rank}D")
        outputs = []
        for kind in (layer("MaxPooling"), layer("AveragePooling")):
            for size, strides, padding in ((2, None, "valid"), ((2, 3, 2)[:rank], (1, 2, 1)[:rank], "same"), (3, (2, 1, 2)[:rank], "same")):
                outputs.append(kind(size, strides, padding)(y))
        for kind in (layer("GlobalMaxPooling"), layer("GlobalAveragePooling")):
            outputs += [kind()(x), kind(keepdims=True)(y)]
        pairs = ((1, 0), (2, 3), (0, 1))[:rank]
        outputs += [layer("ZeroPadding")(pairs)(x), layer("ZeroPadding")(1)(x), layer("UpSampling")((2, 3, 1)[:rank])(x)]
        outputs += [layer("Cropping")(((1, 1), (0, 2), (1, 0))[:rank])(x)]
        return keras.Model(x, outputs), [r.floats(2, *sizes, 3)]

    build.__name__ = f"pooling{rank}d"
    return case(build)


for rank in (2, 3):
    _convolutions(rank)
    _pooling(rank)


@case
def channels_of_rows_first(r):
    first = {"data_format": "channels_first"}
    # TensorFlow has no such convolutions on a CPU.
    x, y = keras.Input((3, 6, 5)), keras.Input((2, 4, 3, 5))
    outputs = [
        L.MaxPooling2D(2, **first)(x),
        L.GlobalAveragePooling2D(**first)(x), L.GlobalMaxPooling2D(keepdims=True, **first)(x),
        L.ZeroPadding2D(((1, 0), (0, 2)), **first)(x), L.Cropping2D(1, **first)(x), L.UpSampling2D((2, 1), **first)(x),
        L.AveragePooling2D(2, 1, "same", **first)(x), L.ZeroPadding3D(1, **first)(y), L.GlobalMaxPooling3D(**first)(y),
    ]
    return keras.Model([x, y], outputs), [r.floats(2, 3, 6, 5), r.floats(2, 2, 4, 3, 5)]


@case
def video(r):
    """Pictures one after another: each by a convolution, their sequence by a layer over time. Runs step by step."""
    x = keras.Input((4, 6, 5, 2))
    y = L.TimeDistributed(L.Conv2D(3, (3, 2), activation="relu"))(x)
    y = L.TimeDistributed(L.MaxPooling2D(2))(y)
    y = L.TimeDistributed(L.DepthwiseConv2D(2, padding="same"))(y)
    z = L.GRU(3, return_sequences=True)(L.TimeDistributed(L.Flatten())(y))
    w = L.LSTM(2, return_sequences=True)(L.TimeDistributed(L.GlobalAveragePooling2D())(L.TimeDistributed(L.ZeroPadding2D(1))(y)))
    return keras.Model(x, [z, L.Dense(2)(w)]), [r.floats(2, 4, 6, 5, 2)]


@case
def lines_of_text(r):
    """Columns of a picture as steps: what reads text does so."""
    x = keras.Input((8, 6, 1))
    y = L.MaxPooling2D((2, 2))(L.Conv2D(4, 3, padding="same", activation="relu")(x))
    y = L.BatchNormalization()(L.Conv2D(3, (3, 2), padding="same")(y))
    y = L.Reshape((3, 12))(L.Permute((2, 1, 3))(y))
    return keras.Model(x, L.Dense(5, activation="softmax")(L.Bidirectional(L.LSTM(3, return_sequences=True))(y))), [
        r.floats(2, 8, 6, 1)]


def doubles(folder):
    """A model of float64, with all its digits."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    keras.backend.set_floatx("float64")
    x, y = keras.Input((6, 5)), keras.Input((5, 6, 2))
    h = L.RMSNormalization()(L.EinsumDense("abc,cd->abd", (6, 8), bias_axes="d", bias_initializer="glorot_uniform")(x))
    g = L.GroupNormalization(4)(h)
    a = L.MultiHeadAttention(2, 3, use_gate=True)(g, h, use_causal_mask=True)
    b = L.GroupQueryAttention(3, 4, 2)(a, g)
    c = L.Conv2D(5, (2, 3), padding="same", activation="tanh")(y)
    outputs = [g, a, b, c, L.SeparableConv2D(4, 2)(c), L.AveragePooling2D(2)(c), L.SpectralNormalization(L.Dense(3))(b)]
    model = keras.Model([x, y], outputs)
    rng = np.random.default_rng(5)
    inputs = [rng.uniform(-1, 1, (2, 6, 5)), rng.uniform(-1, 1, (2, 5, 6, 2))]
    exact = lambda a: {"shape": list(a.shape), "data": [float(v) for v in np.asarray(a).ravel()]}
    model.save(str(folder / "doubles.keras"))
    keras.backend.set_floatx("float32")
    return {"name": "doubles", "inputs": [exact(x) for x in inputs], "outputs": [exact(y) for y in model(inputs)]}


def write(name, folder):
    keras.backend.clear_session()
    model, inputs = CASES[name](Numbers(name))
    randomize(model, len(name))
    calls = [{"inputs": [array(x) for x in inputs], "outputs": [array(y) for y in call(model, inputs)]}]
    lines = []
    model.summary(print_fn=lambda line, **_: lines.append(line))
    model.save(str(folder / f"{name}.keras"))
    found = gradients(model, inputs, len(name))
    return {"name": name, "calls": calls, "gradients": found, "summary": "\n".join(lines)}


def main():
    folder = HERE / "wider_layers"
    folder.mkdir(exist_ok=True)
    dump(HERE / "wider_layers_doubles.json", [doubles(folder)])
    dump(HERE / "wider_layers.json", [write(name, folder) for name in CASES])


if __name__ == "__main__":
    main()
