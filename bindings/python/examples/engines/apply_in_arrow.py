"""Series whose steps are rows of a table: a group for each, put in order of time, by `applyInArrow`."""

import numpy as np
import pyarrow as pa

import recurrent_layers as rl


def scorer(model, features):
    """A function for `applyInArrow`: the rows (id, t, features ..) of one series in, (id, y) out."""

    def score(table):
        table = table.combine_chunks().sort_by("t")
        x = np.column_stack([table.column(name).to_numpy() for name in features])
        y = model.predict([x.astype("float32")])[0]
        return pa.table({"id": table.column("id")[:1], "y": pa.array([y.tolist()], pa.list_(pa.float32()))})

    return score


def score(frame, path, features):
    """The model of a file on a frame of (id, t, features ..), one result for each id."""
    return frame.groupBy("id").applyInArrow(scorer(rl.load(path), features), "id long, y array<float>")
