"""Models in which masks meet: in merging layers, in unrolled layers, on the inputs of models within; and what Keras computes.

`masked_graphs.py` writes masked_graphs/ and masked_graphs.json; with KERAS_2 in the environment those of tf_keras, in
masked_graphs_keras2/. Versions: requirements.txt. Gradients are those of a weighted sum of all outputs.
"""

import itertools

from random_graphs import HERE, KERAS_2, L, array, call, dump, gradients, keras, np, randomize, reset

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


class Numbers:
    def __init__(self, name):
        self.rng = np.random.default_rng(list(name.encode()))

    def floats(self, *shape):
        return np.round(self.rng.uniform(-1, 1, shape), 3).astype("float32")

    def masked(self, *shape, value=0.0):
        """Steps at the start, within and at the end are the mask value."""
        x = self.floats(*shape)
        x[0, -2:] = x[1, 0] = x[1, 2] = value
        return x

    def ids(self, *shape):
        ids = self.rng.integers(1, 9, shape).astype("int32")
        ids[0, :2] = ids[1, -1] = ids[2, 1] = 0
        return ids


def the_example():
    """Two Dense behind one Masking, multiplied and compared, with each other and with an input without a mask."""
    x, b = keras.Input((4, 1)), keras.Input((4, 1))
    h = L.Masking()(x)
    return x, b, L.Dense(1)(h), L.Dense(1)(h)


@case
def example(r):
    x, b, d3, d4 = the_example()
    outputs = [L.Multiply()([d3, d4]), L.Multiply()([d3, b]), L.Maximum()([d3, d4]), L.Minimum()([d3, b])]
    return keras.Model([x, b], outputs), [r.masked(3, 4, 1), r.floats(3, 4, 1)]


def _pairs(kind):
    """Both, either and neither of two inputs masked; then three; an LSTM reads which mask comes out."""

    def build(r):
        x, y, z = (keras.Input((5, 3)) for _ in range(3))
        a, b = L.Dense(3)(L.Masking()(x)), L.Dense(3)(L.Masking(0.5)(y))
        sets = [[a, b], [b, a], [a, z], [z, b], [x, y]]
        if kind != "Subtract":
            sets += [[a, b, z], [z, a, b], [a, z, b], [a, b, L.Masking()(z)], [a]]
        merged = [getattr(L, kind)()(s) for s in sets]
        readers = {}  # one for each width
        outputs = merged + [readers.setdefault(m.shape[-1], L.LSTM(2))(m) for m in merged]
        return keras.Model([x, y, z], outputs), [r.masked(3, 5, 3), r.masked(3, 5, 3, value=0.5), r.masked(3, 5, 3)[::-1].copy()]

    build.__name__ = f"pairs_{kind.lower()}"
    return case(build)


for kind in ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"]:
    _pairs(kind)


@case
def along_time(r):
    """Concatenate along time, of masked and unmasked inputs."""
    x, y = keras.Input((4, 1)), keras.Input((3, 1))
    a, b = L.Dense(1)(L.Masking()(x)), L.Dense(1)(L.Masking()(y))
    sets = [[a, b], [b, a, a], [a, y]]
    merged = [L.Concatenate(axis=1)(s) for s in sets]
    return keras.Model([x, y], merged + [L.GRU(2)(m) for m in merged]), [r.masked(3, 4, 1), r.masked(3, 3, 1)]


@case
def spread(r):
    """Masked inputs that are spread over each other: over features, over time, of fewer dimensions."""
    x, y = keras.Input((4, 3)), keras.Input((3,))
    a = L.Dense(3)(L.Masking()(x))
    narrow = L.Dense(1)(L.Masking()(x))
    row = L.RepeatVector(1)(y)
    outputs = []
    for kind in [L.Multiply, L.Maximum, L.Minimum, L.Add, L.Average]:
        for inputs in [[a, narrow], [narrow, a], [a, row], [row, narrow], [y, a], [narrow, y, a]]:
            outputs.append(kind()(inputs))
    return keras.Model([x, y], outputs), [r.masked(3, 4, 3), r.floats(3, 3)]


@case
def of_vectors(r):
    """Masking on (batch, features): a mask of one dimension."""
    x, y = keras.Input((3,)), keras.Input((3,))
    a, b = L.Masking()(x), L.Masking()(y)
    kinds = [L.Multiply, L.Maximum, L.Minimum, L.Add, L.Concatenate]
    u, v = r.floats(3, 3), r.floats(3, 3)
    u[0] = v[0] = v[2] = 0
    return keras.Model([x, y], [kind()(s) for kind in kinds for s in ([a, b], [a, y], [b, x, a])]), [u, v]


