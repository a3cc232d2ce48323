"""A model of PyTorch's whose convolution and pooling have strides, as PyTorch exports it, and what ONNX Runtime computes.

`thinned.py` writes thinned.onnx and thinned.json: the whole sequence, of which a stream gives the outputs step by step.
Versions: requirements.txt.
"""

import json
import pathlib

import numpy as np
import onnxruntime
import torch
from torch import nn

HERE = pathlib.Path(__file__).parent


class Thinned(nn.Module):
    """Zeros before a convolution that looks back only, every second step; the largest of two; a GRU."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(3, 5, 4, stride=2)
        self.second = nn.Conv1d(5, 4, 3)
        self.pool = nn.MaxPool1d(2)
        self.rnn = nn.GRU(4, 3, batch_first=True)
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        z = torch.relu(self.first(nn.functional.pad(x.transpose(1, 2), (3, 0))))
        z = self.pool(torch.tanh(self.second(z)))
        return self.head(self.rnn(z.transpose(1, 2))[0])


def main():
    torch.manual_seed(7)
    model = Thinned().eval()
    x = torch.randn(2, 23, 3)
    path = HERE / "thinned.onnx"
    axes = {"x": {0: "batch", 1: "time"}, "y": {0: "batch", 1: "steps"}}
    torch.onnx.export(model, (x,), str(path), input_names=["x"], output_names=["y"], dynamic_axes=axes, dynamo=False,
                      opset_version=17)
    [y] = onnxruntime.InferenceSession(str(path)).run(None, {"x": x.numpy()})
    array = lambda a: [list(a.shape), [float(np.format_float_positional(v, unique=True)) for v in a.ravel()]]
    text = json.dumps({"inputs": {"x": array(x.numpy())}, "outputs": {"y": array(y)}})
    (HERE / "thinned.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
