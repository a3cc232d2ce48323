"""What all engines are asked: the examples' results are those of one process, bit for bit, also if a worker dies."""

import json
import struct
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import apply_in_arrow
import ensemble
import map_in_arrow
import recurrent_layers as rl
import state_by_key
from dies_once import dies_once

MODEL = str(Path(__file__).resolve().parents[4] / "tests" / "golden" / "keras_models" / "models" / "simple_rnn.keras")
FEATURES = ["a", "b", "c"]


def series(count, features=3, longest=60):
    rng = np.random.default_rng(7)
    return {id: rng.normal(size=(rng.integers(1, longest), features)).astype("float32") for id in range(count)}


def list_form(spark, rows):
    """A frame with a row for each series."""
    lists = pd.DataFrame({"id": list(rows), "x": [x.ravel().tolist() for x in rows.values()]})
    return spark.createDataFrame(lists, "id long, x array<float>").repartition(4)


def long_form(rows, first=0):
    """A table with a row for each step."""
    frames = [
        pd.DataFrame(x, columns=FEATURES).assign(id=id, t=np.arange(first, first + len(x))) for id, x in rows.items()
    ]
    return pd.concat(frames).sample(frac=1, random_state=1)  # in no order


def write_member(path, seed, features, units):
    """A member as PyTorch would begin it: safetensors are a length, a header and numbers."""
    rng = np.random.default_rng(seed)
    shapes = {
        "lstm.weight_ih_l0": [4 * units, features],
        "lstm.weight_hh_l0": [4 * units, units],
        "lstm.bias_ih_l0": [4 * units],
        "lstm.bias_hh_l0": [4 * units],
        "head.net.0.weight": [1, units],
        "head.net.0.bias": [1],
    }
    header, data = {}, b""
    for name, shape in shapes.items():
        values = rng.uniform(-(units**-0.5), units**-0.5, shape).astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    header = json.dumps(header).encode()
    Path(path).write_bytes(struct.pack("<Q", len(header)) + header + data)


def same(rows, expected, column="y"):
    """The rows that an engine collected: each series once, with the expected bits."""
    assert sorted(row.id for row in rows) == sorted(expected), "series are missing or doubled"
    assert all(np.array_equal(np.array(row[column], "float32"), expected[row.id]) for row in rows)


def check_scoring(spark, model, rows, expected):
    same(map_in_arrow.score(list_form(spark, rows), MODEL).collect(), expected)
    print("mapInArrow: the same bits")
    steps = spark.createDataFrame(long_form(rows))
    same(apply_in_arrow.score(steps, MODEL, FEATURES).collect(), expected)
    print("applyInArrow: the same bits")


def check_states(spark, model, rows):
    states = spark.createDataFrame([], "id long, state binary")
    for first, last in [(0, 20), (20, 60)]:
        part = {id: x[first:last] for id, x in rows.items() if len(x) > first}
        after = state_by_key.advance(spark.createDataFrame(long_form(part, first)), states, MODEL, FEATURES).collect()
        same(after, {id: model.predict(rows[id][None, :last])[0] for id in part})
        states = spark.createDataFrame([(row.id, row.state) for row in after], "id long, state binary")
    print("states by key: the same bits")


def check_ensemble(spark, count=2000, members=3, features=5):
    rows = series(count, features)
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/seed_{seed}.safetensors" for seed in range(members)]
        for seed, path in enumerate(paths):
            write_member(path, seed, features, units=32)
        found = ensemble.score(list_form(spark, rows), paths, features).collect()
        models = [ensemble.member(path) for path in paths]
    # One process, one series after the other.
    alone = {id: ensemble.mean_and_spread(models, [x])[0] for id, x in rows.items()}
    same(found, {id: mean.ravel() for id, (mean, _) in alone.items()})
    same(found, {id: spread.ravel() for id, (_, spread) in alone.items()}, "spread")
    print(f"an ensemble of {members} on {count} series: the same bits")


def check_death(spark, model, rows, expected, death):
    """The scores go to Parquet: to rows that a client has already got no engine can go back, and Sail's job then fails."""
    with tempfile.TemporaryDirectory() as folder:
        marker, out = Path(folder, "died"), f"{folder}/scores"
        score = dies_once(map_in_arrow.scorer(model), str(marker), death)
        list_form(spark, rows).mapInArrow(score, "id long, y array<float>").write.parquet(out)
        assert marker.exists(), "no worker died"
        same(spark.read.parquet(out).collect(), expected)
    print("a worker that died in the middle: no row wrong, missing or doubled")


def check(spark, death):
    """All of it; `death` is how a worker dies on this engine."""
    model, rows = rl.load(MODEL), series(200)
    expected = {id: model.predict(x[None])[0] for id, x in rows.items()}
    check_scoring(spark, model, rows, expected)
    check_states(spark, model, rows)
    check_ensemble(spark)
    check_death(spark, model, rows, expected, death)
