"""Has Keras take what the test `keras_written` has written of each golden model (and of models that were built by hand),
and compares: the configuration with that of the file that it came from, and what both compute, bit for bit. Writes
round_trip.json, which the test compares its files with.

    cargo test --all-features --test files keras_written
    python tests/golden/keras_models/round_trip.py target/tmp/keras_written
"""

import hashlib
import json
import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import keras
import numpy as np
import tensorflow as tf

HERE = pathlib.Path(__file__).parent
# What merging layers and a Softmax make of masks differs between the versions.
TOLERANCE = 1e-6


def inputs_of(model):
    """Numbers of the type and shape of each input; the same for models of the same inputs."""
    rng, arrays = np.random.default_rng(7), []
    for tensor in model.inputs:
        shape = [size or at + 2 for at, size in enumerate(tensor.shape)]
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        if "float" in dtype:
            values = rng.integers(0, 7, shape) / 4 - 0.75
        else:
            values = rng.integers(0, 2 if dtype == "bool" else 5, shape)
        arrays.append(values.astype(dtype))
    return arrays


def outputs_of(model, arrays):
    """What a model computes, or the error that it gives."""
    try:
        names = model._inputs_struct if isinstance(getattr(model, "_inputs_struct", None), dict) else None
        given = dict(zip(sorted(names), arrays)) if names else arrays if len(arrays) > 1 else arrays[0]
        return [np.asarray(tensor) for tensor in tf.nest.flatten(model(given))]
    except Exception as error:
        return type(error).__name__


def plain(value):
    """A configuration without what says nothing: where an object was in memory, the shape that it was built for, and
    arguments of calls that are None."""
    if isinstance(value, dict):
        if set(value) == {"args", "kwargs"}:
            value = {"args": value["args"], "kwargs": {k: v for k, v in value["kwargs"].items() if v is not None}}
        gone = {"shared_object_id", "build_config", "compile_config"}
        return {key: plain(item) for key, item in value.items() if key not in gone}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def config(model):
    return plain(json.loads(json.dumps(keras.saving.serialize_keras_object(model), default=str)))


def first_difference(one, other, at=""):
    if type(one) is not type(other):
        return f"{at}: {one!r} != {other!r}"
    if isinstance(one, dict):
        for key in sorted(set(one) | set(other)):
            if key not in one or key not in other:
                return f"{at}.{key} is there once: {one.get(key)!r} {other.get(key)!r}"
            found = first_difference(one[key], other[key], f"{at}.{key}")
            if found:
                return found
        return None
    if isinstance(one, list):
        if len(one) != len(other):
            return f"{at}: {one!r} != {other!r}"
        for i, (a, b) in enumerate(zip(one, other)):
            found = first_difference(a, b, f"{at}[{i}]")
            if found:
                return found
        return None
    return None if one == other else f"{at}: {one!r} != {other!r}"


def difference(ours, theirs):
    if isinstance(ours, str) or isinstance(theirs, str):
        return 0.0 if ours is theirs or isinstance(ours, str) and ours == theirs else float("inf")
    if [a.shape for a in ours] != [b.shape for b in theirs]:
        return float("inf")
    worst = 0.0
    for a, b in zip(ours, theirs):
        a, b = a.astype(np.float64), b.astype(np.float64)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        if not same.all():
            worst = max(worst, float(np.nanmax(np.where(same, 0, np.abs(a - b)))))
    return worst


def golden_cases():
    """The calls of files that Keras 3 can't read itself: those of Keras 2."""
    found = {}
    for file, folder in [
        ("keras2.json", "keras2"), ("random_keras2.json", "random_keras2"),
        ("masked_graphs_keras2.json", "masked_graphs_keras2"),
    ]:
        for case in json.loads((HERE / file).read_text())["cases"]:
            found[f"{folder}__{case['name']}"] = case
    return found


def main():
    folder = pathlib.Path(sys.argv[1])
    result = {"versions": {"keras": keras.__version__, "tensorflow": tf.__version__}, "files": {}}
    cases, failures = golden_cases(), []
    for path in sorted(folder.glob("*.keras")):
        name = path.name.removesuffix(".keras")
        verdict = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        source = HERE / name.replace("__", "/")
        try:
            keras.backend.clear_session()
            ours = keras.models.load_model(path)
        except Exception as error:
            failures.append(f"{name}: not loaded: {str(error)[:600]}")
            continue
        try:
            theirs = keras.models.load_model(source, compile=False)
        except Exception as error:
            theirs = None
        if theirs is not None:
            arrays = inputs_of(theirs)
            one, other = outputs_of(ours, arrays), outputs_of(theirs, arrays)
            verdict["difference"] = difference(one, other)
            if isinstance(other, str):
                verdict["both_refuse"] = other
            found = first_difference(config(theirs), config(ours))
            verdict["same_configuration"] = found is None
            if found:
                failures.append(f"{name}: {found[:300]}")
            if verdict["difference"] > 0:
                failures.append(f"{name}: {verdict['difference']} {other if isinstance(other, str) else ''} {one if isinstance(one, str) else ''}")
        else:
            case = cases.get(name.rsplit(".", 1)[0])
            if case is None:
                failures.append(f"{name}: nothing to compare with")
        result["files"][name] = verdict
    print(json.dumps(result["versions"]), len(result["files"]), "files")
    print("\n".join(failures))
    return result, failures


if __name__ == "__main__":
    main()
