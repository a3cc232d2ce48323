"""The interpreter goes on while a model runs, and threads share models and streams."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np


def test_another_thread_runs_meanwhile(lstm, numbers):
    """A call that takes a while, on a thread of its own: counting goes on all the time. With the lock held it would get
    no turn between the call's beginning and its end."""
    x = np.broadcast_to(numbers(1, 1, lstm.input_size), (1000, 2000, lstm.input_size))
    begun, done, seen = threading.Event(), threading.Event(), []

    def call():
        begun.set()
        lstm.predict(x)
        done.set()

    for _ in range(20):
        begun.clear(), done.clear()
        thread = threading.Thread(target=call)
        thread.start()
        begun.wait()
        turns = 0
        while not done.is_set():
            turns += 1
            done.wait(0.001)
        thread.join()
        seen.append(turns)
        if turns > 5:
            return
    raise AssertionError(f"no turns while the model ran: {seen}")


def test_threads_share_a_model(load, numbers):
    model = load("lstm")
    inputs = [numbers(3, 5, 3) for _ in range(32)]
    with ThreadPoolExecutor(4) as threads:
        outputs = list(threads.map(model.predict, inputs))
    assert all(np.array_equal(y, model.predict(x)) for x, y in zip(inputs, outputs))


def test_threads_take_turns_on_a_stream_and_a_pool(lstm, numbers):
    x, stream, pool = numbers(1, lstm.input_size), lstm.stream(), lstm.pool()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(stream.step, [x] * 100))
        ids = list(threads.map(lambda _: pool.insert(), range(100)))
        list(threads.map(lambda id: pool.push(id, x[0]), ids))
        steps = sum(threads.map(lambda _: pool.step(), range(4)))
    alone = lstm.stream()
    for _ in range(100):
        alone.step(x)
    assert stream.state() == alone.state()
    assert steps == len(pool) == 100
