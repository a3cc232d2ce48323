"""Gradients of models from files: those of ../keras_models, and graphs that are saved here, in graph_models/.

A file of float32 is checked in both types: its twin in float64 has the same weights.
"""

import json
import zlib

from flow import HERE, near, write
from oracle import entry, keras, np, tf

L = keras.layers
MODELS = HERE / "graph_models"
FORWARD = HERE.parent / "keras_models"
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


class Rng:
    """Seeded numbers of few digits, none of them zero; each case has its own."""

    def __init__(self, name, attempt):
        self.rng = np.random.default_rng(zlib.crc32(f"{name}/{attempt}".encode()))

    def floats(self, *shape, scale=1.0):
        return np.round(np.round(self.rng.uniform(-scale, scale, shape), 3) + 0.0005, 4)

    def ids(self, high, *shape):
        return self.rng.integers(1, high, shape).astype("int32")

    def padded(self, high, *shape):
        """Ids with zeros at the end, at the start and within."""
        ids = self.ids(high, *shape)
        flat = ids.reshape(-1, shape[-1])
        flat[0, -2:] = 0
        flat[1, 0] = 0
        flat[1, 2] = 0
        return ids


# --- graphs -------------------------------------------------------------------------------------------------------


@case
def translator(r):
    """Ids on both sides through one table; the states of both directions begin the decoder; two outputs."""
    source, target = keras.Input((None,), dtype="int32", name="source"), keras.Input((None,), dtype="int32", name="target")
    table = L.Embedding(11, 4, mask_zero=True, name="table")
    encoded, *states = L.Bidirectional(L.LSTM(3, return_sequences=True, return_state=True), name="encoder")(table(source))
    h, c = L.Concatenate(name="h")(states[::2]), L.Concatenate(name="c")(states[1::2])
    decoded, h, c = L.LSTM(6, return_sequences=True, return_state=True, name="decoder")(table(target), initial_state=[h, c])
    words = L.TimeDistributed(L.Dense(5, activation="softmax"), name="words")(decoded)
    tone = L.Dense(2, name="tone")(L.Concatenate()([h, c, L.GRU(7, name="summary")(encoded)]))
    return keras.Model([source, target], [words, tone]), [r.padded(11, 3, 5), r.padded(11, 3, 4)]


@case
def shared_everything(r):
    """Layers with weights of each kind called on two inputs of different lengths, one of them behind the other."""
    a, b = keras.Input((None, 4), name="a"), keras.Input((None, 4), name="b")
    dense, slope, normal = L.Dense(4, activation="tanh"), L.PReLU(shared_axes=[1]), L.LayerNormalization()
    batch, gru = L.BatchNormalization(), L.GRU(4, return_sequences=True, return_state=True)

    def through(x, **state):
        sequence, last = gru(batch(normal(slope(dense(x)))), **state)
        return sequence, last

    x, h = through(a)
    y, last = through(b, initial_state=h)
    z, _ = through(L.Add()([x, a]))
    return keras.Model([a, b], [y, L.Multiply()([last, h]), z]), [
        r.floats(3, 5, 4), r.floats(3, 6, 4)]


@case
def spread(r):
    """Merging layers of three inputs that are spread over each other, equal elements among them; slopes at zero."""
    a, b, c = keras.Input((5, 4), name="a"), keras.Input((4,), name="b"), keras.Input((5, 1), name="c")
    inputs = [a, b, c]
    outputs = [merge()(inputs) for merge in (L.Add, L.Multiply, L.Average, L.Maximum, L.Minimum)]
    outputs += [L.Subtract()([b, a]), L.Subtract()([c, b]), L.Maximum()([b, a]), L.Minimum()([c, a])]
    outputs += [L.Concatenate(axis=1)([a, L.RepeatVector(2)(b), a]), L.Concatenate()([a, c, a])]
    outputs += [L.PReLU(shared_axes=[1])(a)]
    x, y, z = r.floats(3, 5, 4), r.floats(3, 4), r.floats(3, 5, 1)
    x[0, 1], x[1, 2], z[2, 3, 0] = y[0], z[1, 2, 0], y[2, 1]
    x[1, 0, 2] = x[2, 4, 1] = 0
    return keras.Model(inputs, outputs), [x, y, z]


