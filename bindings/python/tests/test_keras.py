"""Models of Keras, whole: its numbers, and the forms of input that its `predict` takes."""

import numpy as np
import pytest
from conftest import MODELS, array_of, cases_of, close

import recurrent_layers as rl

CASES = cases_of("keras_models", "cases.json")


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_numbers(case, suffix):
    dtype = "float64" if case["name"] == "float64" else None
    model = rl.load(MODELS / f"{case['name']}.{suffix}", dtype=dtype)
    call = case["calls"][0]
    inputs = [array_of(entry) for entry in call["inputs"]]
    outputs = model.predict(inputs if len(inputs) > 1 else inputs[0])
    outputs = outputs if isinstance(outputs, list) else [outputs]
    expected = [array_of(entry) for entry in call["outputs"]]
    assert len(outputs) == len(expected)
    for ours, theirs in zip(outputs, expected):
        assert ours.dtype == ("float64" if dtype else "float32")
        close(ours, theirs, 1e-12 if dtype else 1e-5)


def test_summary_is_keras_s(load, capsys):
    case = next(case for case in CASES if case["name"] == "lstm")
    model = load("lstm")
    assert str(model).strip() == case["summary"].strip()
    model.summary()
    assert capsys.readouterr().out.strip() == case["summary"].strip()
    lines = []
    model.summary(print_fn=lines.append)
    assert lines == [str(model)]


def test_the_arguments_of_keras_s_predict(load, numbers):
    model, x = load("lstm"), numbers(4, 5, 3)
    y = model.predict(x)
    assert np.array_equal(y, model.predict(x, 2, 0))
    assert np.array_equal(y, model.predict(x, batch_size=3, verbose="auto", steps=None, callbacks=None))
    assert np.array_equal(y, model(x))
    with pytest.raises(rl.RecurrentError, match="neither steps nor callbacks"):
        model.predict(x, steps=2)


def test_one_input_in_every_form(load, numbers):
    model, x = load("lstm"), numbers(2, 5, 3)
    y = model.predict(x)
    name = model.inputs[0][0]
    for form in [[x], (x,), {name: x}, x.tolist(), x.astype("float64"), np.asfortranarray(x), x[::-1][::-1]]:
        assert np.array_equal(model.predict(form), y)


def test_arrays_that_lie_elsewhere(load, numbers):
    model, x = load("lstm"), numbers(2, 5, 3)
    y = model.predict(x)
    wide = numbers(4, 10, 6)
    wide[::2, ::2, ::2] = x
    reversed_time = np.ascontiguousarray(x[:, ::-1])[:, ::-1]
    swapped = np.ascontiguousarray(x.transpose(2, 0, 1)).transpose(1, 2, 0)
    big_endian = x.astype(">f4")
    packed = np.zeros(x.shape, dtype=[("byte", "u1"), ("x", "f4")])  # at odd addresses
    packed["x"] = x
    read_only = x.copy()
    read_only.setflags(write=False)
    for view in [wide[::2, ::2, ::2], reversed_time, swapped, big_endian, packed["x"], read_only]:
        assert np.array_equal(model.predict(view), y)
    ones = np.broadcast_to(np.float32(1), (2, 5, 3))
    assert np.array_equal(model.predict(ones), model.predict(np.ones((2, 5, 3), "float32")))


def test_several_inputs_by_place_and_by_name(load, numbers):
    model = load("encoder_decoder")
    (first, _), (second, _) = model.inputs
    a, b = numbers(2, 5, 3), numbers(2, 4, 2)
    y = model.predict([a, b])
    assert np.array_equal(model.predict((a, b)), y)
    assert np.array_equal(model.predict({second: b, first: a}), y)
    with pytest.raises(rl.RecurrentError, match="is missing"):
        model.predict({first: a})
    with pytest.raises(rl.RecurrentError, match='there is no input "x"'):
        model.predict({first: a, second: b, "x": a})
    with pytest.raises(rl.RecurrentError, match="list of as many arrays"):
        model.predict(a)


def test_ids_of_any_integers(load):
    model = load("embedding")
    ids = np.array([[1, 3, 2, 4, 0], [4, 2, 3, 1, 1]])
    y = model.predict(ids.astype("int32"))
    for dtype in ["int8", "uint8", "int16", "uint32", "int64", "uint64", "float32"]:
        assert np.array_equal(model.predict(ids.astype(dtype)), y)
    with pytest.raises(rl.RecurrentError, match="1000"):
        model.predict([[1000, 1, 1, 1, 1]])


def test_an_empty_batch(load):
    assert load("lstm").predict(np.zeros((0, 5, 3), "float32")).shape == (0, 4)


def test_a_stateful_model_goes_on_from_a_state():
    case = next(case for case in CASES if case["name"] == "stateful")
    model = rl.load(MODELS / "stateful.keras")
    state = model.initial_state(2)
    for call in case["calls"]:
        if call == "reset":
            state = model.initial_state(2)
            continue
        [x], [y] = [[array_of(entry) for entry in call[key]] for key in ("inputs", "outputs")]
        close(model.predict(x, state=state), y)
    assert not np.array_equal(state[state.names[0]], model.initial_state(2)[state.names[0]])


def test_what_a_model_says_of_itself(load):
    model = load("lstm")
    assert model.dtype == "float32"
    assert [(len(shape), shape[0], shape[-1]) for _, shape in model.inputs] == [(3, None, 3)]
    assert model.stream().inputs == [model.inputs[0][0]]
    assert model.outputs[0][1] == [None, 4]
    assert "lstm" in model.layer_names[-1]
    weights = model.weights()
    assert sum(array.size for array in weights.values()) == model.count_params()
    assert repr(model) == f'<recurrent_layers.Model "{model.name}", float32>'
    layer = model.layer(model.layer_names[-1])
    assert (layer.class_name, layer.input_size, layer.output_size) == ("LSTM", 3, 4)
    assert "LSTM" in str(layer) and "LSTM" in repr(layer)
