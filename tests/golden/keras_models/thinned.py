"""Models whose strides and windows give fewer steps than they read, and what Keras computes with them.

`thinned.py` writes thinned/ and thinned.json. Each case is called on a sequence, and, with the number of steps left open,
on beginnings of it. Versions: requirements.txt. Gradients are those of a weighted sum of all outputs.
"""

from masked_graphs import Numbers
from random_graphs import HERE, L, array, call, dump, gradients, keras, randomize

CASES = {}

# The steps of the sequence, and of beginnings of it.
STEPS, BEGINNINGS = 19, [18, 13, 12]


def case(function):
    CASES[function.__name__] = function
    return function


@case
def cnn_lstm(x):
    y = L.Conv1D(5, 3, activation="relu")(x)
    return L.Dense(2)(L.LSTM(4)(L.MaxPooling1D(2)(y)))


@case
def strided(x):
    y = L.BatchNormalization()(L.Conv1D(4, 4, strides=2, padding="causal", activation="tanh")(x))
    z = L.GRU(3, return_sequences=True)(y)
    return L.TimeDistributed(L.Dense(2))(L.AveragePooling1D(2, strides=1)(z))


@case
def by_channel(x):
    y = L.SeparableConv1D(6, 3, strides=2, depth_multiplier=2, activation="relu")(x)
    y = L.DepthwiseConv1D(2, dilation_rate=2, depth_multiplier=2)(y)
    return L.AveragePooling1D(3, strides=2)(L.Dense(5)(y))


@case
def residual(x):
    """Branches whose steps come together: one is without the steps that the other's windows take."""
    x = L.Conv1D(4, 1)(x)
    y = L.Conv1D(4, 2, dilation_rate=2, activation="relu")(x)
    y = L.Conv1D(4, 2, dilation_rate=4)(y)
    y = L.Add()([y, L.Cropping1D((6, 0))(x)])
    return L.LSTM(3, return_sequences=True)(L.MaxPooling1D(3, strides=2)(y))


@case
def padded(x):
    """As PyTorch's models pad: zeros before a window."""
    y = L.Conv1D(4, 4, strides=3, activation="elu")(L.ZeroPadding1D((3, 0))(x))
    return L.GRU(3)(L.MaxPooling1D(2, strides=1)(L.ZeroPadding1D((1, 0))(y)))


@case
def branches(x):
    """What comes at other steps, and belongs to the whole sequence."""
    one = L.GlobalAveragePooling1D()(L.Conv1D(3, 2, strides=2)(x))
    other = L.LSTM(3)(L.MaxPooling1D(3)(x))
    last = L.AveragePooling1D(4, strides=1)(x)[:, -1]
    return L.Dense(4, activation="tanh")(L.Concatenate()([one, other, last]))


def of_steps(name, steps):
    x = keras.Input((steps, 3))
    return keras.Model(x, CASES[name](x))


def called(model, x):
    return {"inputs": [array(x)], "outputs": [array(y) for y in call(model, [x])]}


def write(name, folder):
    keras.backend.clear_session()
    model, whole = of_steps(name, STEPS), Numbers(name).floats(2, STEPS, 3)
    randomize(model, len(name))
    model.save(str(folder / f"{name}.keras"))
    any_steps = of_steps(name, None)
    any_steps.set_weights(model.get_weights())
    return {
        "name": name,
        "calls": [called(model, whole)],
        "beginnings": [called(any_steps, whole[:, :steps]) for steps in BEGINNINGS],
        "gradients": gradients(model, [whole], len(name)),
    }


def main():
    folder = HERE / "thinned"
    folder.mkdir(exist_ok=True)
    dump(HERE / "thinned.json", [write(name, folder) for name in CASES])


if __name__ == "__main__":
    main()
