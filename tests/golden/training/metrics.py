"""Every metric, accumulated over three batches of different sizes, with masks and sample weights."""

import itertools
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras.src import backend
from oracle import generator, write

HERE = Path(__file__).parent
M = keras.metrics

KINDS = {
    "binary_accuracy": (M.BinaryAccuracy, {}, "binary"),
    "binary_accuracy_3": (M.BinaryAccuracy, {"threshold": 0.3}, "binary"),
    "categorical_accuracy": (M.CategoricalAccuracy, {}, "one_hot"),
    "sparse_categorical_accuracy": (M.SparseCategoricalAccuracy, {}, "classes"),
    "top_k": (M.TopKCategoricalAccuracy, {"k": 2}, "one_hot"),
    "sparse_top_k": (M.SparseTopKCategoricalAccuracy, {"k": 3}, "classes"),
    "mse": (M.MeanSquaredError, {}, "numbers"),
    "mae": (M.MeanAbsoluteError, {}, "numbers"),
    "rmse": (M.RootMeanSquaredError, {}, "numbers"),
    "precision": (M.Precision, {}, "binary"),
    "precision_threshold": (M.Precision, {"thresholds": 0.7}, "binary"),
    "precision_top": (M.Precision, {"top_k": 2}, "one_hot"),
    "precision_class": (M.Precision, {"class_id": 1}, "one_hot"),
    "recall": (M.Recall, {}, "binary"),
    "recall_top_threshold": (M.Recall, {"top_k": 2, "thresholds": 0.4}, "one_hot"),
    "recall_class": (M.Recall, {"class_id": 2, "thresholds": 0.25}, "one_hot"),
    "auc": (M.AUC, {}, "binary"),
    "auc_logits": (M.AUC, {"from_logits": True, "num_thresholds": 17}, "logits"),
    "auc_thresholds": (M.AUC, {"thresholds": [0.9, 0.2, 0.45, 0.6]}, "binary"),
    "auc_even": (M.AUC, {"thresholds": [0.25, 0.5, 0.75]}, "binary"),
} | {
    f"auc_{curve}_{method}": (M.AUC, {"curve": curve, "summation_method": method, "num_thresholds": 23}, "binary")
    for curve, method in itertools.product(["ROC", "PR"], ["interpolation", "majoring", "minoring"])
}  # fmt: skip


def batch(kind, rng, shape, dtype):
    # Of few digits, so that some are equal and some lie on thresholds.
    p = np.round(rng.uniform(0, 1, shape), 1 if rng.uniform() < 0.5 else 3)
    classes = rng.integers(0, shape[-1], shape[:-1])
    if kind == "numbers":
        y = np.round(rng.uniform(-1, 1, shape), 3)
    elif kind == "classes":
        return p.astype(dtype), classes.astype("int32")
    elif kind == "one_hot":
        y = np.eye(shape[-1])[classes]
    else:
        y = rng.integers(0, 2, shape)
        p = 6 * p - 3 if kind == "logits" else p
    return p.astype(dtype), y.astype(dtype)


def case(number, kind, rank, dtype):
    make, options, of = KINDS[kind]
    name = f"{kind}-{rank}-{dtype}"
    rng = generator(name)
    metric = make(**options, dtype=dtype)
    masked = number % 3 > 0 and rank == 3
    weighted = number % 4 < 2
    batches = []
    for rows, steps in [(4, 3), (2, 5), (3, 1)]:
        shape = (rows, 4) if rank == 2 else (rows, steps, 4)
        p, y = batch(of, rng, shape, dtype)
        mask = rng.uniform(size=shape[:-1]) < 0.7 if masked else None
        weights = np.round(rng.uniform(0.1, 2, shape[:-1]), 3).astype(dtype) if weighted else None
        tensor = tf.constant(p)
        if masked:
            backend.set_keras_mask(tensor, tf.constant(mask))
        metric.update_state(y, tensor, sample_weight=weights)
        result = float(metric.result())
        batches.append({"prediction": p, "target": y, "mask": mask, "sample_weight": weights, "result": result})
    return {"name": name, "dtype": dtype, "metric": make.__name__, "options": options, "batches": batches}


def main():
    cases = itertools.product(KINDS, [2, 3], ["float32", "float64"])
    # TensorFlow finds the top k of f32 alone.
    cases = [which for which in cases if which[2] == "float32" or "top_k" not in which[0]]
    write("metrics", [case(number, *which) for number, which in enumerate(cases)], HERE)
