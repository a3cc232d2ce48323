"""Many series, each a row: a batch of rows of different length at a time, by `mapInArrow`.

A series is a list column of its numbers, step by step (features side by side); one model in each worker.
"""

import pyarrow as pa

import recurrent_layers as rl


def rows_of(column, features):
    """The rows of a list column, as views of its numbers: (timesteps, features) each."""
    values, offsets = column.values.to_numpy(), column.offsets.to_numpy()
    return [values[a:b].reshape(-1, features) for a, b in zip(offsets, offsets[1:])]


def scorer(model):
    """A function for `mapInArrow`: (id, x) in, (id, y) out."""
    features = model.inputs[0][1][-1]  # the model is shipped to the workers by pickle

    def score(batches):
        for batch in batches:
            y = model.predict(rows_of(batch.column("x"), features)) if len(batch) else []
            scores = pa.array([row.tolist() for row in y], pa.list_(pa.float32()))
            yield pa.RecordBatch.from_arrays([batch.column("id"), scores], ["id", "y"])

    return score


def score(frame, path):
    """The model of a file on a frame of (id, x)."""
    return frame.mapInArrow(scorer(rl.load(path)), "id long, y array<float>")
