"""Runs the examples on Sail, in a local cluster: the results are those of one process, bit for bit.

    pip install pysail==0.7.2 pyspark-client==4.1.3 pandas==2.3.3 pyarrow==22.0.0
    python on_sail.py
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("SAIL_MODE", "local-cluster")
os.environ.setdefault("RUST_LOG", "error")
HERE = Path(__file__).resolve().parent
# Workers import these modules by name.
os.environ["PYTHONPATH"] = f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
sys.path.insert(0, str(HERE))

import numpy as np
import pandas as pd
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

import apply_in_arrow
import map_in_arrow
import recurrent_layers as rl
import state_by_key

MODEL = str(HERE.parents[3] / "tests" / "golden" / "keras_models" / "models" / "simple_rnn.keras")
FEATURES = ["a", "b", "c"]


def series(count):
    rng = np.random.default_rng(7)
    return {id: rng.normal(size=(rng.integers(1, 60), 3)).astype("float32") for id in range(count)}


def long_form(rows, first=0):
    """A table with a row for each step."""
    frames = [
        pd.DataFrame(x, columns=FEATURES).assign(id=id, t=np.arange(first, first + len(x))) for id, x in rows.items()
    ]
    return pd.concat(frames).sample(frac=1, random_state=1)  # in no order


def same(frame, expected):
    found = {row.id: np.array(row.y, "float32") for row in frame.select("id", "y").collect()}
    assert frame.count() == len(found) == len(expected)
    assert all(np.array_equal(found[id], y) for id, y in expected.items())


def main():
    server = SparkConnectServer("127.0.0.1", 0)
    server.start()
    spark = SparkSession.builder.remote("sc://%s:%s" % server.listening_address).getOrCreate()
    model, rows = rl.load(MODEL), series(200)
    expected = {id: model.predict(x[None])[0] for id, x in rows.items()}

    lists = pd.DataFrame({"id": list(rows), "x": [x.ravel().tolist() for x in rows.values()]})
    frame = spark.createDataFrame(lists, "id long, x array<float>").repartition(4)
    same(map_in_arrow.score(frame, MODEL), expected)
    print("mapInArrow: the same bits")

    steps = spark.createDataFrame(long_form(rows))
    same(apply_in_arrow.score(steps, MODEL, FEATURES), expected)
    print("applyInArrow: the same bits")

    states = spark.createDataFrame([], "id long, state binary")
    for first, last in [(0, 20), (20, 60)]:
        part = {id: x[first:last] for id, x in rows.items() if len(x) > first}
        after = state_by_key.advance(spark.createDataFrame(long_form(part, first)), states, MODEL, FEATURES).toPandas()
        so_far = {id: model.predict(rows[id][None, :last])[0] for id in part}
        assert sorted(after["id"]) == sorted(so_far)
        assert all(np.array_equal(np.array(row.y, "float32"), so_far[row.id]) for row in after.itertuples())
        states = spark.createDataFrame(after[["id", "state"]], "id long, state binary")
    print("states by key: the same bits")
    spark.stop()
    server.stop()


if __name__ == "__main__":
    main()
