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
# Keras compiles each convolution of each step anew: their numbers are in conv_lstm.json.
SLOW = ["conv_lstm__channels_before_sizes.keras"]
# Layers of bytes inside TimeDistributed, which compute in floats, are written as layers of floats.
OF_FLOATS = [f"int8__{name}" for name in ["both_directions.h5", "both_directions.keras", "chain.keras", "sequence.keras"]]
# Of what Keras 2 computed, in other operations.
TOLERANCE = 1e-6


def inputs_of(model):
    """The numbers that `tests/files/predictions.rs` makes for the inputs of a model, in the order of their names if they
    are a dictionary."""
    arrays = []
    for tensor in model.inputs:
        shape, values, at = [size or at + 2 for at, size in enumerate(tensor.shape)], [], 0
        for _ in range(int(np.prod(shape))):
            at = (at * 5 + 3) % 7
            values.append(at)
        values, dtype = np.array(values).reshape(shape), keras.backend.standardize_dtype(tensor.dtype)
        arrays.append((values / 4 - 0.75 if "float" in dtype else values).astype(dtype))
    return arrays


def run(model, arrays):
    """What a model computes of inputs in the order of its own."""
    struct = getattr(model, "_inputs_struct", None)
    struct = struct if struct is not None else model.inputs
    given = tf.nest.pack_sequence_as(struct, arrays) if isinstance(struct, (dict, list, tuple)) else arrays[0]
    return [np.asarray(tensor) for tensor in tf.nest.flatten(model(given[0] if isinstance(given, list) and len(given) == 1 else given))]


def outputs_of(model, arrays):
    """What a model computes, or the name of the error that it gives."""
    try:
        return run(model, arrays)
    except Exception as error:
        return type(error).__name__


def plain(value):
    """A configuration without what says nothing: where an object was in memory, the shape that it was built for."""
    if isinstance(value, dict):
        if set(value) == {"args", "kwargs"}:
            kwargs = dict(value["kwargs"])
            state = kwargs.get("initial_state")
            # A state of one part, or a list of that one.
            if isinstance(state, (list, tuple)) and len(state) == 1:
                kwargs["initial_state"] = state[0]
            value = {"args": value["args"], "kwargs": kwargs}
        gone = {"shared_object_id", "build_config", "compile_config"}
        if value.get("class_name") == "IntegerLookup":
            # A vocabulary that stood beside the weights is among the options now: what is computed tells that it is the same.
            beside = {"vocabulary": None, "idf_weights": None}
            value = value | {"config": value["config"] | beside}
        return {key: plain(item) for key, item in value.items() if key not in gone}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def config(model):
    return plain(json.loads(json.dumps(keras.saving.serialize_keras_object(model), default=str)))


def first_difference(one, other, at=""):
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (one, other))
    if type(one) is not type(other) and not numbers:
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
    """What models compute whose file Keras 3 can't read itself: those of Keras 2, and some legacy ones."""
    found = {}
    for file, folder in [
        ("cases.json", "models"), ("keras2.json", "keras2"), ("random_keras2.json", "random_keras2"),
        ("masked_graphs_keras2.json", "masked_graphs_keras2"), ("masked_graphs.json", "masked_graphs"),
        ("convolutions_keras2.json", "convolutions_keras2"), ("operations_keras2.json", "operations_keras2"),
    ]:
        for case in json.loads((HERE / file).read_text())["cases"]:
            found[f"{folder}__{case['name']}"] = case
    return found


def array(value):
    numbers = np.array([float(number) for number in value["data"]], np.float64)
    return numbers.reshape(value["shape"]).astype(value.get("dtype", "float64"))


def against_case(model, case):
    """The largest difference from what is written down of a model's first call."""
    call = case["calls"][0]
    ours = [a.astype(np.float64) for a in run(model, [array(value) for value in call["inputs"]])]
    theirs = [array(value).astype(np.float64) for value in call["outputs"]]
    assert [a.shape for a in ours] == [b.shape for b in theirs]
    return max(float(np.nanmax(np.abs(a - b) / np.maximum(1, np.abs(b)))) for a, b in zip(ours, theirs) if a.size)


