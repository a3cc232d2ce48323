"""Many streams that come and go: each has the bits that it has alone."""

import numpy as np
import pytest

import recurrent_layers as rl


@pytest.mark.parametrize("name", ["gru", "rnn_of_a_cell", "embedding_masked"])
def test_each_has_the_bits_that_it_has_alone(load, numbers, name):
    model, rng = load(name), np.random.default_rng(3)
    of_ids = len(model.inputs[0][1]) == 2
    sample = (lambda: rng.integers(0, 4, 1)) if of_ids else (lambda: numbers(model.inputs[0][1][-1]))
    pool, alone = model.pool(), {}
    for _ in range(12):
        if len(alone) < 5:
            alone[pool.insert()] = model.stream()
        given = {id: sample() for id in alone if rng.random() < 0.6}
        for id, x in given.items():
            pool.push(id, x)
            assert pool.is_ready(id)
        assert pool.step() == len(given)
        for id, x in given.items():
            expected = alone[id].step(x if of_ids else x[None])
            assert np.array_equal(pool.output(id), expected[0])
    assert len(pool) == len(alone) == 5 and set(pool.ids()) == set(alone)
    id = next(iter(alone))
    waiting = pool.evict(id)
    assert id not in pool and isinstance(waiting, bytes)
    again, x = pool.restore(waiting), sample()
    pool.push(again, x)
    pool.step()
    assert np.array_equal(pool.output(again), alone[id].step(x if of_ids else x[None])[0])


def test_all_at_once(load, numbers):
    model, x = load("gru"), numbers(4, 3)
    pool = model.pool(capacity=4)
    ids = [pool.insert() for _ in range(4)]
    pool.push_all(ids, x)
    pool.step()
    assert np.array_equal(pool.outputs(ids), model.stream(4).step(x))
    assert pool.outputs([]).shape == (0, 0)
    assert pool.capacity == 4
    with pytest.raises(rl.RecurrentError, match="4"):
        pool.insert()
    with pytest.raises(rl.RecurrentError, match="each of the 4 streams"):
        pool.push_all(ids, x[:2])


def test_states_in_and_out(lstm, numbers):
    pool, x = lstm.pool(), numbers(1, lstm.input_size)
    stream = lstm.stream()
    stream.step(x)
    id = pool.insert(stream.state())
    other = pool.insert(stream.state().to_bytes())
    assert pool.state(id) == pool.state(other) == stream.state()
    pool.reset(id)
    assert pool.state(id) == lstm.initial_state(1)
    pool.set_state(id, stream.state())
    assert pool.remove(id) == stream.state()
    assert other > id and hash(other) != hash(id) and other.number > id.number


def test_what_is_refused(load, lstm, numbers):
    pool = lstm.pool()
    id = pool.insert()
    with pytest.raises(rl.RecurrentError, match="no output"):
        pool.output(id)
    with pytest.raises(rl.RecurrentError):
        pool.push(id, numbers(lstm.input_size + 1))
    pool.push(id, numbers(lstm.input_size))
    with pytest.raises(rl.RecurrentError, match="waits"):
        pool.push(id, numbers(lstm.input_size))
    with pytest.raises(rl.RecurrentError, match="waits"):
        pool.evict(id)
    assert pool.idle_steps(id) == 0
    pool.remove(id)
    for call in [pool.remove, pool.state, pool.output, pool.reset, pool.is_ready, pool.idle_steps]:
        with pytest.raises(rl.RecurrentError, match="gone|removed|no stream|isn't"):
            call(id)
    with pytest.raises(rl.RecurrentError):
        lstm.pool(0)
    with pytest.raises(rl.RecurrentError):
        load("bidirectional_concat").pool()
    with pytest.raises(TypeError):
        pool.push(3, numbers(lstm.input_size))
    with pytest.raises(TypeError):
        import pickle

        pickle.dumps(pool)
