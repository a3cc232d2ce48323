"""Series that never end: each micro-batch brings some steps of some of them, and a state for each waits as bytes in a
column between micro-batches.

The frame of new steps is joined with that of the states, by id; the result holds the outputs and the states to keep.
"""

import numpy as np
import pyarrow as pa

import recurrent_layers as rl

SCHEMA = "id long, y array<float>, state binary"


def stepper(model, features):
    """A function for `applyInArrow`: new rows (id, t, features .., state) of one series in, (id, y, state) out."""

    def step(table):
        table = table.combine_chunks().sort_by("t")
        x = np.column_stack([table.column(name).to_numpy() for name in features]).astype("float32")
        stream, before = model.stream(), table.column("state")[0].as_py()
        if before is not None:
            stream.set_state(before)
        y = stream.process(x)[-1]  # the output of the last step; one row goes without the batch
        return pa.table({
            "id": table.column("id")[:1],
            "y": pa.array([y.tolist()], pa.list_(pa.float32())),
            "state": pa.array([bytes(stream.state())], pa.binary()),
        })

    return step


def advance(new, states, path, features):
    """New steps (id, t, features ..) and the states so far (id, state) to (id, y, state)."""
    joined = new.join(states, "id", "left")
    return joined.groupBy("id").applyInArrow(stepper(rl.load(path), features), SCHEMA)
