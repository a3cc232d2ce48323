"""Step by step: the bits of the whole sequence, states out and in."""

import copy
import pickle

import numpy as np
import pytest
from conftest import GOLDEN, array_of, cases_of, close

import recurrent_layers as rl

# Chains of layers, and graphs.
SEQUENCES = ["gru", "rnn_of_a_cell", "embedding_masked", "masking", "nested_in_sequential", "return_state", "residual"]


def of_steps(model, numbers, steps):
    declared = model.inputs[0][1]
    return np.array([[1, 2, 0, 3, 1, 2]])[:, :steps] if len(declared) == 2 else numbers(1, steps, declared[-1])


def listed(outputs):
    return outputs if isinstance(outputs, list) else [outputs]


@pytest.mark.parametrize("name", SEQUENCES)
def test_steps_have_the_bits_of_the_whole(load, numbers, name):
    model = load(name)
    steps = model.inputs[0][1][1] or 6
    x = of_steps(model, numbers, steps)
    whole = listed(model.predict(x))
    stream, block = model.stream(), model.stream()
    blocks = listed(block.process(x))
    for at in range(steps):
        now = listed(stream.step(x[:, at]))
        for ours, all_steps in zip(now, blocks):
            assert np.array_equal(ours, all_steps[:, at])
    for ours, (_, shape), expected in zip(now, model.outputs, whole):
        assert np.array_equal(ours, expected[:, -1] if expected.ndim == 3 else expected)
    assert stream.state() == block.state()


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_state_goes_on_elsewhere(load, numbers, name):
    model = load(name)
    x = of_steps(model, numbers, 4)
    stream = model.stream()
    stream.process(x)
    state = stream.state()
    again = [model.stream() for _ in range(5)]
    again[0].set_state(state)
    again[1].set_state(state.to_bytes())
    again[2].set_state(pickle.loads(pickle.dumps(state)))
    again[3], again[4] = copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))
    expected = listed(stream.step(x[:, 1]))
    for other in again:
        for ours, theirs in zip(listed(other.step(x[:, 1])), expected):
            assert np.array_equal(ours, theirs)
    stream.reset()
    first = listed(stream.step(x[:, 0]))
    for ours, theirs in zip(first, listed(model.stream().step(x[:, 0]))):
        assert np.array_equal(ours, theirs)


def test_one_row_goes_without_the_batch(load, numbers):
    model, x = load("gru"), numbers(6, 3)
    rows, batch = model.stream(), model.stream()
    assert rows.step(x[0]).shape == (4,)
    batch.step(x[:1])
    assert np.array_equal(rows.process(x[1:]), batch.process(x[None, 1:])[0])
    ids = load("embedding_masked").stream()
    assert ids.step(1).ndim == 1


def test_several_rows(load, numbers):
    model, x = load("gru"), numbers(3, 6, 3)
    stream = model.stream(batch=3)
    assert stream.batch == 3
    assert np.array_equal(stream.process(x[:, ::-1])[:, -1], model.predict(x[:, ::-1])[:, -1])
    for wrong in [x[:2, 0], x[0, 0], x[:, 0, :2]]:
        with pytest.raises(rl.RecurrentError):
            stream.step(wrong)
    with pytest.raises(rl.RecurrentError, match="3 rows"):
        stream.process(x[:2])
    assert stream.process(x[:, :0]).shape == (3, 0, 4)


def test_a_decoder_begins_with_inputs_of_its_own(load, numbers):
    model = load("encoder_decoder")
    (first, _), (second, _) = model.inputs
    a, b = numbers(2, 5, 3), numbers(2, 4, 2)
    stream = model.stream(2)
    assert (stream.start_inputs, stream.inputs) == ([first], [second])
    with pytest.raises(rl.RecurrentError, match="start"):
        stream.step(b[:, 0])
    stream.start(a)
    y = model.predict([a, b])
    assert np.array_equal(stream.process(b), y)
    stream.reset()
    assert np.array_equal(stream.step({second: b[:, 0]}), y[:, 0])
    with pytest.raises(rl.RecurrentError, match="inputs of its own"):
        pickle.dumps(stream)


def test_a_block_that_is_refused_leaves_the_stream(load):
    stream = load("embedding_masked").stream()
    stream.process([[1, 2]])
    before = stream.state()
    with pytest.raises(rl.RecurrentError, match="99"):
        stream.process([[1, 2, 99]])
    assert stream.state() == before


def test_what_cannot_stream_says_why(load):
    with pytest.raises(rl.RecurrentError, match="backward"):
        load("bidirectional_concat").stream()
    with pytest.raises(rl.RecurrentError, match="float64"):
        load("lstm").stream().set_state(load("lstm", dtype="float64").to_layer().initial_state(1))
    with pytest.raises(rl.RecurrentError):
        load("lstm").stream().set_state(load("gru").stream().state())
    with pytest.raises(rl.RecurrentError, match="State or its bytes"):
        load("lstm").stream().set_state(3)
    with pytest.raises(OverflowError):
        load("lstm").stream(-1)
    with pytest.raises(rl.RecurrentError):
        load("lstm").stream(2**62)


def test_a_state_by_name(lstm, numbers):
    state = lstm.initial_state(2)
    assert state.names == ["h", "c"] and len(state) == 2 and "h" in state and "x" not in state
    assert (state.batch, state.dtype) == (2, "float32")
    assert not state["h"].any()
    rows = numbers(2, lstm.output_size)
    state["h"] = rows
    assert np.array_equal(state["h"], rows)
    other = copy.copy(state)
    other["h"] = rows + 1
    assert np.array_equal(state["h"], rows) and other != state
    assert rl.State.from_bytes(bytes(state)) == state
    assert state != 3
    with pytest.raises(KeyError, match="h, c"):
        state["x"]
    with pytest.raises(rl.RecurrentError):
        state["h"] = rows[:1]
    with pytest.raises(rl.RecurrentError):
        rl.State.from_bytes(bytes(state)[:-1])
    with pytest.raises(rl.RecurrentError):
        rl.State.from_bytes(b"")


def test_a_sequence_that_thins_out():
    """Strides, and a window without padding: not every step gives something."""
    case = next(case for case in cases_of("keras_models", "thinned.json") if case["name"] == "strided")
    [x], [y] = [[array_of(entry) for entry in case["calls"][0][key]] for key in ("inputs", "outputs")]
    model = rl.load(GOLDEN / "keras_models" / "thinned" / "strided.keras")
    stream = model.stream(len(x))
    steps = [stream.step(x[:, time]) for time in range(x.shape[1])]
    given = [step for step in steps if step is not None]
    assert len(given) < len(steps)
    close(np.stack(given, axis=1), y)
    stream.reset()
    stream.process(x[:, :5])
    saved = bytes(stream.state())
    other = model.stream(len(x))
    other.set_state(saved)
    rest = other.process(x[:, 5:])
    assert np.array_equal(rest, model.predict(x)[:, -rest.shape[1] :])
