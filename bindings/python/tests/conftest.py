"""Golden data of the crate, read with numpy and json: what Keras, PyTorch and ONNX Runtime computed."""

import json
from pathlib import Path

import numpy as np
import pytest

import recurrent_layers as rl

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "golden"
MODELS = GOLDEN / "keras_models" / "models"


def array_of(entry):
    data = [float(x) if isinstance(x, str) else x for x in entry["data"]]
    return np.array(data, dtype=entry["dtype"]).reshape(entry["shape"])


def close(ours, theirs, tolerance=1e-5):
    assert isinstance(ours, np.ndarray)
    assert ours.shape == theirs.shape
    worst = np.abs(ours.astype("float64") - theirs) / np.maximum(1, np.abs(theirs))
    assert worst.size == 0 or np.nanmax(worst) <= tolerance
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))


def cases_of(*path):
    return json.loads(GOLDEN.joinpath(*path).read_text())["cases"]


def onnx_file(name, folder):
    """One of the ONNX files, which stand one behind the other in a file."""
    case = next(case for case in cases_of("onnx", "exported.json") if case["name"] == name)
    path = folder / f"{name}.onnx"
    data = (GOLDEN / "onnx" / "exported.bin").read_bytes()
    path.write_bytes(data[case["start"] :][: case["length"]])
    return path, case


@pytest.fixture
def load():
    return lambda name, **options: rl.load(MODELS / f"{name}.keras", **options)


@pytest.fixture
def numbers():
    rng = np.random.default_rng(7)
    return lambda *shape, dtype="float32": rng.normal(size=shape).astype(dtype)


@pytest.fixture(scope="session")
def torch_cases():
    return rl.pytorch_file(GOLDEN / "pytorch" / "cases.safetensors")


@pytest.fixture
def lstm(torch_cases):
    """An LSTM of PyTorch's: one layer, one direction, 3 features."""
    return torch_cases.lstm("lstm_9.module")
