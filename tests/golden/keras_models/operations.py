"""Models with operations between their layers, and what Keras computes.

`operations.py` writes operations/ and operations.json; with KERAS_2 in the environment (and tf_keras 2.16 with
tensorflow-cpu 2.16) those of TensorFlow between layers of Keras 2, in operations_keras2/. Gradients are those of a
weighted sum of all outputs.
"""

from random_graphs import HERE, KERAS_2, L, array, call, dump, gradients, keras, np, randomize, reset, tf
from masked_graphs import Numbers

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def three(name):
    def only(function):
        if not KERAS_2:
            CASES[name] = function
        return function

    return only


def two(name):
    def only(function):
        if KERAS_2:
            CASES[name] = function
        return function

    return only


O = None if KERAS_2 else keras.ops


def positive(x):
    """Above zero, for roots and logarithms."""
    return x * x + 0.5


@case
def slices(r):
    x = keras.Input((6, 4))
    h = L.LSTM(3, return_sequences=True)(x)
    outputs = [h[:, -1, :], h[:, -1], h[:, 0], h[:, 1:4], h[:, ::-1], h[:, -2:], h[..., 0], h[..., -1:], h[:, :, 1:]]
    outputs += [h[:, ::2, 1], h[:, None], h[:, 4:1:-1], h[:, 1:-1, ::-2], h[:, -4:3]]
    return keras.Model(x, outputs + [L.Dense(2)(h[:, -1]), L.GRU(2)(h[:, 2:])]), [r.floats(3, 6, 4)]


@case
def last_step(r):
    """Step by step: the last step of a sequence is the newest one."""
    x = keras.Input((5, 3))
    h = L.GRU(4, return_sequences=True)(x)
    h = h[..., :3] + x
    last = h[:, -1]
    return keras.Model(x, [L.Dense(2, activation="tanh")(last * 2.0 - last), h[:, -1:], h]), [r.floats(3, 5, 3)]