@case
def normalizations(r):
    """Along axes of each kind, shared and frozen, inside TimeDistributed; slopes of each shape."""
    x = keras.Input((5, 4))
    y = L.BatchNormalization(axis=1, epsilon=0.02)(x)
    y = L.PReLU(shared_axes=[1, 2])(L.LayerNormalization(axis=[1, 2])(y))
    y = L.TimeDistributed(L.LayerNormalization(epsilon=0.1))(L.LayerNormalization(axis=1, scale=False)(y))
    y = L.TimeDistributed(L.BatchNormalization(center=False))(L.PReLU()(y))
    frozen = L.BatchNormalization(trainable=False)
    y = L.Reshape((2, 10))(frozen(L.LSTM(4, return_sequences=True)(y)))
    y = L.Dense(3)(L.BatchNormalization(scale=False)(L.LayerNormalization(center=False)(y)))
    return keras.Model(x, [y, L.TimeDistributed(L.PReLU(shared_axes=[1]))(L.Permute((2, 1))(y))]), [r.floats(3, 5, 4)]


@case
def sentences(r):
    """A model of words inside TimeDistributed, called on two texts; TimeDistributed within itself."""
    reader = keras.Sequential([
        keras.Input((6,), dtype="int32"), L.Embedding(9, 4), L.Dropout(0.3), L.Bidirectional(L.GRU(3), merge_mode="sum"),
        L.Dense(5, activation="softplus"),
    ], name="reader")
    long, short = keras.Input((4, 6), dtype="int32", name="long"), keras.Input((2, 6), dtype="int32", name="short")
    each = L.TimeDistributed(reader, name="each")
    rows = L.TimeDistributed(L.RepeatVector(2))(each(long))
    deep = L.TimeDistributed(L.TimeDistributed(L.Dense(3)))(rows)
    joined = L.SimpleRNN(2, activation="sigmoid")(L.TimeDistributed(L.Flatten())(deep))
    return keras.Model([long, short], [joined, each(short)]), [r.ids(9, 3, 4, 6), r.ids(9, 3, 2, 6)]


@case
def masks_and_softmax(r):
    """Masks that are made, joined, and read by a softmax; activations that look at a whole row."""
    # The mask spreads as numpy does it: (batch, timesteps) over the last two axes.
    x, y = keras.Input((4, 4), name="x"), keras.Input((4, 3), name="y")
    masked = L.Masking(0.25)(x)
    weights = L.Softmax(axis=1)(masked)
    gated = L.Activation("softsign")(L.Dense(5)(masked))
    joined = L.Concatenate()([L.Masking()(y), L.LSTM(5, return_sequences=True, zero_output_for_mask=True)(gated)])
    last = L.Bidirectional(L.SimpleRNN(2), merge_mode="mul")(joined)
    chosen = L.Activation("sparsemax")(L.Dense(6, activation="log_softmax")(joined))
    a, b = r.floats(4, 4, 4), r.floats(4, 4, 3)
    a[0, 3] = a[1, 1] = a[2] = 0.25
    b[0, 2:] = b[2] = b[3, 0] = 0
    return keras.Model([x, y], [last, weights, chosen]), [a, b]


@case
def directions(r):
    """Directions that aren't merged, of which the loss may read one alone, and states that nobody reads."""
    x = keras.Input((None, 3))
    forward, backward = L.Bidirectional(L.GRU(4, return_sequences=True), merge_mode=None)(x)
    cells = L.RNN([L.LSTMCell(2), L.GRUCell(5)], return_state=True, return_sequences=True, go_backwards=True)
    sequence, _, state = cells(backward)
    both = L.Bidirectional(L.LSTM(2, return_state=True), merge_mode=None)
    _, back, *states = both(sequence)
    del forward
    return keras.Model(x, [back, states[3], state]), [r.floats(3, 6, 3)]


@case
def doubles(r):
    """Layers of float64 behind an input of float32, which Keras casts; a model within that casts again."""
    x, y = keras.Input((None, 3), dtype="float32"), keras.Input((4,), dtype="float64")
    inner_input = keras.Input((None, 4), dtype="float32")
    inner = keras.Model(inner_input, L.LSTM(2)(L.LeakyReLU(0.3)(inner_input)), name="inner")
    h = L.Dense(4, activation="elu")(y)
    z = L.GRU(4, return_sequences=True, reset_after=False)(x, initial_state=h)
    return keras.Model([x, y], [inner(z), L.LayerNormalization()(z)]), [r.floats(3, 5, 3), r.floats(3, 4)]


