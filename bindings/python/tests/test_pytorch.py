"""Layers out of a state dict: PyTorch's numbers, forwards and step by step."""

import numpy as np
import pytest
from conftest import GOLDEN, cases_of, close

import recurrent_layers as rl

CASES = cases_of("pytorch", "cases.json")


def layer_of(file, case):
    prefix, dtype = f"{case['name']}.module", case["dtype"]
    kind = case["kind"].split("_")[0].lower() + ("_cell" if case["one_step"] else "")
    if kind.startswith("rnn"):
        return getattr(file, kind)(prefix, case["kind"].split("_")[1].lower(), dtype=dtype)
    return getattr(file, kind)(prefix, dtype=dtype)


def part(case, index, which):
    """The name of a row of `h_n` or `c_n`, in PyTorch's order."""
    directions = 2 if case["both"] else 1
    layer = f"{index // directions}/" if case["layers"] > 1 else ""
    direction = ["", ""] if directions == 1 else ["forward/", "backward/"]
    return layer + direction[index % directions] + which


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_numbers(torch_cases, case):
    tolerance = 1e-5 if case["dtype"] == "float32" else 1e-12
    layer = layer_of(torch_cases, case)
    tensor = lambda what: torch_cases.tensor(f"{case['name']}.{what}", dtype=case["dtype"])
    x, y = tensor("x"), tensor("y")
    assert layer.dtype == case["dtype"] and layer.returns_sequences and layer.returns_state
    state, names = None, {name for name, _ in torch_cases.tensors}
    if case["initial"]:
        state = layer.initial_state(len(x))
        for which in ["h", "c"]:
            if f"{case['name']}.{which}_0" in names:
                for index, rows in enumerate(tensor(f"{which}_0")):
                    state[part(case, index, which)] = rows
    output = layer.run(x, lengths=case["lengths"], initial_state=state)
    close(output.sequence, y, tolerance)
    for which in ["h", "c"]:
        if f"{case['name']}.{which}_n" in names:
            for index, rows in enumerate(tensor(f"{which}_n")):
                close(output.state[part(case, index, which)], rows, tolerance)
    if not case["both"] and case["lengths"] is None:
        stream = layer.stream(len(x))
        if state is not None:
            stream.set_state(state)
        assert np.array_equal(stream.process(x), output.sequence)


def test_modules_around_them(torch_cases):
    linear = torch_cases.linear("linear_double.module", dtype="float64")
    close(linear.predict(torch_cases.tensor("linear_double.x", dtype="float64")),
          torch_cases.tensor("linear_double.y", dtype="float64"), 1e-12)
    embedding = torch_cases.embedding("embedding.module")
    ids = torch_cases.tensor("embedding.x").astype("int64")
    close(embedding.predict(ids), torch_cases.tensor("embedding.y"))


def test_a_stack_is_one_layer_after_another(torch_cases, numbers):
    lstm, linear = torch_cases.lstm("lstm_9.module"), torch_cases.linear("linear.module")
    assert lstm.output_size == linear.input_size
    stack = rl.stack([lstm, linear])
    x = numbers(2, 4, lstm.input_size)
    assert np.array_equal(stack.predict(x), linear.predict(lstm.predict(x)))
    with pytest.raises(rl.RecurrentError, match="float32, others of float64"):
        rl.stack([lstm, torch_cases.linear("linear_double.module", dtype="float64")])
    with pytest.raises(rl.RecurrentError, match="layer"):
        rl.stack([])


def test_what_a_file_says_of_itself(torch_cases):
    assert "nn.LSTM(" in str(torch_cases)
    shapes = dict(torch_cases.tensors)
    assert shapes["gru_6.module.weight_ih_l0"] == [9, 2]
    assert isinstance(torch_cases.metadata, dict)
    assert "tensors" in repr(torch_cases)


def test_what_is_refused(torch_cases):
    with pytest.raises(rl.RecurrentError, match="it could be nn.LSTM"):
        torch_cases.gru("lstm_9.module")
    with pytest.raises(rl.RecurrentError, match="nonlinearity must be"):
        torch_cases.rnn("rnn_tanh_0.module", "sigmoid")
    with pytest.raises(rl.RecurrentError, match="dtype must be"):
        torch_cases.lstm("lstm_9.module", dtype="float16")
    with pytest.raises(rl.RecurrentError, match="there is no tensor"):
        torch_cases.tensor("nothing")
    with pytest.raises(rl.RecurrentError):
        rl.load(GOLDEN / "pytorch" / "cases.safetensors")


def test_a_call_with_a_mask_or_resets(lstm, numbers):
    x = numbers(2, 6, lstm.input_size)
    mask = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]])
    masked, cut = lstm.run(x, mask=mask), lstm.run(x, lengths=[4, 6])
    assert np.array_equal(masked.sequence, cut.sequence) and masked.state == cut.state
    resets = np.zeros((2, 6), bool)
    resets[:, 3] = True
    assert np.array_equal(lstm.run(x, resets=resets).sequence[:, 3:], lstm.predict(x[:, 3:]))
    half = lstm.run(x[:, :3])
    whole = lstm.run(x[:, 3:], initial_state=half.state)
    assert np.array_equal(whole.last, lstm.run(x).last)
    for said, words in [
        (dict(mask=mask, lengths=[4, 6]), "lengths"),
        (dict(mask=mask[:1]), "mask"),
        (dict(mask=mask[0]), "batch, timesteps"),
        (dict(initial_state=lstm.initial_state(3)), "3"),
    ]:
        with pytest.raises(rl.RecurrentError, match=words):
            lstm.run(x, **said)