@case
def of_ids(r):
    """Integers are merged as integers, and looked up again; ids of two dimensions have masks of two."""
    i, j = keras.Input((4,), dtype="int32"), keras.Input((4,), dtype="int32")
    table = L.Embedding(30, 3, mask_zero=True)
    outputs = [L.LSTM(2)(table(kind()([i, j]))) for kind in [L.Add, L.Maximum, L.Minimum, L.Multiply]]
    outputs += [L.Average()([i, j]), L.Subtract()([i, j]), L.Multiply()([table(i), table(j)])]
    return keras.Model([i, j], outputs), [r.ids(3, 4) % 5, r.ids(3, 4)[::-1].copy() % 6]


def float_mask(r):
    """An explicit mask of floats, which goes on to merging layers; Keras 2 can't read one."""
    x, m = keras.Input((4, 3)), keras.Input((4,))
    a = L.LSTM(3, return_sequences=True)(x, mask=m)
    b = L.Dense(3)(L.Masking()(x))
    mask = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 1, 1]], "float32")
    return keras.Model([x, m], [L.Multiply()([a, b]), L.Maximum()([b, a]), L.GRU(2)(L.Minimum()([a, b]))]), [
        r.masked(3, 4, 3), mask * 2]


def time_distributed_spreads_masks(r):
    """A mask of (batch,) for each step: a Softmax spreads it over the features, the batch along them."""
    x, y = keras.Input((4, 3)), keras.Input((4, 3))
    a = L.Masking()(x)
    inner_input = keras.Input((3,))
    inner = keras.Model(inner_input, L.Softmax()(L.Dense(3)(inner_input)))
    b = L.TimeDistributed(inner)(a)
    return keras.Model([x, y], [L.TimeDistributed(L.Softmax())(a), b, L.GRU(2)(L.Add()([b, y]))]), [
        r.masked(3, 4, 3), r.floats(3, 4, 3)]


def own_mask(r):
    """A chain with a mask that isn't what a layer attaches."""
    x = keras.Input((5, 3))
    real = keras.ops.any(keras.ops.not_equal(x, 0.25), axis=-1)
    return keras.Model(x, L.GRU(2)(L.LSTM(3, return_sequences=True)(x, mask=real))), [r.masked(3, 5, 3, value=0.25)]


if not KERAS_2:
    case(float_mask)
    case(own_mask)
    case(time_distributed_spreads_masks)


@case
def mask_on_an_input(r):
    """A mask that is named for a model within stays on its input."""
    inner_input = keras.Input((4, 3))
    inner = keras.Model(inner_input, L.LSTM(3, return_sequences=True)(inner_input), name="inner")
    x, m = keras.Input((4, 3)), keras.Input((4,), dtype="bool")
    h = inner(x, mask=m)
    later = L.Multiply()([x, h])
    mask = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 1]], "bool")
    return keras.Model([x, m], [later, L.GRU(2)(L.Dense(3)(L.Add()([x, h])))]), [r.floats(3, 4, 3), mask]


@case
def softmax(r):
    """A mask spreads as numpy does it; a row may be masked whole."""
    x = keras.Input((3, 3))
    a = L.Masking()(x)
    values = r.masked(3, 3, 3)
    values[2] = 0
    return keras.Model(x, [L.Softmax()(a), L.Softmax(axis=1)(L.Dense(3)(a))]), [values]


@case
def stateful_order(r):
    """A stateful layer called twice at one depth: Keras does the later output's call first."""
    x, y = keras.Input(batch_shape=(3, 4, 2)), keras.Input(batch_shape=(3, 4, 2))
    if KERAS_2:
        x, y = keras.Input((4, 2), batch_size=3), keras.Input((4, 2), batch_size=3)
    shared = L.GRU(3, stateful=True, return_sequences=True)
    a, b = shared(x), shared(y)
    c = shared(L.Dense(2)(b))
    return keras.Model([x, y], [a, c, b]), [[r.floats(3, 4, 2), r.floats(3, 4, 2)] for _ in range(2)]


