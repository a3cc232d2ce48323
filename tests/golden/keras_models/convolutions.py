"""Convolutions, pooling, padding, cropping and upsampling over time, and what Keras computes with them.

`convolutions.py` writes convolutions/ and convolutions.json; with KERAS_2 in the environment those of tf_keras, in
convolutions_keras2/. Versions: requirements.txt. Gradients are those of a weighted sum of all outputs.
"""

from masked_graphs import Numbers
from random_graphs import HERE, KERAS_2, L, array, call, dump, gradients, keras, np, randomize

CASES = {}

# (strides, dilation, groups)
STANDS = [(1, 1, 1), (2, 1, 1), (3, 1, 2), (1, 2, 1), (1, 3, 2)]
ACTIVATIONS = ["tanh", "linear", "relu", "softmax", "sigmoid"]


def case(function):
    CASES[function.__name__] = function
    return function


def _conv1d(padding):
    def build(r):
        x = keras.Input((None, 4) if padding == "same" else (8, 4))
        outputs = []
        for i, (strides, dilation, groups) in enumerate(STANDS):
            layer = L.Conv1D(2 * groups + 1 * (groups == 1), 1 + (i + 2) % 4, strides=strides, dilation_rate=dilation,
                             groups=groups, padding=padding, activation=ACTIVATIONS[i], use_bias=i != 2)
            outputs.append(layer(x))
        return keras.Model(x, outputs), [r.floats(3, 8, 4)]

    build.__name__ = f"conv1d_{padding}"
    return case(build)


for padding in ["valid", "same", "causal"]:
    _conv1d(padding)


@case
def cnn_lstm(r):
    """Convolutions between other layers: a mask ends at the first, a window longer than the sequence."""
    x = keras.Input((6, 3))
    y = L.Conv1D(5, 9, padding="same", activation="relu")(L.Masking()(x))
    y = L.Conv1D(4, 3, dilation_rate=2, padding="causal")(y)
    z = L.LSTM(3, return_sequences=True)(y)
    shared = L.Conv1D(3, 2, padding="causal", activation="gelu")
    return keras.Model(x, [z, shared(shared(z)), L.GRU(2)(shared(x))]), [r.masked(3, 6, 3)]


@case
def causal_chain(r):
    """What runs step by step."""
    x = keras.Input((None, 3))
    y = L.Conv1D(4, 3, padding="causal", activation="relu")(x)
    y = L.Conv1D(6, 2, dilation_rate=3, padding="causal", groups=2, activation="tanh")(y)
    y = L.Conv1D(5, 1)(y)
    z = L.GRU(3, return_sequences=True)(y)
    return keras.Model(x, [L.Dense(2)(z), L.Add()([L.Dense(6)(z), L.Conv1D(6, 4, padding="causal")(y)])]), [r.floats(3, 7, 3)]


@case
def so_far(r):
    """Pooling of all steps, step by step: of those that there have been."""
    x = keras.Input((None, 3))
    y = L.GRU(4, return_sequences=True)(L.Masking()(x))
    causal = L.Conv1D(3, 2, dilation_rate=2, padding="causal")(y)
    outputs = [L.GlobalAveragePooling1D(keepdims=True)(y), L.GlobalMaxPooling1D()(y), L.GlobalMaxPooling1D()(causal)]
    outputs += [L.Dense(2)(L.GlobalAveragePooling1D()(causal)), L.GlobalAveragePooling1D()(L.Masking()(x))]
    return keras.Model(x, outputs), [r.masked(3, 6, 3)]


@case
def each_step(r):
    """Inside TimeDistributed, and inside a model within."""
    x = keras.Input((4, 7, 2))
    inner_input = keras.Input((7, 2))
    inner = keras.Model(inner_input, L.Flatten()(L.Conv1D(2, 3, strides=2, activation="tanh")(inner_input)))
    y = L.TimeDistributed(L.Conv1D(3, 3, padding="causal", activation="relu"))(x)
    z = L.TimeDistributed(inner)(x)
    return keras.Model(x, [y, L.LSTM(2, return_sequences=True)(z)]), [r.floats(3, 4, 7, 2)]


