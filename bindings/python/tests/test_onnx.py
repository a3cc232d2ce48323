"""Models of ONNX files: ONNX Runtime's numbers, and states that are inputs and outputs."""

import json

import numpy as np
import pytest
from conftest import GOLDEN, cases_of, close, onnx_file

import recurrent_layers as rl

NAMES = [case["name"] for case in cases_of("onnx", "exported.json")]


def arrays(described):
    of = lambda name, data: np.array(data, dtype="int64" if name == "ids" else "float32")
    return {name: of(name, data).reshape(shape) for name, (shape, data) in described.items()}


@pytest.mark.parametrize("name", NAMES)
def test_numbers(name, tmp_path):
    path, case = onnx_file(name, tmp_path)
    model = rl.load(path)
    outputs = model.predict(arrays(case["inputs"]))
    outputs = outputs if isinstance(outputs, list) else [outputs]
    for (name, _), ours in zip(model.outputs, outputs, strict=True):
        close(ours, arrays(case["outputs"])[name])


def test_a_policy_keeps_its_state_in_a_stream(numbers, tmp_path):
    model = rl.load(onnx_file("policy_lstm.script", tmp_path)[0])
    stream = model.stream(2)
    assert stream.inputs == ["obs"]
    h, c = np.zeros((1, 2, 4), "float32"), np.zeros((1, 2, 4), "float32")
    for _ in range(3):
        obs = numbers(2, 5)
        actions, h, c = model.predict({"obs": obs, "h_in": h, "c_in": c})
        assert np.array_equal(stream.step(obs), actions)
    again = model.stream(2)
    again.set_state(bytes(stream.state()))
    assert np.array_equal(again.step(obs), stream.step(obs))


def test_a_stream_with_time_first_goes_by_steps(numbers, tmp_path):
    model = rl.load(onnx_file("gru_states_time_major.script", tmp_path)[0])
    stream, x = model.stream(2), numbers(5, 2, 3)
    y = model.predict({"x": x, "h_in": np.zeros((2, 2, 4), "float32")})[0]
    for at in range(5):
        assert np.array_equal(stream.step(x[at]), y[at])
    with pytest.raises(rl.RecurrentError, match="call step for each step"):
        stream.process(x)


def test_weights_in_another_file():
    folder = GOLDEN / "onnx" / "external"
    with pytest.raises(Exception, match="external_data=True"):
        rl.load(folder / "tagger.onnx")
    case = json.loads((folder / "tagger.json").read_text())
    outputs = rl.load(folder / "tagger.onnx", external_data=True).predict(arrays(case["inputs"])["x"])
    close(outputs, arrays(case["outputs"])["y"])