@case
def stateful_initial_state(r):
    """Given to a stateful layer at each call: Keras 2 takes it only while its own state is zero."""
    x, s = (keras.Input((4, 2), batch_size=3), keras.Input((3,), batch_size=3)) if KERAS_2 else (
        keras.Input(batch_shape=(3, 4, 2)), keras.Input(batch_shape=(3, 3)))
    a = L.GRU(3, stateful=True, return_sequences=True)(x, initial_state=s)
    b = L.Bidirectional(L.SimpleRNN(3, stateful=True))(x, initial_state=[s, s])
    return keras.Model([x, s], [a, b]), [[r.floats(3, 4, 2), r.floats(3, 3)] for _ in range(2)]


def _unrolled(kind):
    """Unrolled layers and masks: each direction, zeros or repeated outputs, sequences or the last, with and without a state."""

    def layer(**options):
        if kind == "RNN":
            return L.RNN([L.LSTMCell(3), L.GRUCell(3)], unroll=True, **options)
        return getattr(L, kind)(3, unroll=True, **options)

    def build(r):
        x, h = keras.Input((5, 2)), keras.Input((3,))
        masked = L.Masking()(x)
        outputs = []
        # All of them for one cell; for the others where Keras's mask stands the wrong way around.
        grid = itertools.product([False, True], repeat=3) if kind == "GRU" else [(True, True, True), (True, False, False)]
        for back, zero, sequences in grid:
            if KERAS_2 and zero and not sequences:
                continue  # it fails
            outputs.append(layer(go_backwards=back, zero_output_for_mask=zero, return_sequences=sequences, return_state=kind != "RNN")(masked))
        if kind != "RNN":
            parts = [h, h] if kind == "LSTM" else [h]
            m = keras.Input((5,), dtype="bool")
            outputs.append(layer(go_backwards=True, zero_output_for_mask=True, return_sequences=True)(
                x, initial_state=parts, mask=m))
        for merge in ["concat", "sum", "mul", "ave"] if kind == "GRU" else ["mul"]:
            outputs.append(L.Bidirectional(layer(return_sequences=True), merge_mode=merge)(masked))
        outputs += L.Bidirectional(layer(return_sequences=True), merge_mode=None)(masked)
        outputs.append(L.Bidirectional(layer())(masked))
        # One of the two directions alone.
        plain = {"RNN": lambda **o: L.RNN([L.LSTMCell(3), L.GRUCell(3)], **o)}.get(kind, lambda **o: getattr(L, kind)(3, **o))
        outputs.append(L.Bidirectional(layer(return_sequences=True), backward_layer=plain(
            return_sequences=True, go_backwards=True))(masked))
        outputs.append(L.Bidirectional(plain(return_sequences=True), backward_layer=layer(
            return_sequences=True, go_backwards=True))(masked))
        flat = []
        for y in outputs:
            flat.extend(y if isinstance(y, (list, tuple)) else [y])
        values = r.masked(3, 5, 2)
        values[2] = 0
        values[1, 4] = 0
        if kind == "RNN":
            return keras.Model(x, flat), [values]
        mask = np.array([[0, 0, 1, 1, 0], [1, 0, 1, 1, 1], [1, 1, 0, 0, 0]], "bool")
        return keras.Model([x, h, m], flat), [values, r.floats(3, 3), mask]

    build.__name__ = f"unrolled_{kind.lower()}"
    return case(build)


for kind in ["SimpleRNN", "LSTM", "GRU", "RNN"]:
    _unrolled(kind)


def _steps_within_steps(r):
    """Steps of steps, some of them masked; of one step all, of one row all of one."""
    x = r.masked(3, 4 * 5, 2).reshape(3, 4, 5, 2)
    x[0, 1] = x[1, :, 3] = x[2, 3, 1:] = 0
    return x


@case
def time_distributed_masking(r):
    """A mask that is made inside TimeDistributed: Keras 2 hands it on, Keras 3 drops it."""
    x = keras.Input((4, 5, 2))
    T = L.TimeDistributed
    h = T(L.Masking())(x)
    last, sequence = T(L.SimpleRNN(3))(h), T(L.GRU(2, return_sequences=True))(T(L.Dense(3))(h))
    outputs = [last, L.LSTM(2)(last), sequence, T(L.LSTM(2))(sequence), T(L.Bidirectional(L.GRU(2)))(h)]
    both = T(L.Bidirectional(L.LSTM(2, return_sequences=True)))(T(L.LayerNormalization())(h))
    return keras.Model(x, outputs + [T(L.GRU(2))(both), L.GRU(2)(T(L.Flatten())(sequence)) if not KERAS_2 else both]), [
        _steps_within_steps(r)]


