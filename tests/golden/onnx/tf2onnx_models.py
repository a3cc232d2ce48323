"""Keras's models as tf2onnx writes them, with what ONNX Runtime makes of them; Keras agrees to 1e-5.

    pip install -r requirements-tf2onnx.txt; python tf2onnx_models.py

tf2onnx finds LSTMs in what Keras 3 traces; a GRU and a SimpleRNN become Loops, which aren't read: "loop" is one of them.
"""

import logging
import os

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")

import keras
import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
import tf2onnx
from bundle import Bundle
from keras import layers as L

logging.disable(logging.WARNING)
onnxruntime.set_default_logger_severity(3)
np.bool, np.object = bool, object  # tf2onnx's names for them


def sequential(*layers, shape=(None, 3), dtype="float32"):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *layers])


def two_inputs():
    x, ids = keras.Input((None, 3), name="x"), keras.Input((None,), dtype="int32", name="ids")
    both = L.Concatenate()([x, L.Embedding(9, 2)(ids)])
    h = L.LSTM(4, return_sequences=True)(both)
    return keras.Model([x, ids], [L.Dense(2)(h), L.GlobalMaxPooling1D()(h)])


def models():
    yield "last", sequential(L.LSTM(4))
    yield "sequence", sequential(L.LSTM(4, return_sequences=True), L.Dense(2))
    yield "two", sequential(L.LSTM(4, return_sequences=True), L.LSTM(3), L.Dense(2, activation="softmax"))
    yield "backwards", sequential(L.LSTM(4, go_backwards=True))
    yield "bidirectional", sequential(L.Bidirectional(L.LSTM(4, return_sequences=True)), L.Dense(2, activation="softmax"))
    yield "bidirectional_last", sequential(L.Bidirectional(L.LSTM(4)), L.Dense(1, activation="sigmoid"))
    yield "activations", sequential(L.LSTM(4, activation="relu", recurrent_activation="hard_sigmoid"))
    yield "no_bias", sequential(L.LSTM(4, use_bias=False))
    yield "embedding", sequential(L.Embedding(10, 4), L.LSTM(4), L.Dense(1), shape=(None,), dtype="int32")
    yield "normalized", sequential(L.LSTM(4, return_sequences=True), L.LayerNormalization(), L.Dense(2))
    yield "causal", sequential(L.Conv1D(5, 3, padding="causal", activation="relu"), L.LSTM(4))
    yield "pooled", sequential(L.Conv1D(5, 3, padding="same"), L.BatchNormalization(), L.ReLU(), L.MaxPooling1D(2), L.LSTM(4))
    yield "average", sequential(L.Conv1D(5, 2, strides=2), L.AveragePooling1D(2), L.LSTM(4, return_sequences=True),
                                L.GlobalAveragePooling1D(), shape=(12, 3))
    yield "fixed", sequential(L.LSTM(4, return_sequences=True), L.Flatten(), L.Dense(2), shape=(5, 3))
    yield "repeated", sequential(L.LSTM(4), L.RepeatVector(3), L.LSTM(2, return_sequences=True))
    yield "dropout", sequential(L.Dropout(0.3), L.LSTM(4, dropout=0.2), L.Dense(2, activation="elu"))
    yield "two_inputs", two_inputs()
    yield "loop", sequential(L.GRU(4))


def main():
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(2)
    of = {module.__name__: module.__version__ for module in [keras, onnx, onnxruntime, np]}
    bundle = Bundle("tf2onnx", of | {"tf2onnx": tf2onnx.__version__, "tensorflow": tf.__version__})
    for name, model in models():
        for weight in model.weights:  # no zeros and ones left
            weight.assign(np.abs(weight.numpy() + 0.3 * rng.standard_normal(weight.shape)) if "variance" in weight.path
                          else weight.numpy() + 0.3 * rng.standard_normal(weight.shape))
        names = [f"in{i}" for i in range(len(model.inputs))]
        specs = [tf.TensorSpec(x.shape, x.dtype, name=n) for x, n in zip(model.inputs, names)]
        call = tf.function(lambda *x: model(list(x) if len(x) > 1 else x[0], training=False), input_signature=specs)
        feeds = {}
        for spec in specs:
            shape = [2 if axis == 0 else 7 if size is None else size for axis, size in enumerate(spec.shape)]
            numbers = rng.integers(0, 9, shape) if spec.dtype == tf.int32 else rng.standard_normal(shape)
            feeds[spec.name] = numbers.astype(spec.dtype.as_numpy_dtype)
        expected = call(*feeds.values())
        expected = expected if isinstance(expected, (list, tuple)) else [expected]
        for opset in [12, 18]:
            written, _ = tf2onnx.convert.from_function(call, input_signature=specs, opset=opset)
            for node in written.graph.node:
                node.doc_string = ""
            del written.graph.value_info[:]
            session = onnxruntime.InferenceSession(written.SerializeToString(), providers=["CPUExecutionProvider"])
            outputs = [output.name for output in session.get_outputs()]
            results = session.run(outputs, feeds)
            assert all(np.allclose(a, b, rtol=0, atol=1e-5) for a, b in zip(results, expected)), name
            bundle.add(f"{name}.{opset}", written.SerializeToString(), feeds, dict(zip(outputs, results)))
    bundle.write()


if __name__ == "__main__":
    main()
