"""Models whose UpSampling1D makes several steps of one, and what Keras computes with them.

`upsampled.py` writes upsampled/ and upsampled.json. Each case is called on a sequence, and, with the number of steps left
open, on beginnings of it. Versions: requirements.txt. Gradients are those of a weighted sum of all outputs.
"""

from masked_graphs import Numbers
from random_graphs import HERE, L, array, call, dump, gradients, keras, randomize

CASES = {}

# The steps of the sequence, and of beginnings of it.
STEPS, BEGINNINGS = 7, [6, 3, 2]


def case(function):
    CASES[function.__name__] = function
    return function


@case
def vocoder(x):
    """From frames to samples: twice up, with windows between."""
    y = L.Conv1D(5, 2, padding="causal", activation="tanh")(x)
    y = L.Conv1D(4, 3, padding="causal")(L.UpSampling1D(2)(y))
    y = L.GRU(3, return_sequences=True)(L.UpSampling1D(3)(y))
    return L.Dense(2)(y)


@case
def later(x):
    """A window without padding over what was made several: the first step gives fewer."""
    y = L.Conv1D(4, 3, activation="relu")(L.UpSampling1D(2)(x))
    return L.TimeDistributed(L.Dense(3))(L.LayerNormalization()(y))


@case
def up_and_down(x):
    """Strides behind it: two steps of three."""
    y = L.MaxPooling1D(2, strides=3)(L.UpSampling1D(4)(x))
    return L.LSTM(3, return_sequences=True)(L.Cropping1D((1, 0))(y))


@case
def last(x):
    """What belongs to the whole sequence is there in each step."""
    y = L.UpSampling1D(3)(x)
    return L.Concatenate()([L.LSTM(3)(y), L.GlobalAveragePooling1D()(L.Conv1D(2, 2)(y))])


@case
def within(x):
    """In a model within a model."""
    z = keras.Input((None, 3))
    inner = keras.Model(z, L.UpSampling1D(2)(L.Dense(4, activation="elu")(z)), name="inner")
    return L.AveragePooling1D(3, strides=1)(L.UpSampling1D(2)(inner(x)))


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
    folder = HERE / "upsampled"
    folder.mkdir(exist_ok=True)
    dump(HERE / "upsampled.json", [write(name, folder) for name in CASES])


if __name__ == "__main__":
    main()