@case
def time_distributed_embedding(r):
    """The same of ids."""
    i = keras.Input((4, 5), dtype="int32")
    T = L.TimeDistributed
    h = T(L.Embedding(9, 3, mask_zero=True))(i)
    a = T(L.LSTM(2))(h)
    ids = r.ids(3, 4, 5)
    ids[1, :, 3:] = ids[1, 1] = ids[2, 3, :2] = 0
    return keras.Model(i, [a, L.GRU(2)(a), L.Multiply()([h, T(L.Dense(3))(h)])]), [ids]


@case
def time_distributed_of_vectors(r):
    """The mask that is made has one flag for each step: layers behind it read it in Keras 2."""
    x, y = keras.Input((4, 3)), keras.Input((4, 3))
    a = L.TimeDistributed(L.Masking())(x)
    b = L.Masking()(y)
    return keras.Model([x, y], [L.LSTM(2)(a), L.Maximum()([a, b]), L.GRU(2)(L.Add()([b, a]))]), [
        r.masked(3, 4, 3), r.masked(3, 4, 3)[::-1].copy()]


@case
def time_distributed_model(r):
    """A mask of steps into a model within, whose layers don't read it."""
    x, y = keras.Input((4, 2)), keras.Input((4, 2))
    inner_input = keras.Input((2,))
    inner_dense = L.Dense(2, activation="tanh")(inner_input)
    inner = keras.Model(inner_input, L.Multiply()([L.Dense(2)(inner_dense), inner_dense]))
    chain = keras.Sequential([keras.Input((2,)) if not KERAS_2 else L.InputLayer((2,)), L.Dense(3, activation="tanh"), L.Dense(2)])
    a = L.Masking()(x)
    b, c = L.TimeDistributed(chain)(a), L.TimeDistributed(inner)(a)
    return keras.Model([x, y], [b, c, L.GRU(2)(b), L.Multiply()([c, y])]), [r.masked(3, 4, 2), r.masked(3, 4, 2)]


@case
def time_distributed_masked_model(r):
    """Masks made, read and handed on in a model within."""
    x = keras.Input((4, 5, 2))
    T = L.TimeDistributed
    inner_input = keras.Input((5, 2))
    inner_masked = L.Masking()(inner_input)
    inner = keras.Model(inner_input, L.Add()([inner_masked, L.GRU(2, return_sequences=True)(inner_masked)]))
    a = T(inner)(x)
    return keras.Model(x, [a, T(L.LSTM(2))(a), L.LSTM(2)(T(L.SimpleRNN(2))(a))]), [_steps_within_steps(r)]


@case
def time_distributed_reads_masks(r):
    """A mask of steps of steps: the layer inside reads its part."""
    x, m = keras.Input((4, 5, 2)), keras.Input((4, 2), dtype="bool")
    T = L.TimeDistributed
    h = L.Masking()(x)
    inner_input = keras.Input((5, 2))
    inner = keras.Model(inner_input, L.GRU(2)(inner_input))
    a = T(L.GRU(2))(h)
    outputs = [a, T(inner)(h), T(L.Softmax())(T(L.LSTM(2))(h), mask=m)]
    mask = np.array([[1, 0], [0, 1], [1, 1], [1, 1]], "bool")
    return keras.Model([x, m], outputs + ([L.LSTM(2)(a)] if KERAS_2 else [])), [
        _steps_within_steps(r), np.stack([mask, mask[::-1], mask[:, ::-1]])]


def write(name, folder):
    keras.backend.clear_session()
    model, calls = CASES[name](Numbers(name))
    calls = calls if isinstance(calls[0], list) else [calls]
    randomize(model, len(name))
    written = []
    for inputs in calls:
        written.append({"inputs": [array(x) for x in inputs], "outputs": [array(y) for y in call(model, inputs)]})
    reset(model)
    for ext in ("h5",) if KERAS_2 else ("keras",):
        model.save(str(folder / f"{name}.{ext}"))
    return {"name": name, "calls": written, "gradients": gradients(model, calls[0], len(name))}


def main():
    folder = HERE / ("masked_graphs_keras2" if KERAS_2 else "masked_graphs")
    folder.mkdir(exist_ok=True)
    dump(HERE / f"{folder.name}.json", [write(name, folder) for name in CASES])


if __name__ == "__main__":
    main()
