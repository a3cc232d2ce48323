"""Whatever doesn't fit is an exception with our words, never a panic."""

import numpy as np
import pytest
from conftest import MODELS

import recurrent_layers as rl


def test_files(tmp_path):
    missing = tmp_path / "missing.keras"
    with pytest.raises(FileNotFoundError) as caught:
        rl.load(missing)
    assert caught.value.filename == str(missing)
    for call in [rl.verify, rl.pytorch_file]:
        with pytest.raises(FileNotFoundError):
            call(missing)
    with pytest.raises(OSError):
        rl.load(tmp_path)
    with pytest.raises(OSError):
        rl.load(MODELS / "lstm.keras").save(tmp_path / "nowhere" / "lstm.keras")
    with pytest.raises(rl.RecurrentError, match=".keras or .safetensors"):
        rl.load(MODELS / "lstm.keras").save(tmp_path / "lstm.onnx")


def test_damaged_files(tmp_path):
    whole = (MODELS / "lstm.keras").read_bytes()
    for name, data in [("empty", b""), ("cut", whole[: len(whole) // 2]), ("noise", bytes(range(256)) * 9)]:
        for suffix in ["keras", "h5", "onnx", "safetensors", "bin"]:
            path = tmp_path / f"{name}.{suffix}"
            path.write_bytes(data)
            for call in [rl.load, rl.verify, rl.pytorch_file]:
                with pytest.raises(rl.RecurrentError) as caught:
                    call(path)
                assert str(path) in str(caught.value)
    for data in [b"", b"noise", whole]:
        with pytest.raises(rl.RecurrentError):
            rl.from_bytes(data)


def test_it_is_a_value_error():
    assert issubclass(rl.RecurrentError, ValueError)
    assert rl.RecurrentError.__module__ == "recurrent_layers"


@pytest.mark.parametrize(
    "x, words",
    [
        (np.ones((2, 5, 4)), "3"),
        (np.ones((2, 5)), "3"),
        (np.ones(3), "3"),
        (np.float32(1), "3"),
        (np.ones((1,) * 20), "16 axes"),
        (np.ones((2, 0, 3)), "time"),
        (np.ones((2, 5, 3), complex), "complex128"),
        (np.full((2, 5, 3), "a"), "dtype <U1"),
        (np.full((2, 5, 3), None), "dtype object"),
        (np.zeros((2, 5, 3), "datetime64[s]"), "datetime64"),
        (np.zeros((2, 5), [("a", "f4"), ("b", "f4"), ("c", "f4")]), "dtype"),
        ([[[1, 2], [3]], [[4]]], "array"),
        ("text", "dtype"),
        (None, "dtype object"),
        ([], "3"),
        ({}, "missing"),
        ({1: np.ones((2, 5, 3))}, None),
        ([np.ones((5, 3)), "text"], None),
        (object(), "dtype object"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_inputs(load, x, words):
    for model in [load("lstm"), load("lstm_options")]:
        with pytest.raises((rl.RecurrentError, TypeError), match=words):
            model.predict(x)


def test_layers_and_streams(lstm, load):
    for x in [np.ones((2, 5, 9)), np.ones((2, 5)), np.ones(3), np.ones((2, 0, 3)), np.ones((2, 5, 3), complex), None, "a"]:
        with pytest.raises(rl.RecurrentError):
            lstm.predict(x)
        with pytest.raises(rl.RecurrentError):
            lstm.run(x)
    for x in [np.ones((1, 9)), np.ones((1, 2, 3, 4)), np.ones((1, 3), complex), None, "a", [], [[]]]:
        with pytest.raises(rl.RecurrentError):
            lstm.stream().step(x)
        with pytest.raises(rl.RecurrentError):
            load("embedding_masked").stream().step(x)
        with pytest.raises(rl.RecurrentError):
            lstm.stream().process(x)
    with pytest.raises(rl.RecurrentError, match="inputs of its own"):
        lstm.stream().start(np.ones((1, 3)))


def test_what_was_not_requested_says_how_to_get_it(load, numbers):
    layer = load("lstm").to_layer()
    x = numbers(2, 5, 3)
    output = layer.run(x)
    assert np.array_equal(output.last, load("lstm").predict(x))
    with pytest.raises(rl.RecurrentError, match="return_sequences"):
        output.sequence
    with pytest.raises(rl.RecurrentError, match="return_state"):
        output.state
    with pytest.raises(rl.RecurrentError, match="lstm"):
        load("lstm").layer("nothing")
    with pytest.raises(rl.RecurrentError, match="several inputs"):
        load("encoder_decoder").to_layer()


def test_a_failed_import_of_nothing():
    for name in rl.__all__:
        assert getattr(rl, name).__doc__, name