@case
def arithmetic(r):
    x, y = keras.Input((4, 3)), keras.Input((4, 3))
    h = L.Dense(3)(x)
    v = np.array([0.5, -1.25, 2.0], "float32")
    m = np.array([[[1.5], [-0.5], [0.25], [3.0]]], "float32")
    outputs = [h + y, h - y, h * y, h / positive(y), positive(h) ** 1.7, positive(h) ** y, h**2, h**3, -h, abs(h)]
    outputs += [h + 1.0, 1.5 - h, 2 * h, h / 4, 1 / positive(h), h * v, h + m, 2.0 ** h, h // 0.3, h % 0.7, y % positive(h)]
    return keras.Model([x, y], outputs), [r.floats(3, 4, 3), r.floats(3, 4, 3)]


@case
def streamed_arithmetic(r):
    """Step by step: nothing looks at other steps."""
    x, y = keras.Input((5, 3)), keras.Input((5, 1))
    h = L.LSTM(3, return_sequences=True)(x)
    v = np.array([0.5, -1.25, 2.0], "float32")
    a = h * y + v
    b = (a - x) / (h * h + 1.0)
    return keras.Model([x, y], [a, b, -b, L.GRU(2)(b)]), [r.floats(3, 5, 3), r.floats(3, 5, 1)]


@case
def spread(r):
    """Arrays of other ranks and sizes, spread as numpy does it."""
    x, y, z = keras.Input((4, 3)), keras.Input((3,)), keras.Input((4, 1))
    h, one = L.Dense(3)(x), L.Dense(1)(x)
    outputs = [h + z, z * one, one - h, h * y[:, None], y[:, None, :] / positive(z), h[:, :1] + h, y[:, None] * h[:, 1:2]]
    return keras.Model([x, y, z], outputs), [r.floats(3, 4, 3), r.floats(3, 3), r.floats(3, 4, 1)]


@case
def comparisons(r):
    x, y, i = keras.Input((4, 3)), keras.Input((4, 3)), keras.Input((4,), dtype="int32")
    if KERAS_2:
        cast, where, land, lor, lnot = tf.cast, tf.where, tf.logical_and, tf.logical_or, tf.logical_not
        equal, different = tf.equal, tf.not_equal
    else:
        cast, where, land, lor, lnot = O.cast, O.where, O.logical_and, O.logical_or, O.logical_not
        equal, different = O.equal, O.not_equal
    h = L.Dense(3)(x)
    outputs = [where(h > 0, h, y), where(h < y, h, 0.0), where(x >= 0.25, 1.0, h), cast(h <= y, "float32") * h]
    outputs += [where(land(h > 0, y > 0), h, -h), where(lor(h > 0, y > 0), h * y, y), where(lnot(h > 0.1), h, y)]
    outputs += [cast(equal(i, 3), "float32"), cast(different(i, 0), "int32"), cast(i, "float32") * 0.5, cast(h * 3, "int32")]
    outputs += [where(equal(i, 0)[:, :, None], h, y), cast(cast(i, "bool"), "float32")]
    return keras.Model([x, y, i], outputs), [r.floats(3, 4, 3), r.floats(3, 4, 3), r.ids(3, 4)]


@case
def integers(r):
    i, j = keras.Input((4,), dtype="int32"), keras.Input((4,), dtype="int32")
    outputs = [i + 1, 10 - i, i * j, i - j, -i, i // 2, i % 3, i[:, 1:], j // (i + 1), (i - 5) % 3, (i - 5) // 3]
    table = L.Embedding(12, 3)
    return keras.Model([i, j], outputs + [L.LSTM(2)(table(i + 2)), L.GRU(2)(table((i * j) % 12))]), [
        r.ids(3, 4), r.ids(3, 4)[::-1].copy()]


@case
def masks_end(r):
    """An operation hands on no mask, but for a cast to the type that is there."""
    x, y = keras.Input((5, 3)), keras.Input((5, 3))
    h = L.Masking()(x)
    cast = tf.cast if KERAS_2 else O.cast
    outputs = [L.LSTM(2)(h), L.LSTM(2)(h + 1.0), L.GRU(2)(h * y), L.GRU(2)(h[:, 1:]), L.LSTM(2)(cast(h, "float32"))]
    outputs += [L.GRU(2)(L.Add()([h, h + y])), L.LSTM(2)(abs(h)), L.GRU(2)(L.Dense(3)(h)[:, :, :2])]
    return keras.Model([x, y], outputs), [r.masked(3, 5, 3), r.floats(3, 5, 3)]


@case
def gated(r):
    """A gate over features, from the mean over time, and a residual by an operator."""
    x = keras.Input((5, 4))
    h = L.Bidirectional(L.LSTM(2, return_sequences=True))(x) + x
    mean = tf.reduce_mean(h, axis=1, keepdims=True) if KERAS_2 else O.mean(h, axis=1, keepdims=True)
    gate = L.Dense(4, activation="sigmoid")(mean)
    pooled = tf.reduce_max(h * gate, axis=1) if KERAS_2 else O.max(h * gate, axis=1)
    weights = tf.nn.softmax(L.Dense(1)(h), axis=1) if KERAS_2 else O.softmax(L.Dense(1)(h), axis=1)
    summed = tf.reduce_sum(h * weights, axis=1) if KERAS_2 else O.sum(h * weights, axis=1)
    return keras.Model(x, [L.Dense(2)(pooled), L.Dense(2)(summed)]), [r.floats(3, 5, 4)]


@three("functions")
def functions(r):
    x = keras.Input((4, 3))
    h, p = L.Dense(3)(x), positive(L.Dense(3)(x))
    outputs = [O.exp(h), O.log(p), O.square(h), O.sqrt(p), O.rsqrt(p), O.tanh(h), O.sigmoid(h), O.absolute(h), O.negative(h)]
    outputs += [O.relu(h), O.relu6(h * 8), O.softplus(h), O.softsign(h), O.silu(h), O.gelu(h), O.gelu(h, approximate=False)]
    outputs += [O.elu(h), O.elu(h, 0.5), O.selu(h), O.leaky_relu(h), O.leaky_relu(h, 0.1), O.hard_sigmoid(h * 4), O.log_sigmoid(h)]
    outputs += [O.hard_silu(h * 4), O.hard_tanh(h * 2), O.tanh_shrink(h), O.log1p(p), O.expm1(h), O.reciprocal(p), O.sign(h)]
    outputs += [O.floor(h * 3), O.ceil(h * 3), O.round(h * 3), O.clip(h, -0.3, 0.4), O.maximum(h, 0.1), O.minimum(x, h)]
    outputs += [O.softmax(h), O.softmax(h, axis=1), O.log_softmax(h), O.logical_not(h > 0), O.isnan(h), O.isfinite(h)]
    outputs += [O.divide_no_nan(x, O.relu(h)), O.logical_xor(h > 0, x > 0), O.zeros_like(h) + h, O.ones_like(h)]
    return keras.Model(x, outputs), [r.floats(3, 4, 3)]


@three("streamed_functions")
def streamed_functions(r):
    """Step by step: each step by itself."""
    x = keras.Input((5, 4))
    h = L.SimpleRNN(4, return_sequences=True)(x)
    parts = O.split(h, 2, axis=-1)
    a = O.exp(parts[0]) * O.sigmoid(parts[1])
    b = O.concatenate([a, O.sum(h, axis=-1, keepdims=True), O.squeeze(O.stack([a, a], axis=2)[:, :, 0:1], 2)], axis=-1)
    c = O.where(O.transpose(b[..., None], (0, 1, 3, 2)) > 0, 1.0, 0.5)
    d = O.flip(O.softmax(b), axis=2) + O.tile(O.mean(h, axis=2, keepdims=True), (1, 1, 5))
    return keras.Model(x, [a, b, c, d, O.pad(d, ((0, 0), (0, 0), (1, 2))), O.max(d, axis=-1), L.LSTM(2)(d)]), [r.floats(3, 5, 4)]


@three("reductions")
def reductions(r):
    x, i = keras.Input((4, 3)), keras.Input((4,), dtype="int32")
    h = L.Dense(3)(x)
    outputs = []
    for axis in [1, -1, (1, 2)]:
        for f in [O.sum, O.mean, O.max, O.min, O.prod, O.var, O.std, O.logsumexp]:
            outputs += [f(h, axis=axis), f(h, axis=axis, keepdims=True)]
    outputs += [O.argmax(h, axis=-1), O.argmin(h, axis=1), O.any(h > 0, axis=1), O.all(h > -0.5, axis=-1), O.norm(h, axis=-1)]
    outputs += [O.sum(i, axis=1), O.max(i, axis=-1), O.mean(i, axis=1), O.count_nonzero(i, axis=1), O.sum(h > 0, axis=1)]
    outputs += [O.average(h, axis=1), O.amax(h, axis=2), O.max(O.round(h), axis=1), O.mean(h > 0, axis=1)]
    return keras.Model([x, i], outputs), [r.floats(3, 4, 3), r.ids(3, 4)]


@three("over_the_batch")
def over_the_batch(r):
    """What joins the rows of a batch."""
    x = keras.Input((4, 3))
    h = L.Dense(3)(x)
    outputs = [h - O.mean(h, axis=0, keepdims=True), h * O.max(h), O.transpose(h, (1, 0, 2)), O.transpose(O.transpose(h, (1, 0, 2))[-1])]
    outputs += [O.sum(h), O.reshape(h, (-1, 3)), h[0], O.flip(h, axis=0)]
    return keras.Model(x, outputs), [r.floats(3, 4, 3)]


@three("moving")
def moving(r):
    x, y = keras.Input((4, 6)), keras.Input((4, 6))
    h = L.Dense(6)(x)
    outputs = [O.reshape(h, (-1, 24)), O.reshape(h, (-1, 4, 2, 3)), O.transpose(h, (0, 2, 1)), O.swapaxes(h, 1, -1), O.moveaxis(h, 2, 1)]
    outputs += [O.expand_dims(h, -1), O.squeeze(O.expand_dims(h, 1), 1), O.squeeze(h[:, :1, None]), O.concatenate([h, y], axis=1)]
    outputs += [O.stack([h, y], axis=1), O.stack([h, y, h], axis=-1), O.flip(h, axis=1), O.flip(h, axis=(1, 2)), O.roll(h, 1, axis=1)]
    outputs += [O.tile(h, (1, 2, 1)), O.tile(h, (2, 3)), O.repeat(h, 2, axis=1), O.repeat(h, 3, axis=-1), O.roll(h, (1, -2), axis=(1, 2))]
    outputs += [O.pad(h, ((0, 0), (1, 0), (0, 0))), O.pad(h, ((0, 0), (0, 2), (1, 1)), constant_values=0.5)]
    outputs += [O.take(h, [0, 2, 2, -1], axis=1), O.take(h, -1, axis=1), O.take(h, 2, axis=-1), *O.split(h, 3, axis=-1), *O.split(h, [1, 3], axis=1)]
    outputs += [*O.unstack(h, axis=1), O.moveaxis(O.reshape(h, (-1, 4, 2, 3)), (1, 3), (-1, 1)), O.broadcast_to(h[:, :1], (3, 4, 6))]
    return keras.Model([x, y], outputs), [r.floats(3, 4, 6), r.floats(3, 4, 6)]


@three("ids")
def ids(r):
    i, t = keras.Input((4,), dtype="int32"), keras.Input((5,), dtype="int32")
    hot = O.one_hot(i, 9)
    outputs = [hot, O.one_hot(i, 5, axis=1), L.LSTM(2)(hot), O.one_hot(i - 1, 4), O.cast(i > 2, "int32") + i]
    outputs += [O.flip(t, axis=1), O.concatenate([i, t], axis=1), O.stack([i, i * 2], axis=1), O.expand_dims(t, -1), O.tile(i, (1, 2))]
    outputs += [O.pad(i, ((0, 0), (1, 1))), O.where(i > 3, i, 0), O.maximum(i, 2), O.absolute(i - 4), O.square(i), O.clip(i, 1, 3)]
    return keras.Model([i, t], outputs), [r.ids(3, 4), r.ids(3, 5)]


@three("any_length")
def any_length(r):
    """Sizes that the file doesn't know."""
    x = keras.Input((None, 4))
    h = L.GRU(4, return_sequences=True)(x)
    outputs = [h[:, -1], h[:, 1:], h + x, O.mean(h, axis=1), O.concatenate([h, x], axis=1), O.flip(h, axis=1), O.transpose(h, (0, 2, 1))]
    outputs += [O.pad(h, ((0, 0), (2, 0), (0, 0))), O.softmax(h, axis=1), O.reshape(h, (3, -1)), O.repeat(h, 2, axis=1)]
    outputs += [h * O.max(h, axis=1, keepdims=True), L.LSTM(2)(h[:, ::-1])]
    return keras.Model(x, outputs), [r.floats(3, 6, 4)]


@two("functions")
def functions_of_tensorflow(r):
    x, y = keras.Input((4, 3)), keras.Input((4, 3))
    h, p = L.Dense(3)(x), positive(L.Dense(3)(x))
    m, n = tf.math, tf.nn
    outputs = [m.exp(h), m.log(p), m.square(h), m.sqrt(p), m.rsqrt(p), m.tanh(h), m.sigmoid(h), m.abs(h), m.negative(h), n.relu(h), n.relu6(h * 8)]
    outputs += [m.softplus(h), n.softsign(h), n.silu(h), n.gelu(h), n.gelu(h, approximate=True), n.elu(h), n.selu(h), n.leaky_relu(h)]
    outputs += [n.leaky_relu(h, alpha=0.1), m.log_sigmoid(h), m.log1p(p), m.expm1(h), m.reciprocal(p), m.sign(h), m.floor(h * 3), m.ceil(h * 3)]
    outputs += [tf.round(h * 3), tf.clip_by_value(h, -0.3, 0.4), tf.maximum(h, 0.1), tf.minimum(x, h), n.softmax(h), n.softmax(h, axis=1)]
    outputs += [n.log_softmax(h), tf.identity(h), m.add(h, y), m.subtract(h, 2.0), m.multiply(h, y), m.divide(h, p), m.squared_difference(h, y)]
    outputs += [m.divide_no_nan(x, n.relu(h)), m.floormod(h, 0.7), m.pow(p, 1.7), m.floordiv(h, 0.3), m.is_nan(h), tf.zeros_like(h) + h, tf.ones_like(h)]
    outputs += [n.bias_add(h, tf.constant([0.5, -0.5, 1.0])), tf.cast(m.greater_equal(h, y), tf.float32), tf.cast(m.less_equal(h, 0.1), tf.int32)]
    return keras.Model([x, y], outputs), [r.floats(3, 4, 3), r.floats(3, 4, 3)]


@two("reductions")
def reductions_of_tensorflow(r):
    x, i = keras.Input((4, 3)), keras.Input((4,), dtype="int32")
    h = L.Dense(3)(x)
    m, outputs = tf.math, []
    for axis in [1, -1, [1, 2]]:
        for f in [m.reduce_sum, m.reduce_mean, m.reduce_max, m.reduce_min, m.reduce_prod, m.reduce_std, m.reduce_variance, m.reduce_logsumexp]:
            outputs += [f(h, axis=axis), f(h, axis, keepdims=True)]
    outputs += [tf.argmax(h, axis=-1), tf.argmin(h, axis=1), m.reduce_any(h > 0, axis=1), m.reduce_all(h > -0.5, axis=-1)]
    outputs += [m.reduce_sum(i, axis=1), m.reduce_max(i, axis=-1), keras.backend.mean(h, axis=1), keras.backend.sum(h, axis=-1)]
    return keras.Model([x, i], outputs), [r.floats(3, 4, 3), r.ids(3, 4)]


@two("moving")
def moving_of_tensorflow(r):
    x, y, i = keras.Input((4, 6)), keras.Input((4, 6)), keras.Input((4,), dtype="int32")
    h = L.Dense(6)(x)
    outputs = [tf.reshape(h, (-1, 24)), tf.reshape(h, [-1, 4, 2, 3]), tf.transpose(h, (0, 2, 1)), tf.transpose(h, perm=[1, 0, 2])[-1]]
    outputs += [tf.expand_dims(h, -1), tf.squeeze(tf.expand_dims(h, 1), 1), tf.squeeze(h[:, :1, tf.newaxis]), tf.concat([h, y], axis=1)]
    outputs += [tf.concat([h, y], -1), tf.stack([h, y], axis=1), tf.reverse(h, axis=[1]), tf.reverse(h, [1, 2]), tf.roll(h, 1, axis=1)]
    outputs += [tf.tile(h, [1, 2, 1]), tf.repeat(h, 2, axis=1), tf.pad(h, [[0, 0], [1, 0], [0, 0]]), tf.pad(h, [[0, 0], [0, 2], [1, 1]], constant_values=0.5)]
    outputs += [tf.gather(h, [0, 2, 2], axis=1), tf.gather(h, 3, axis=1), *tf.split(h, 3, axis=-1), *tf.split(h, [1, 3], axis=1), *tf.unstack(h, axis=1)]
    outputs += [tf.one_hot(i, 5), tf.one_hot(i, 9, axis=1), tf.one_hot(i, 4, on_value=2.0, off_value=-1.0), tf.broadcast_to(h[:, :1], [3, 4, 6])]
    return keras.Model([x, y, i], outputs[:15] + outputs[15:]), [r.floats(3, 4, 6), r.floats(3, 4, 6), r.ids(3, 4)]


@case
def products(r):
    x, y, z = keras.Input((4, 3)), keras.Input((5, 3)), keras.Input((3, 2))
    h, w = L.Dense(3)(x), np.array([[0.5, -1.0], [0.25, 2.0], [1.5, 0.75]], "float32")
    t = np.arange(16, dtype="float32").reshape(4, 4) / 8 - 1
    if KERAS_2:
        m = tf.matmul
        outputs = [m(h, y, transpose_b=True), m(h, z), m(h, w), m(x, h, transpose_a=True), m(t, h), tf.transpose(h, (0, 2, 1)) @ x]
        outputs += [tf.math.l2_normalize(h, axis=-1), tf.nn.l2_normalize(h, [1, 2]), keras.backend.batch_dot(h, y, axes=2)]
    else:
        m = O.matmul
        outputs = [m(h, O.transpose(y, (0, 2, 1))), m(h, z), m(h, w), h @ w, m(t, h), O.transpose(h, (0, 2, 1)) @ x, m(h, w[:, 0])]
        outputs += [O.dot(h, w), O.dot(h, w[:, 1]), O.einsum("btf,bsf->bts", h, y), O.einsum("btf,bfg->bgt", h, z), O.einsum("btf,fg->btg", h, w)]
        outputs += [O.einsum("btf,btf->bt", h, x), O.einsum("bte,bsf->btsef", h, y), O.normalize(h), O.normalize(h, axis=1)]
        outputs += [m(h[:, None], O.transpose(O.stack([y, y + 1.0], axis=1), (0, 1, 3, 2)))]
    return keras.Model([x, y, z], outputs), [r.floats(3, 4, 3), r.floats(3, 5, 3), r.floats(3, 3, 2)]


@case
def streamed_products(r):
    """Step by step: products of the features with a constant, vectors of length one."""
    x, y = keras.Input((5, 3)), keras.Input((5, 3))
    w = np.array([[0.5, -1.0], [0.25, 2.0], [1.5, 0.75]], "float32")
    h = L.LSTM(3, return_sequences=True)(x)
    if KERAS_2:
        return keras.Model([x, y], [tf.matmul(h, w), tf.math.l2_normalize(h, axis=-1)]), [r.floats(3, 5, 3), r.floats(3, 5, 3)]
    outputs = [O.matmul(h, w), O.einsum("btf,btf->bt", h, y)[..., None], O.normalize(h), L.UnitNormalization()(h)]
    return keras.Model([x, y], outputs), [r.floats(3, 5, 3), r.floats(3, 5, 3)]


@case
def attention(r):
    x, y, z = keras.Input((4, 3)), keras.Input((5, 3)), keras.Input((5, 2))
    q, v, k = L.Dense(3)(L.Masking()(x)), L.Dense(3)(L.Masking()(y)), L.Dense(2)(z)
    plain = L.Dense(3)(x)
    outputs = [L.Attention()([plain, y]), L.Attention(use_scale=True)([plain, k, y]), L.Attention()([q, v]), L.Attention(use_scale=True, dropout=0.3)([plain, v])]
    outputs += [L.Attention(score_mode="concat")([plain, y]), L.Attention(score_mode="concat", use_scale=True)([q, k, v])]
    outputs += [L.Attention()([q, v], use_causal_mask=True), L.Attention()([v, q], use_causal_mask=True)]
    outputs += [*L.Attention()([q, v], return_attention_scores=True), *L.Attention(use_scale=True)([plain, v], return_attention_scores=True)]
    outputs += [L.LSTM(2)(L.Attention()([q, v])), L.GRU(2)(L.Attention()([q, k, v]))]
    shared = L.Attention(use_scale=True)
    outputs += [shared([plain, y]), shared([q, v])]
    return keras.Model([x, y, z], outputs), [r.masked(3, 4, 3), r.masked(3, 5, 3), r.floats(3, 5, 2)]


@case
def named_masks(r):
    """Masks that a call names, for the query and for the value."""
    x, y, m, n = keras.Input((4, 3)), keras.Input((5, 3)), keras.Input((4,), dtype="bool"), keras.Input((5,), dtype="bool")
    h = L.Dense(3)(x)
    outputs = [L.Attention()([h, y], mask=[m, n]), L.AdditiveAttention()([h, L.Dense(3)(y)], mask=[m, n])]
    a = np.array([[1, 1, 0, 1], [0, 1, 1, 1], [1, 1, 1, 1]], "bool")
    b = np.array([[1, 0, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 1, 1]], "bool")
    return keras.Model([x, y, m, n], outputs), [r.floats(3, 4, 3), r.floats(3, 5, 3), a, b]


@case
def additive_attention(r):
    x, y = keras.Input((4, 3)), keras.Input((5, 3))
    q, v = L.Dense(3)(L.Masking()(x)), L.Dense(3)(L.Masking()(y))
    plain = L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode="sum")(x)
    outputs = [L.AdditiveAttention()([plain, y]), L.AdditiveAttention(use_scale=False)([plain, y]), L.AdditiveAttention()([q, v])]
    outputs += [L.AdditiveAttention()([q, v], use_causal_mask=True), *L.AdditiveAttention(dropout=0.5)([plain, v, y], return_attention_scores=True)]
    return keras.Model([x, y], outputs + [L.GRU(2)(outputs[2])]), [r.masked(3, 4, 3), r.masked(3, 5, 3)]


@case
def dot(r):
    x, y, u, v = keras.Input((4, 3)), keras.Input((5, 3)), keras.Input((3,)), keras.Input((3,))
    h, d = L.Dense(3)(x), L.Dense(3)(u)
    sets = [([h, y], 2), ([h, y], -1), ([h, y], (2, 2)), ([h, x], (1, 1)), ([h, x], 1), ([h, d], (2, 1)), ([d, h], (1, 2)), ([d, v], 1), ([d, v], -1)]
    outputs = [L.Dot(axes=axes, normalize=normalize)(inputs) for inputs, axes in sets for normalize in [False, True]]
    scores = L.Activation("softmax")(L.Dot(axes=[2, 2])([h, y]))
    outputs += [L.Dot(axes=[2, 1])([scores, y]), L.LSTM(2)(L.Dot(axes=2)([L.Masking()(x), y]))]
    return keras.Model([x, y, u, v], outputs), [r.masked(3, 4, 3), r.floats(3, 5, 3), r.floats(3, 3), r.floats(3, 3)]


@case
def preprocessing(r):
    """Rescaled and normalized inputs, which stream; adapted statistics are random here."""
    x = keras.Input((5, 3))
    outputs = [L.Rescaling(0.5)(x), L.Rescaling(1 / 127.5, offset=-1)(x), L.Rescaling([0.5, 2.0, -1.0], [1.0, 0.0, 0.25])(x)]
    outputs += [L.Normalization(mean=0.25, variance=2.0)(x), L.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 0.5, 0.0])(x)]
    outputs += [L.Normalization()(x), L.Normalization(axis=None)(x), L.Normalization(axis=None, mean=1.5, variance=0.25)(x)]
    if not KERAS_2:
        outputs += [L.Normalization(invert=True)(x), L.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0], invert=True)(x)]
    return keras.Model(x, outputs + [L.LSTM(2)(outputs[5])]), [r.floats(3, 5, 3)]


