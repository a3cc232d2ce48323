"""A model whose weights are in a file beside it, as PyTorch's newer exporter writes it, with ONNX Runtime's output.

    pip install -r requirements.txt; python external.py
"""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from bundle import numbers
from exported import without_notes

FOLDER = Path(__file__).parent / "external"


class Tagger(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.LSTM(3, 8, batch_first=True)
        self.head = torch.nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.encoder(x)[0])


def main():
    torch.manual_seed(4)
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / "tagger.onnx"
    x = torch.randn(1, 5, 3)
    torch.onnx.export(Tagger().eval(), (x,), str(path), input_names=["x"], output_names=["y"], dynamo=True, verbose=False)
    path.write_bytes(without_notes(onnx.load(path, load_external_data=False)))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    y = session.run(None, {"x": x.numpy()})[0]
    versions = {module.__name__: module.__version__ for module in [onnx, onnxruntime, torch, np]}
    case = {"versions": versions, "inputs": {"x": numbers(x.numpy())}, "outputs": {"y": numbers(y)}}
    (FOLDER / "tagger.json").write_text(json.dumps(case) + "\n")


if __name__ == "__main__":
    main()
