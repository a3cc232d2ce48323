"""Models whose files say regularizers and constraints, and a few updates of Keras with them.

Writes rules/ and rules.json: the penalty before the first update, the loss of each update (the penalty is in it), and
the weights after the last one, in the order of model.trainable_weights. Versions: requirements.txt.
"""

import json
import os
import pathlib

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from keras import constraints as C
from keras import layers as L
from keras import regularizers as R

HERE = pathlib.Path(__file__).parent
UPDATES = 4


def of_cells():
    x = L.Input((5, 3))
    cells = [
        L.LSTMCell(4, kernel_regularizer=R.L2(0.02), recurrent_constraint=C.UnitNorm(axis=1)),
        L.GRUCell(3, recurrent_regularizer=R.L1(0.01), bias_regularizer="l2"),
    ]
    return keras.Model(x, L.RNN(cells)(x))


def both_ways():
    x = L.Input((5, 3))
    copied = L.Bidirectional(L.GRU(4, kernel_regularizer=R.L1L2(0.01, 0.02), return_sequences=True))(x)
    own = L.Bidirectional(
        L.SimpleRNN(4, kernel_constraint=C.MaxNorm(0.7)),
        backward_layer=L.LSTM(4, go_backwards=True, recurrent_regularizer=R.OrthogonalRegularizer(0.05, mode="columns")),
    )
    return keras.Model(x, own(copied))


def table():
    inside = keras.Sequential([L.Input((None, 4)), L.Dense(5, kernel_regularizer="l1", name="inner")], name="within")
    frozen = L.Dense(3, kernel_regularizer=R.L2(0.5), trainable=False)
    return keras.Sequential(
        [
            L.Input((6,), dtype="int32"),
            L.Embedding(9, 4, embeddings_regularizer=R.L2(0.03), embeddings_constraint=C.MinMaxNorm(0.2, 0.9, 0.5, axis=1)),
            inside,
            L.TimeDistributed(L.Dense(4, bias_constraint=C.NonNeg(), kernel_regularizer=R.L2(0.02))),
            frozen,
            L.LSTM(3, unit_forget_bias=False, bias_initializer="random_normal", bias_regularizer=R.L1(0.1)),
        ]
    )


def around():
    x = L.Input((8, 4))
    y = L.Conv1D(6, 3, kernel_regularizer=R.L2(0.01), kernel_constraint=C.MaxNorm(0.4, axis=[0, 1]))(x)
    y = L.SeparableConv1D(6, 2, depthwise_regularizer=R.L1(0.02), pointwise_constraint=C.UnitNorm(axis=[0, 1]))(y)
    y = L.DepthwiseConv1D(2, depthwise_regularizer=R.L2(0.04))(y)
    y = L.LayerNormalization(gamma_regularizer=R.L1(0.03), beta_constraint=C.NonNeg())(y)
    y = L.MultiHeadAttention(2, 3, kernel_regularizer=R.L2(0.01), bias_constraint=C.MaxNorm(0.1))(y, y)
    y = L.PReLU(shared_axes=[1], alpha_regularizer=R.L2(0.1), alpha_initializer="random_normal")(y)
    return keras.Model(x, L.GRU(3, kernel_regularizer=R.L1(0.005))(y))


def array(values):
    return {"shape": list(values.shape), "data": values.ravel().tolist()}


def main():
    cases = []
    (HERE / "rules").mkdir(exist_ok=True)
    for make in [of_cells, both_ways, table, around]:
        keras.utils.clear_session()
        keras.utils.set_random_seed(3)
        model = make()
        r = np.random.default_rng(5)
        shape = (7, *model.input_shape[1:])
        x = r.integers(0, 9, shape).astype("int32") if make is table else r.standard_normal(shape).astype("float32")
        y = r.standard_normal((7, model.output_shape[-1])).astype("float32")
        model.save(HERE / "rules" / f"{make.__name__}.keras")
        model.compile(keras.optimizers.SGD(0.2), "mse")
        penalty = float(sum(model.losses))
        losses = model.fit(x, y, batch_size=7, epochs=UPDATES, shuffle=False, verbose=0).history["loss"]
        trained = [{"path": w.path} | array(w.numpy()) for w in model.trainable_weights]
        case = {"name": make.__name__, "input": array(x), "target": array(y), "penalty": penalty, "losses": losses}
        cases.append(case | {"trained": trained})
    (HERE / "rules.json").write_text(json.dumps({"keras": keras.__version__, "cases": cases}) + "\n")


if __name__ == "__main__":
    main()