DOUBLE = {"doubles"}
# Nothing but one layer, or what another case has too: no need for their weight in the repository.
LEFT_OUT = {
    "simple_rnn", "lstm", "gru", "gru_reset_before", "unrolled", "rnn_of_a_cell", "bidirectional_concat", "bidirectional_sum",
    "bidirectional_ave", "trained_classifier", "trained_forecaster",
}


# --- names, in the crate's words -----------------------------------------------------------------------------------


def cells(cell, path):
    if isinstance(cell, L.StackedRNNCells):
        for i, inner in enumerate(cell.cells):
            yield from cells(inner, f"{path}{i}/")
    else:
        yield from own(cell, path)


def own(layer, path):
    for name in ("kernel", "recurrent_kernel", "bias", "embeddings", "alpha", "gamma", "beta"):
        variable = getattr(layer, name, None)
        if variable is not None:
            yield path + name, variable


def variables(layer, path):
    """(name, variable) of each weight of a layer."""
    if isinstance(layer, keras.Model):
        for inner in layer.layers:
            yield from variables(inner, f"{path}{inner.name}/")
    elif isinstance(layer, L.Bidirectional):
        yield from variables(layer.forward_layer, path + "forward/")
        yield from variables(layer.backward_layer, path + "backward/")
    elif isinstance(layer, L.TimeDistributed):
        yield from variables(layer.layer, path)
    elif isinstance(layer, L.RNN):
        yield from cells(layer.cell, path)
    else:
        yield from own(layer, path)


def trained(model):
    """Those that Keras trains. A model may stand at two places: the crate has its weights under both then."""
    wanted = {id(v) for v in model.trainable_variables}
    found = [(name, v) for name, v in variables(model, "") if id(v) in wanted]
    assert {id(v) for _, v in found} == wanted, model.name
    return found


# --- one case -----------------------------------------------------------------------------------------------------


def double(model):
    """The same model in float64, with the same weights."""
    config = json.loads(json.dumps(model.get_config()).replace('"float32"', '"float64"'))
    keras.config.set_dtype_policy("float64")
    try:
        twin = type(model).from_config(config)
    finally:
        keras.config.set_dtype_policy("float32")
    twin.set_weights(model.get_weights())
    return twin


def randomize(model, rng):
    for variable in model.weights:
        values = rng.floats(*variable.shape, scale=0.7)
        if "variance" in variable.path or "gamma" in variable.path:
            values = np.abs(values) + 0.5
        variable.assign(values.astype(variable.dtype))


def cast(inputs, model):
    names = model.inputs
    return [np.asarray(x).astype(t.dtype) for x, t in zip(inputs, names, strict=True)]


def call(model, inputs):
    struct = model._functional._inputs_struct if isinstance(model, keras.Sequential) else model._inputs_struct
    given = dict(zip(sorted(struct), inputs)) if isinstance(struct, dict) else (inputs[0] if len(inputs) == 1 else inputs)
    return keras.tree.flatten(model(given, training=False))


def gradients(model, before, inputs, rng):
    """(outputs, upstream, gradients of the inputs, those of the weights) of the last of several calls."""
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()
    for earlier in before:
        call(model, [tf.constant(x) for x in cast(earlier, model)])
    tensors = [tf.constant(x) for x in cast(inputs, model)]
    floats = [t for t in tensors if t.dtype.is_floating]
    named = trained(model)
    with tf.GradientTape() as tape:
        for tensor in floats:
            tape.watch(tensor)
        outputs = call(model, tensors)
        upstream = [rng.floats(*output.shape) for output in outputs]
        loss = sum(tf.reduce_sum(output * tf.cast(d, output.dtype)) for output, d in zip(outputs, upstream))
    sources = floats + [v.value for _, v in named]
    made = [
        np.zeros(s.shape) if g is None else np.asarray(tf.convert_to_tensor(g), "float64")
        for g, s in zip(tape.gradient(loss, sources), sources, strict=True)
    ]
    of_floats = iter(made)
    of_inputs = [next(of_floats) if t.dtype.is_floating else None for t in tensors]
    return upstream, of_inputs, [(name, g) for (name, _), g in zip(named, of_floats, strict=True)]


