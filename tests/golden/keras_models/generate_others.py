"""Writes models in half precision, models of own classes, adapters, and models in several files, into `others/`.

Run with the versions of requirements.txt: `python tests/golden/keras_models/generate_others.py`. `others.json` has inputs
and what Keras computes: for half precision both with the policy of the file and with the same weights and `float32`.
"""

import json
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from generate import HERE, Rng, array
from keras import layers as L

FOLDER = HERE / "others"
CASES = []


def randomize(model, r):
    model.set_weights([np.asarray(r.floats(*w.shape) * 0.7, w.dtype) for w in model.get_weights()])


def add(name, x, y, **more):
    CASES.append({"name": name, "inputs": [array(x)], "outputs": [array(np.asarray(y, "float32"))], **more})


def half(policy, of_input="float32"):
    # What TensorFlow has no decomposition in 16 bits for: another initializer than the default.
    how = {"dtype": policy}
    cell = {"recurrent_initializer": "glorot_uniform", **how}
    return keras.Sequential([
        keras.Input((6, 3), dtype=of_input), L.LSTM(4, return_sequences=True, **cell), L.Bidirectional(L.GRU(3, **cell), **how),
        L.Dense(2, **how), L.Activation("softmax", dtype="float32"),
    ])


@keras.saving.register_keras_serializable("mine")
class Mine(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.encoder = L.LSTM(4, return_sequences=True)
        self.both = L.Bidirectional(L.GRU(3, return_sequences=True))
        self.net = keras.Sequential([L.Dense(5), L.LSTM(3, return_sequences=True), L.Dense(2)])
        self.blocks = [L.Dense(3), L.Dense(2)]

    def build(self, shape):
        self.scale = self.add_weight(shape=(1,), name="scale")
        super().build(shape)

    def call(self, x):
        y = self.net(self.both(self.encoder(x)))
        return self.blocks[1](self.blocks[0](y)) * self.scale


def main():
    FOLDER.mkdir(exist_ok=True)
    for policy in ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16"):
        r = Rng(policy)
        model = half(policy, "float32" if policy.startswith("mixed") else policy)
        randomize(model, r)
        x = r.floats(2, 6, 3)
        single = half("float32")
        single.set_weights([np.asarray(w, "float32") for w in model.get_weights()])
        for ending in ("keras", "h5"):
            name = f"{policy}.{ending}"
            model.save(FOLDER / name)
            add(name, x, single.predict(x, verbose=0), half=array(np.asarray(model.predict(x, verbose=0), "float32")))

    r = Rng("mine")
    x = r.floats(2, 5, 3)
    model = Mine()
    model(x)
    randomize(model, r)
    model.save(FOLDER / "mine.keras")
    model.save_weights(FOLDER / "mine.weights.h5")
    add("mine", x, model.predict(x, verbose=0))

    r = Rng("lora")
    model = keras.Sequential([keras.Input((4,)), L.Embedding(9, 6), L.GRU(3), L.Dense(4)])
    model.layers[0].enable_lora(2)
    model.layers[2].enable_lora(2)
    randomize(model, r)
    ids = r.ids(9, 2, 4)
    model.save(FOLDER / "lora.keras")
    model.save(FOLDER / "lora.h5")  # which is refused
    add("lora.keras", ids, model.predict(ids, verbose=0))

    r = Rng("parts")
    model = keras.Sequential([keras.Input((5, 3)), L.LSTM(4, return_sequences=True), L.GRU(2)])
    randomize(model, r)
    x = r.floats(2, 5, 3)
    (FOLDER / "parts.json").write_text(model.to_json())
    model.save_weights(FOLDER / "parts.weights.h5")
    add("parts", x, model.predict(x, verbose=0))

    r = Rng("dictionary")
    a, b = keras.Input((5, 3), name="z_steps"), keras.Input((3,), name="a_fixed")
    y = L.Concatenate()([L.LSTM(4)(a), b])
    model = keras.Model({"steps": a, "fixed": b}, {"z": L.Dense(2, name="head")(y), "c": L.Dense(1, name="tail")(y)})
    randomize(model, r)
    x = {"steps": r.floats(2, 5, 3), "fixed": r.floats(2, 3)}
    model.save(FOLDER / "dictionary.keras")
    y = model.predict(x, verbose=0)
    CASES.append({
        "name": "dictionary.keras", "inputs": {key: array(value) for key, value in x.items()},
        "outputs": {key: array(value) for key, value in y.items()},
    })
    text = ",\n".join(json.dumps(case) for case in CASES)
    (HERE / "others.json").write_text(f'{{"keras": "{keras.__version__}", "cases": [\n{text}\n]}}\n')


if __name__ == "__main__":
    main()
