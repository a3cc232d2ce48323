"""Writes models with one version of Keras 2 into `versions/`, and their inputs and outputs beside them.

Run once in an environment of each: `tensorflow-cpu==2.10.1` (Python 3.10; writes .h5), `tensorflow-cpu==2.12.1`, `2.13.1`,
`2.14.1`, `2.15.1`, and `tensorflow-cpu==2.16.2 tf_keras==2.16.0` (Python 3.11), each with the numpy that pip chooses below 2;
and `keras==2.0.8 tensorflow==1.15.5 h5py<3 protobuf<3.21` (Python 3.7; writes .h5):
`python tests/golden/keras_models/generate_versions.py`.
"""

import json
import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import tensorflow as tf

try:
    import tf_keras as keras
except ImportError:
    import keras
import numpy as np

L = keras.layers
VERSION = keras.__version__
MINOR = int(VERSION.split(".")[1])
FOLDER = pathlib.Path(__file__).parent / "versions"


def numbers(seed):
    rng = np.random.RandomState(seed)
    return lambda *shape: rng.uniform(-1, 1, shape).astype("float32")


def recurrent(f):
    """hard_sigmoid is 0.2 x + 0.5 there; masks; options that old versions don't have."""
    x = keras.Input(shape=(6, 3))
    y = L.Masking()(x)
    y = L.GRU(4, return_sequences=True, recurrent_activation="hard_sigmoid")(y)
    y = L.LSTM(3, activation="relu", recurrent_activation="hard_sigmoid", go_backwards=True, return_sequences=True)(y)
    y = L.Bidirectional(L.SimpleRNN(2))(y)
    data = f(2, 6, 3)
    data[0, 4:] = 0
    data[1, 2] = 0
    model = keras.models.Model(x, L.Dense(2)(y))
    return model, data


def nested(f):
    """Models within models; classes that come twice, with weights and without; functions of TensorFlow."""
    x = keras.Input((5, 3))
    y = L.LSTM(2, return_sequences=True, name="inner/lstm")(x)
    y = L.TimeDistributed(L.Activation(tf.nn.leaky_relu))(y)
    inner = keras.Model(x, L.TimeDistributed(L.Dense(2))(y), name="inner")
    a = keras.Input((5, 3))
    y = L.LSTM(3, return_sequences=True, activation=tf.nn.relu6)(a)
    # 2.12 saves the number as one of numpy's.
    y = L.ReLU(max_value=0.5)(L.LSTM(3, return_sequences=True)(inner(y)))
    head = keras.Sequential([L.LSTM(2), L.BatchNormalization(), L.Dense(3), L.Activation(tf.nn.log_softmax)])
    return keras.Model(a, [head(y), inner(a)]), f(2, 5, 3)


def array(a):
    return {"shape": list(a.shape), "dtype": str(a.dtype), "data": [float(x) for x in a.ravel()]}


def main():
    FOLDER.mkdir(exist_ok=True)
    for seed, build in enumerate([recurrent] if MINOR < 10 else [recurrent, nested]):
        f = numbers(seed)
        model, x = build(f)
        model.set_weights([np.abs(f(*w.shape)) + 0.1 if "variance" in v.name else f(*w.shape) for w, v in zip(model.get_weights(), model.weights)])
        outputs = model.predict(x)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        name = "{}_{}.{}".format(build.__name__, VERSION, "keras" if MINOR >= 12 else "h5")
        how = {"save_format": "keras_v3"} if MINOR == 12 else {}
        model.save(str(FOLDER / name), **how)
        case = {"name": name, "inputs": [array(x)], "outputs": [array(y) for y in outputs]}
        (FOLDER / (name + ".json")).write_text(json.dumps(case) + "\n")


if __name__ == "__main__":
    main()