@case
def depthwise(r):
    """Each channel by itself; Keras 2 has no strides with a dilation."""
    x = keras.Input((8, 4))
    stands = [(1, 1, 1), (2, 1, 2), (1, 2, 3), (3, 1, 1)] + ([] if KERAS_2 else [(2, 2, 2)])
    outputs = []
    for i, (strides, dilation, multiplier) in enumerate(stands):
        for padding in ("valid", "same"):
            outputs.append(L.DepthwiseConv1D(
                2 + i % 3, strides=strides, dilation_rate=dilation, depth_multiplier=multiplier, padding=padding,
                activation=ACTIVATIONS[i], use_bias=i != 1)(x))
    wide = L.Dense(18)(x)
    outputs.append(L.DepthwiseConv1D(3, padding="same")(wide))
    return keras.Model(x, outputs), [r.floats(3, 8, 4)]


@case
def separable(r):
    x = keras.Input((None, 4))
    stands = [(1, 1, 1), (2, 1, 2), (1, 2, 3), (3, 1, 1)] + ([] if KERAS_2 else [(2, 2, 2)])
    outputs = []
    for i, (strides, dilation, multiplier) in enumerate(stands):
        for padding in ("valid", "same") + (("causal",) if KERAS_2 else ()):
            outputs.append(L.SeparableConv1D(
                3 + i, 2 + i % 3, strides=strides, dilation_rate=dilation, depth_multiplier=multiplier,
                padding=padding, activation=ACTIVATIONS[i], use_bias=i != 1)(x))
    return keras.Model(x, outputs), [r.floats(3, 8, 4)]


@case
def pooling(r):
    """Equal numbers among them, as relu makes them."""
    x = keras.Input((7, 3))
    y = L.ReLU()(x)
    outputs = []
    for kind in (L.MaxPooling1D, L.AveragePooling1D):
        for size, strides in ((2, None), (3, 1), (2, 3), (3, 2), (4, 2)):
            for padding in ("valid", "same"):
                outputs.append(kind(size, strides, padding)(y))
        outputs.append(kind(9, padding="same")(x))
    outputs += [L.GlobalMaxPooling1D()(y), L.GlobalAveragePooling1D()(y)]
    outputs += [L.GlobalMaxPooling1D(keepdims=True)(x), L.GlobalAveragePooling1D(keepdims=True)(x)]
    return keras.Model(x, outputs), [r.floats(3, 7, 3)]


@case
def masked_pooling(r):
    """Only the mean of all steps looks at masks."""
    x, i, m = keras.Input((None, 3)), keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="bool")
    a, e = L.Masking()(x), L.Embedding(9, 3, mask_zero=True)(i)
    outputs = [
        L.GlobalAveragePooling1D()(a), L.GlobalAveragePooling1D(keepdims=True)(e), L.GlobalMaxPooling1D()(a),
        L.GlobalAveragePooling1D()(x, mask=m), L.GlobalAveragePooling1D()(a, mask=m),
        L.GRU(2)(L.MaxPooling1D(2)(a)), L.GlobalAveragePooling1D()(L.AveragePooling1D(2)(e)),
        L.GlobalAveragePooling1D()(L.LSTM(4, return_sequences=True)(e)),
    ]
    mask = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1], [1, 1, 0, 1, 1]], "bool")
    return keras.Model([x, i, m], outputs), [r.masked(3, 5, 3), r.ids(3, 5), mask]


@case
def moved_steps(r):
    """Padded, cropped, repeated; masks end there."""
    x = keras.Input((6, 2))
    a = L.Masking()(x)
    outputs = [
        L.ZeroPadding1D(2)(a), L.ZeroPadding1D((1, 0))(x), L.ZeroPadding1D((0, 3))(x), L.Cropping1D(2)(x),
        L.Cropping1D((0, 4))(a), L.Cropping1D((3, 0))(x), L.UpSampling1D(3)(x), L.UpSampling1D(1)(a),
        L.GRU(2)(L.ZeroPadding1D(1)(a)), L.GRU(2)(L.UpSampling1D()(a)), L.GlobalAveragePooling1D()(L.Cropping1D(1)(a)),
    ]
    return keras.Model(x, outputs), [r.masked(3, 6, 2)]