@case
def preprocessing_of_other_axes(r):
    x, i = keras.Input((5, 3)), keras.Input((4,), dtype="int32")
    h = L.Masking()(x)
    outputs = [L.Normalization(axis=1)(x), L.Normalization(axis=(1, 2))(x), L.Normalization(axis=(-2, 2))(x), L.UnitNormalization(axis=1)(x)]
    outputs += [L.UnitNormalization(axis=(1, 2))(x), L.Rescaling(0.1, 1.0)(i), L.Normalization(axis=None, mean=3.0, variance=2.0)(i)]
    if not KERAS_2:
        outputs += [L.LSTM(2)(L.Rescaling(2.0)(h)), L.LSTM(2)(L.Normalization(mean=0.1, variance=2.0)(h)), L.GRU(2)(L.UnitNormalization()(h))]
    return keras.Model([x, i], outputs), [r.masked(3, 5, 3), r.ids(3, 4)]


@three("infinities")
def infinities(r):
    """Numbers that JSON doesn't have, which Python writes all the same."""
    x = keras.Input((4, 3))
    h = L.Dense(4)(x)
    inf, vector = np.float32(np.inf), np.array([0.5, -np.inf, np.inf, 1.0], "float32")
    scores = O.where(h > 0, h, -np.inf)
    outputs = [O.softmax(O.where(h > -0.5, h, -np.inf)), O.max(scores, axis=-1), O.clip(h, 0.0, np.inf), O.minimum(h, np.inf), O.maximum(h, vector)]
    outputs += [O.max(O.pad(h, [[0, 0], [1, 1], [0, 0]], constant_values=-np.inf), axis=1), O.isinf(scores), h > -inf]
    return keras.Model(x, outputs), [r.floats(3, 4, 3)]


def write(name, folder):
    keras.backend.clear_session()
    model, inputs = CASES[name](Numbers(name))
    randomize(model, len(name))
    for layer in model.layers:
        if isinstance(layer, L.Normalization):
            layer.finalize_state()
    outputs = call(model, inputs)
    written = [{"inputs": [array(x) for x in inputs], "outputs": [array(y) for y in outputs]}]
    reset(model)
    model.save(str(folder / f"{name}.{'h5' if KERAS_2 else 'keras'}"))
    return {"name": name, "calls": written, "gradients": gradients(model, inputs, len(name))}


def main():
    folder = HERE / ("operations_keras2" if KERAS_2 else "operations")
    folder.mkdir(exist_ok=True)
    dump(HERE / f"{folder.name}.json", [write(name, folder) for name in CASES])


if __name__ == "__main__":
    main()
