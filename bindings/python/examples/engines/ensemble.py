"""An ensemble in the shape of NeuralHydrology's `CudaLSTM`, one LSTM and a Dense, on many basins of different length.

Each member is the `state_dict` of a run with its own seed, saved by `safetensors.torch.save_file`. All members score a
batch of rows while it is there, so that the series travel once; out come the mean and the spread at each step.
"""

import numpy as np
import pyarrow as pa

import recurrent_layers as rl
from map_in_arrow import rows_of


def member(path):
    """One run's model: NeuralHydrology calls its layers `lstm` and `head.net.0`."""
    file = rl.pytorch_file(path)
    return rl.stack([file.lstm("lstm"), file.linear("head.net.0")])


def mean_and_spread(members, rows):
    """Of rows (timesteps, features): for each the members' mean and standard deviation, both (timesteps, targets)."""
    runs = zip(*(model.predict(rows) for model in members))
    return [(np.mean(run, 0), np.std(run, 0)) for run in runs]


def scorer(members, features):
    """A function for `mapInArrow`: (id, x) in, (id, y, spread) out."""

    def score(batches):
        for batch in batches:
            found = mean_and_spread(members, rows_of(batch.column("x"), features)) if len(batch) else []
            columns = [[pair[i].ravel().tolist() for pair in found] for i in range(2)]
            columns = [pa.array(column, pa.list_(pa.float32())) for column in columns]
            yield pa.RecordBatch.from_arrays([batch.column("id"), *columns], ["id", "y", "spread"])

    return score


def score(frame, paths, features):
    """The members in files on a frame of (id, x)."""
    members = [member(path) for path in paths]
    return frame.mapInArrow(scorer(members, features), "id long, y array<float>, spread array<float>")