@case
def text_cnn(r):
    """Windows of several widths over words."""
    i = keras.Input((9,), dtype="int32")
    e = L.Embedding(10, 5)(i)
    towers = [L.GlobalMaxPooling1D()(L.Conv1D(4, size, activation="relu")(e)) for size in (2, 3, 4)]
    y = L.Concatenate()(towers)
    z = L.Bidirectional(L.LSTM(3))(L.MaxPooling1D(2)(L.BatchNormalization()(L.Conv1D(4, 3, padding="same")(e))))
    return keras.Model(i, L.Dense(2, activation="softmax")(L.Concatenate()([y, z]))), [r.ids(3, 9)]


@case
def channels_first(r):
    """Time as the last axis."""
    x = keras.Input((4, 8))
    first = {"data_format": "channels_first"}
    outputs = [
        L.Conv1D(3, 3, activation="tanh", **first)(x),
        L.Conv1D(6, 2, strides=2, padding="same", **first)(x),
        L.Conv1D(5, 2, dilation_rate=2, padding="causal", **first)(x),
        L.SeparableConv1D(3, 2, strides=2, **first)(x),
        L.MaxPooling1D(3, **first)(x), L.AveragePooling1D(3, 2, "same", **first)(x),
        L.GlobalMaxPooling1D(**first)(x), L.GlobalAveragePooling1D(keepdims=True, **first)(x),
    ]
    if not KERAS_2:
        # tf_keras has no gradient of the one and no such option of the other.
        outputs += [L.DepthwiseConv1D(3, depth_multiplier=2, **first)(x), L.ZeroPadding1D((1, 2), **first)(x)]
    return keras.Model(x, outputs), [r.floats(3, 4, 8)]


def doubles(folder):
    """A model of float64, with all its digits."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    keras.backend.set_floatx("float64")
    x = keras.Input((9, 3))
    y = L.Conv1D(19, 3, padding="causal", dilation_rate=2, activation="tanh")(x)
    z = L.SeparableConv1D(6, 2, depth_multiplier=2, bias_initializer="glorot_uniform")(L.MaxPooling1D(2, 1)(y))
    w = L.DepthwiseConv1D(3, strides=2, padding="same")(L.AveragePooling1D(2, padding="same")(y))
    outputs = [y, z, w, L.GlobalAveragePooling1D()(z), L.Conv1D(4, 2, groups=2)(z)]
    model = keras.Model(x, outputs)
    inputs = np.random.default_rng(5).uniform(-1, 1, (2, 9, 3))
    exact = lambda a: {"shape": list(a.shape), "data": [float(v) for v in np.asarray(a).ravel()]}
    model.save(str(folder / "doubles.keras"))
    keras.backend.set_floatx("float32")
    return {"name": "doubles", "input": exact(inputs), "outputs": [exact(y) for y in model(inputs)]}


# Those that tell tf_keras from Keras 3, if any do.
OF_KERAS_2 = ["conv1d_causal", "depthwise", "separable", "pooling", "masked_pooling", "moved_steps", "channels_first", "so_far"]


def write(name, folder):
    keras.backend.clear_session()
    model, inputs = CASES[name](Numbers(name))
    randomize(model, len(name))
    calls = [{"inputs": [array(x) for x in inputs], "outputs": [array(y) for y in call(model, inputs)]}]
    model.save(str(folder / f"{name}.{'h5' if KERAS_2 else 'keras'}"))
    return {"name": name, "calls": calls, "gradients": gradients(model, inputs, len(name))}


def main():
    folder = HERE / ("convolutions_keras2" if KERAS_2 else "convolutions")
    folder.mkdir(exist_ok=True)
    if not KERAS_2:
        dump(HERE / "convolutions_doubles.json", [doubles(folder)])
    dump(HERE / f"{folder.name}.json", [write(name, folder) for name in (OF_KERAS_2 if KERAS_2 else CASES)])


if __name__ == "__main__":
    main()
