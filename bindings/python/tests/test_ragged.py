"""Rows of different length: each has the result that it has alone, bit for bit."""

import numpy as np
import pytest
from conftest import onnx_file

import recurrent_layers as rl

LENGTHS = [5, 1, 4, 2, 4]

# Chains of layers, which run all rows at once; models that go backwards or are graphs, which run by equal lengths.
MODELS = ["lstm", "rnn_of_a_cell", "simple_rnn", "masking", "lstm_options", "bidirectional_concat", "return_state"]
OF_IDS = ["embedding", "embedding_masked", "trained_classifier", "nested_masks", "masks_through_layers"]


def rows_of(numbers, name):
    if name in OF_IDS:
        return [np.arange(n) % 3 + 1 for n in LENGTHS]
    return [numbers(n, 3) for n in LENGTHS]


def as_list(outputs):
    return outputs if isinstance(outputs, list) else [outputs]


@pytest.mark.parametrize("name", MODELS + OF_IDS)
def test_a_row_has_what_it_has_alone(load, numbers, name):
    model = load(name)
    rows = rows_of(numbers, name)
    together = model.predict(rows)
    several = len(model.outputs) > 1
    for place, (_, shape) in enumerate(model.outputs):
        mine = together[place] if several else together
        has_steps = len(shape) > 1 and shape[1] is None
        assert isinstance(mine, list) == has_steps
        for row, ours in zip(rows, mine, strict=True):
            alone = as_list(model.predict(row[None]))[place]
            assert np.array_equal(ours, alone[0])


@pytest.mark.parametrize("name", MODELS + OF_IDS)
def test_lengths_say_the_same(load, numbers, name):
    model = load(name)
    rows = rows_of(numbers, name)
    padded = np.full((len(rows), max(LENGTHS), *rows[0].shape[1:]), 2, dtype=rows[0].dtype)
    for to, row in zip(padded, rows):
        to[: len(row)] = row
    several = len(model.outputs) > 1
    by_list, by_lengths = model.predict(rows), model.predict(padded, lengths=LENGTHS)
    for ours, given in zip(by_lengths if several else [by_lengths], by_list if several else [by_list]):
        assert isinstance(ours, np.ndarray)
        for row, expected, length in zip(ours, given, LENGTHS):
            if isinstance(given, list):
                assert np.array_equal(row[:length], expected)
                assert not row[length:].any()
            else:
                assert np.array_equal(row, expected)


def test_rows_may_be_lists_of_numbers(load):
    model = load("embedding_masked")
    y = model.predict([[1, 2, 3], [2]])
    assert np.array_equal(y[1], model.predict([[2]])[0])


def test_two_inputs_with_lengths_of_their_own(load, numbers):
    model = load("encoder_decoder")
    a, b = [numbers(n, 3) for n in (5, 2, 5)], [numbers(n, 2) for n in (1, 4, 1)]
    together = model.predict([a, b])
    for place in range(3):
        assert np.array_equal(together[place], model.predict([a[place][None], b[place][None]])[0])


def test_layers_take_rows_too(torch_cases, numbers):
    rows = [numbers(n, 3) for n in LENGTHS]
    for layer in [torch_cases.lstm("lstm_9.module"), torch_cases.lstm("lstm_12.module")]:
        x = [row[:, : layer.input_size] for row in rows]
        together = layer.predict(x)
        assert all(np.array_equal(ours, layer.predict(row[None])[0]) for ours, row in zip(together, x))


def test_a_masking_makes_its_own_mask(load, numbers):
    layer, x = load("masking").to_layer(), numbers(2, 5, 3)
    for call in [layer.predict, layer.run]:
        with pytest.raises(rl.RecurrentError, match="its own mask"):
            call(x, lengths=[5, 2])


def test_what_is_refused(load, numbers):
    model = load("lstm_options")
    x = numbers(3, 5, 3)
    for lengths, words in [
        ([1, 2], "lengths must be of 3 rows"),
        ([1, 2, 6], "at most the 5 steps"),
        ([1, 2, -1], "at least 0"),
        ([1.0, 2.0, 3.0], "whole numbers"),
        ([[1, 2, 3]], "one for each row"),
        ("abc", "dtype"),
    ]:
        with pytest.raises(rl.RecurrentError, match=words):
            model.predict(x, lengths=lengths)
    with pytest.raises(rl.RecurrentError, match="has its lengths"):
        model.predict([x[0], x[1, :2]], lengths=[5, 2])
    with pytest.raises(rl.RecurrentError, match="None, 6, 3"):  # as many steps as it takes
        load("gru").predict([numbers(5, 3), numbers(2, 3)])
    with pytest.raises(rl.RecurrentError, match="same shape behind their steps"):
        model.predict([numbers(3, 3), numbers(2, 4)])


def test_a_model_without_open_steps_takes_no_lengths(numbers, tmp_path):
    model = rl.load(onnx_file("mlp.script", tmp_path)[0])
    with pytest.raises(rl.RecurrentError, match="takes no lengths"):
        model.predict(numbers(3, 3), lengths=[1, 1, 1])


def test_arrays_with_time_first_take_no_lengths(numbers, tmp_path):
    model = rl.load(onnx_file("lstm_time_major.script", tmp_path)[0])
    with pytest.raises(rl.RecurrentError, match="the batch first"):
        model.predict(numbers(5, 2, 3), lengths=[1, 1, 1, 1, 1])