def trains(model):
    """A model that was loaded is trained on: compiled, and fitted to zeros."""
    arrays = inputs_of(model)
    zeros = [np.zeros(output.shape, output.dtype) for output in run(model, arrays)]
    losses = ["mse"] * len(zeros)
    struct = getattr(model, "_outputs_struct", None)
    if isinstance(struct, dict):
        zeros, losses = dict(zip(sorted(struct), zeros)), dict(zip(sorted(struct), losses))
    given = tf.nest.pack_sequence_as(model._inputs_struct, arrays) if len(arrays) > 1 else arrays[0]
    # All at once, eagerly: it takes less time.
    model.compile("sgd", losses if len(losses) > 1 else "mse", run_eagerly=True)
    before = [np.array(weight) for weight in model.trainable_weights]
    loss = model.fit(given, zeros if len(losses) > 1 else zeros[0], verbose=0).history["loss"][0]
    changed = sum(not np.array_equal(a, b) for a, b in zip(before, map(np.array, model.trainable_weights)))
    return bool(np.isfinite(loss)) and changed > 0


def listed(array):
    return {"shape": list(array.shape), "data": [float(number) for number in array.astype(np.float64).ravel()]}


def by_hand(path):
    model = keras.models.load_model(path)
    outputs = run(model, inputs_of(model))
    return {"sha256": digest(path), "outputs": [listed(output) for output in outputs], "trains": trains(model)}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def from_a_file(path, name, cases):
    source, verdict = HERE / name.replace("__", "/"), {"sha256": digest(path)}
    ours = keras.models.load_model(path)
    try:
        theirs = keras.models.load_model(source, compile=False)
    except Exception:
        theirs = None
    case = cases.get(name.rsplit(".", 1)[0])
    if theirs is None:
        # Nothing else tells what it computes.
        if case is not None:
            try:
                verdict["difference_from_case"] = against_case(ours, case)
            except tf.errors.UnimplementedError:  # Keras 3's convolutions of channels_first run on no CPU
                return verdict | {"runs_here": False}
            assert verdict["difference_from_case"] < TOLERANCE, verdict
        return verdict
    if name in SLOW:
        verdict["runs_here"] = False
    else:
        arrays = inputs_of(theirs)
        one, other = outputs_of(ours, arrays), outputs_of(theirs, arrays)
        verdict["difference"] = difference(one, other)
        assert verdict["difference"] == 0, verdict
        if isinstance(other, str):
            verdict["both_refuse"] = other
    found = first_difference(config(theirs), config(ours))
    # Files of Keras 2 become Keras 3's.
    old = "keras2" in name or any(f"_2.{minor}." in name for minor in range(17)) or name.startswith("forms__windows")
    verdict["same_configuration"] = found is None
    assert old or found is None or name in OF_FLOATS and "QuantizedDTypePolicy" in found, found
    return verdict


def main():
    folder = pathlib.Path(sys.argv[1])
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    result = {"versions": versions, "by_hand": {}, "files": {}}
    cases, failures = golden_cases(), []
    # What these versions have had already isn't looked at again.
    before = json.loads((HERE / "round_trip.json").read_text())
    known = {} if before.get("versions") != versions else {**before["by_hand"], **before["files"]}
    known = {verdict["sha256"]: verdict for verdict in known.values()}
    for path in sorted(folder.glob("*.keras")):
        name = path.name.removesuffix(".keras")
        if digest(path) in known:
            part = result["by_hand"] if name.startswith("hand__") else result["files"]
            part[name.removeprefix("hand__")] = known[digest(path)]
            continue
        keras.backend.clear_session()
        try:
            if name.startswith("hand__"):
                result["by_hand"][name.removeprefix("hand__")] = by_hand(path)
            else:
                result["files"][name] = from_a_file(path, name, cases)
        except Exception as error:
            failures.append(f"{name}: {type(error).__name__}: {str(error)[:600]}")
    print("\n".join(failures))
    assert not failures, f"{len(failures)} failed"
    (HERE / "round_trip.json").write_text(dumps(result) + "\n")
    print(json.dumps(versions), len(result["files"]), "files", len(result["by_hand"]), "by hand")


def dumps(result):
    """A line for each file."""
    parts = []
    for key, value in result.items():
        if key == "versions":
            parts.append(f' "versions": {json.dumps(value)}')
            continue
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(verdict)}" for name, verdict in value.items())
        parts.append(f' "{key}": {{\n{lines}\n }}')
    return "{\n" + ",\n".join(parts) + "\n}"


if __name__ == "__main__":
    main()
