"""Gradients of whole models: from ids (0 is padding) to the embedding's table, and through a Masking layer."""

from companions import MODELS
from flow import record, write


def pad(value):
    """Some padding at each row's end, the last row nothing else, and a step within."""

    def prepare(x):
        batch, timesteps = x.shape[:2]
        for row in range(batch):
            length = 0 if row + 1 == batch else timesteps - row
            x[row, length:] = value
            x[row, (5 - 3 * row) % 7] = value

    return prepare


def cases():
    for name, spec in MODELS.items():
        first, layers = spec["layers"][0], spec["layers"]
        # The loss reads the output alone: a model returns no states.
        if len(layers) == 1:
            continue
        for dtype in ("float32", "float64"):
            ids = first["config"].get("input_dim")
            prepare = pad(0 if ids else first["config"]["mask_value"])
            yield record(f"{name}-{dtype}", spec, dtype, 4, 7, into=("output",), ids=ids, prepare=prepare)


def main():
    write("models", list(cases()))
