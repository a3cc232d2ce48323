"""Recurrent layers (SimpleRNN, LSTM, GRU) with Keras's and PyTorch's numbers, whole sequences or step by step.

    import numpy as np
    import recurrent_layers as rl

    model = rl.load("model.keras")              # or .h5, .onnx, .safetensors
    y = model.predict(np.ones((1, 50, 8)))      # as Keras's predict
    stream = model.stream()
    y = stream.step(np.ones(8))                 # one step; the stream remembers

Whatever doesn't fit is a `RecurrentError`, a `ValueError` that says what was expected and what was given; a file that
can't be read or written is an `OSError`.
"""

from recurrent_layers._native import (
    Layer,
    Model,
    Output,
    PytorchFile,
    RecurrentError,
    State,
    Stream,
    StreamId,
    StreamPool,
    Verification,
    from_bytes,
    load,
    pytorch_file,
    stack,
    verify,
)
from recurrent_layers._native import __VERSION as __version__

__all__ = [
    "Layer",
    "Model",
    "Output",
    "PytorchFile",
    "RecurrentError",
    "State",
    "Stream",
    "StreamId",
    "StreamPool",
    "Verification",
    "from_bytes",
    "load",
    "pytorch_file",
    "stack",
    "verify",
]
