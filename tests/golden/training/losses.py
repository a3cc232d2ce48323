"""Every loss with its options: the loss, and its gradient with respect to the prediction."""

import itertools
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras.src import backend
from oracle import generator, write

HERE = Path(__file__).parent
L = keras.losses
SHAPES = [(4, 3), (3, 4, 5)]
REDUCTIONS = ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none"]

# name: (Keras's class, its options, what the prediction is, what the target is)
KINDS = {
    "mse": (L.MeanSquaredError, {}, "numbers", "numbers"),
    "mae": (L.MeanAbsoluteError, {}, "numbers", "numbers"),
    "huber": (L.Huber, {}, "numbers", "numbers"),
    "huber_delta": (L.Huber, {"delta": 0.4}, "numbers", "numbers"),
    "log_cosh": (L.LogCosh, {}, "numbers", "numbers"),
    "cosine": (L.CosineSimilarity, {}, "numbers", "numbers"),
    "kl": (L.KLDivergence, {}, "probabilities", "distribution"),
    "binary": (L.BinaryCrossentropy, {}, "probabilities", "binary"),
    "binary_logits": (L.BinaryCrossentropy, {"from_logits": True}, "numbers", "binary"),
    "binary_smooth": (L.BinaryCrossentropy, {"label_smoothing": 0.2}, "probabilities", "binary"),
    "binary_logits_smooth": (
        L.BinaryCrossentropy, {"from_logits": True, "label_smoothing": 0.1}, "numbers", "binary",
    ),
    "categorical": (L.CategoricalCrossentropy, {}, "probabilities", "distribution"),
    "categorical_logits": (L.CategoricalCrossentropy, {"from_logits": True}, "numbers", "distribution"),
    "categorical_smooth": (L.CategoricalCrossentropy, {"label_smoothing": 0.3}, "probabilities", "one_hot"),
    "categorical_logits_smooth": (
        L.CategoricalCrossentropy, {"from_logits": True, "label_smoothing": 0.1}, "numbers", "one_hot",
    ),
    "sparse": (L.SparseCategoricalCrossentropy, {}, "probabilities", "classes"),
    "sparse_logits": (L.SparseCategoricalCrossentropy, {"from_logits": True}, "numbers", "classes"),
    "sparse_ignore": (L.SparseCategoricalCrossentropy, {"ignore_class": 1}, "probabilities", "classes"),
    "sparse_logits_ignore": (
        L.SparseCategoricalCrossentropy, {"from_logits": True, "ignore_class": -1}, "numbers", "some_classes",
    ),
}  # fmt: skip


def prediction(kind, rng, shape, dtype):
    x = np.round(rng.uniform(-2, 2, shape), 3)
    if kind == "probabilities":
        x = np.round(rng.uniform(0.02, 0.98, shape), 3)
        x.flat[0], x.flat[7] = 1e-9, 1.0  # both are clipped
    return x.astype(dtype)


def target(kind, rng, shape, dtype):
    classes = rng.integers(0, shape[-1], shape[:-1])
    if kind == "numbers":
        return np.round(rng.uniform(-2, 2, shape), 3).astype(dtype)
    if kind == "binary":
        return rng.integers(0, 2, shape).astype(dtype)
    if kind == "one_hot":
        return np.eye(shape[-1])[classes].astype(dtype)
    if kind == "distribution":
        parts = rng.integers(0, 9, shape)
        parts[..., 0] += 1
        return (parts / parts.sum(-1, keepdims=True)).astype(dtype)
    if kind == "some_classes":
        classes[..., -1] = -1
    return classes.astype("int32")


def run(loss, y, p, mask, weights):
    p = tf.constant(p)
    with tf.GradientTape() as tape:
        tape.watch(p)
        if mask is not None:
            backend.set_keras_mask(p, tf.constant(mask))
        value = loss(y, p, sample_weight=weights)
    return value.numpy(), tape.gradient(value, p).numpy()


def case(name, kind, shape, dtype, reduction, masked, weighted):
    make, options, of_p, of_t = KINDS[kind]
    rng = generator(name)
    p, y = prediction(of_p, rng, shape, dtype), target(of_t, rng, shape, dtype)
    values = shape[:-1]
    mask = rng.uniform(size=values) < 0.7 if masked else None
    weights = None
    if weighted:
        weights = np.round(rng.uniform(0.1, 2, {"each": values, "row": (values[0], 1)}[weighted]), 3).astype(dtype)
    loss = make(**options, reduction=reduction, dtype=dtype)
    value, gradient = run(loss, y, p, mask, weights)
    return {
        "name": name, "dtype": dtype, "loss": make.__name__, "options": options, "reduction": reduction,
        "prediction": p, "target": y, "mask": mask, "sample_weight": weights, "value": value, "gradient": gradient,
    }  # fmt: skip


def plain():
    for number, (kind, shape, dtype) in enumerate(itertools.product(KINDS, SHAPES, ["float32", "float64"])):
        masked, weighted = number % 2 == 1, [None, "each", "row"][number % 3]
        if len(shape) == 2 and weighted == "row":
            weighted = "each"
        reduction = REDUCTIONS[number % 5] if number % 4 > 1 else REDUCTIONS[0]
        yield case(f"{kind}-{len(shape)}-{dtype}", kind, shape, dtype, reduction, masked, weighted)


def weighted():
    """All ways to weigh with all reductions, of one loss with a class to ignore and one without."""
    for kind, reduction, masked, weights in itertools.product(
        ["mse", "sparse_logits_ignore"], REDUCTIONS, [False, True], [None, "each", "row"]
    ):
        name = f"{kind}-{reduction}-{'masked' if masked else 'whole'}-{weights}"
        yield case(name, kind, (3, 4, 2), "float64", reduction, masked, weights)


def ctc():
    for number, (steps, labels) in enumerate([(4, 2), (7, 3), (12, 5)]):
        for dtype in ["float32", "float64"]:
            name = f"ctc-{steps}-{labels}-{dtype}"
            rng = generator(name)
            p = np.round(rng.uniform(-2, 2, (3, steps, 4)), 3).astype(dtype)
            y = rng.integers(1, 4, (3, labels)).astype("int32")
            for row in range(3):  # padded, and two equal labels where there is room
                y[row, labels - row % labels:] = 0
            if steps < 2 * labels + 1:
                y[0] = np.arange(labels) % 3 + 1
                y[1:, 1:2] = y[1:, :1] % 3 + 1
            reduction = REDUCTIONS[number % 3]
            weights = np.array([0.5, 2, 1.25], dtype) if number else None
            value, gradient = run(L.CTC(reduction=reduction, dtype=dtype), y, p, None, weights)
            assert np.all(value < 100)
            yield {
                "name": name, "dtype": dtype, "loss": "CTC", "options": {}, "reduction": reduction, "prediction": p,
                "target": y, "mask": None, "sample_weight": weights, "value": value, "gradient": gradient,
            }  # fmt: skip


def main():
    write("losses", [*plain(), *weighted(), *ctc()], HERE)