def as_case(name, file, dtype, before, inputs, model, found):
    upstream, of_inputs, of_weights = found

    def numbers(array):
        # What Keras has in float32 is written in its digits, but for gradients in a model of float64.
        return np.asarray(array, "float32" if dtype == "float32" else "float64")

    def given(x):
        x = np.asarray(x)
        return x.astype("int64") if x.dtype.kind in "ib" else numbers(x)

    kinds = [str(t.dtype) for t in model.inputs]
    return {
        "name": f"{name}-{dtype}",
        "dtype": dtype,
        "file": file,
        "kinds": kinds,
        "before": [[given(x) for x in earlier] for earlier in before],
        "inputs": [given(x) for x in inputs],
        "upstream": [numbers(d) for d in upstream],
        "gradients": {
            "inputs": [None if g is None else numbers(g) for g in of_inputs],
            "weights": [entry(key, numbers(g)) for key, g in of_weights],
        },
    }


def settled(single, other):
    """Whether the gradients in both types agree, so that no kink is near."""
    pairs = zip(single[1] + [g for _, g in single[2]], other[1] + [g for _, g in other[2]], strict=True)
    return all(a is None or (near(a, b) and np.all(np.abs(b) < 1000)) for a, b in pairs)


def saved(name):
    """A case of this file: drawn anew until both types agree."""
    for attempt in range(100):
        keras.utils.clear_session()
        rng = Rng(name, attempt)
        keras.config.set_dtype_policy("float64" if name in DOUBLE else "float32")
        model, inputs = CASES[name](rng)
        keras.config.set_dtype_policy("float32")
        randomize(model, rng)
        state = rng.rng.bit_generator.state
        found = gradients(model, [], inputs, rng)
        if name in DOUBLE:
            break
        rng.rng.bit_generator.state = state
        twin = double(model)
        of_twin = gradients(twin, [], inputs, rng)
        if settled(found, of_twin):
            break
    else:
        raise AssertionError(f"{name} never settles")
    MODELS.mkdir(exist_ok=True)
    file = f"gradients/graph_models/{name}.keras"
    model.save(MODELS / f"{name}.keras")
    if name in DOUBLE:
        yield as_case(name, file, "float64", [], inputs, model, found)
        return
    yield as_case(name, file, "float32", [], inputs, model, found)
    yield as_case(name, file, "float64", [], inputs, twin, of_twin)


def array(value):
    return np.array(value["data"], value["dtype"]).reshape(value["shape"])


def of_forward(forward, both):
    """A case of ../keras_models: the way back through its first call, or its second if it keeps states."""
    name, calls = forward["name"], forward["calls"]
    calls = [[array(x) for x in call["inputs"]] for call in calls[:2] if call != "reset"]
    before, inputs = calls[:-1], calls[-1]
    path = FORWARD / "models" / f"{name}.keras"
    file = f"keras_models/models/{name}.keras"
    keras.utils.clear_session()
    model = keras.models.load_model(path, compile=False)
    if name == "float64":
        yield as_case(name, file, "float64", before, inputs, model, gradients(model, before, inputs, Rng(name, 0)))
        return
    found = gradients(model, before, inputs, Rng(name, 0))
    twin = double(model)
    of_twin = gradients(twin, before, inputs, Rng(name, 0))
    assert settled(found, of_twin), name
    if both:
        yield as_case(name, file, "float32", before, inputs, model, found)
    yield as_case(name, file, "float64", before, inputs, twin, of_twin)


def cases():
    for name in CASES:
        yield from saved(name)
        print(name, flush=True)
    # In float64, where the tolerance is sharper; some in both types.
    for i, forward in enumerate(json.loads((FORWARD / "cases.json").read_text())["cases"]):
        if forward["name"] not in LEFT_OUT:
            yield from of_forward(forward, both=i % 8 == 0)
        print(forward["name"], flush=True)


def main():
    write("graph_models", list(cases()))
