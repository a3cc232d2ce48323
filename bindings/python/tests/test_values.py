"""Models and layers as values: bytes, pickles, files, copies, fewer bits."""

import concurrent.futures
import copy
import multiprocessing
import pickle

import numpy as np
import pytest
from conftest import GOLDEN, MODELS, onnx_file

import recurrent_layers as rl

KINDS = ["lstm", "encoder_decoder", "embedding_masked", "bidirectional_concat", "float64"]


def same(model, other, numbers):
    assert type(other) is type(model) and other.dtype == model.dtype and str(other) == str(model)
    if isinstance(model, rl.Layer):
        x = numbers(2, 5, model.input_size)
        return np.array_equal(model.predict(x), other.predict(x))
    ids = len(model.inputs[0][1]) == 2
    x = [np.ones((2, 5), int) if ids else numbers(2, 5, shape[-1]) for _, shape in model.inputs]
    return np.array_equal(model.predict(x), other.predict(x))


@pytest.mark.parametrize("name", KINDS)
def test_bytes_pickles_copies(load, numbers, name):
    model = load(name, dtype="float64" if name == "float64" else None)
    for other in [
        rl.from_bytes(model.to_bytes()),
        rl.Model.from_bytes(model.to_bytes()),
        pickle.loads(pickle.dumps(model)),
        pickle.loads(pickle.dumps(model, protocol=2)),
        copy.copy(model),
        copy.deepcopy(model),
    ]:
        assert same(model, other, numbers)


def test_layers_too(torch_cases, numbers):
    for layer in [torch_cases.lstm("lstm_9.module"), torch_cases.gru("gru_6.module", dtype="float64")]:
        for other in [
            rl.from_bytes(layer.to_bytes()),
            rl.Layer.from_bytes(layer.to_bytes()),
            pickle.loads(pickle.dumps(layer)),
            copy.deepcopy(layer),
        ]:
            assert same(layer, other, numbers)
    with pytest.raises(rl.RecurrentError, match="it holds a"):
        rl.Model.from_bytes(layer.to_bytes())


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("suffix", ["safetensors", "keras"])
def test_files(load, numbers, tmp_path, name, suffix):
    double = name == "float64"
    model = load(name, dtype="float64" if double else None)
    path = tmp_path / f"saved.{suffix}"
    model.save(path)
    # A file of our own says what its numbers are.
    loaded = rl.load(path, dtype="float64" if double and suffix == "keras" else None)
    assert same(model, loaded, numbers)
    assert same(model, rl.load(str(path), dtype=model.dtype), numbers)


def test_a_layer_s_file_is_a_layer(lstm, numbers, tmp_path):
    lstm.save(tmp_path / "lstm.safetensors")
    assert same(lstm, rl.load(tmp_path / "lstm.safetensors"), numbers)
    with pytest.raises(rl.RecurrentError, match="float32"):
        rl.load(tmp_path / "lstm.safetensors", dtype="float64")


def test_the_format_may_be_said(numbers, tmp_path):
    bare = tmp_path / "a file"
    bare.write_bytes((MODELS / "lstm.keras").read_bytes())
    assert isinstance(rl.load(bare), rl.Model)
    assert isinstance(rl.load(bare, format="keras"), rl.Model)
    for format in ["onnx", "recurrent"]:
        with pytest.raises(rl.RecurrentError):
            rl.load(bare, format=format)
    with pytest.raises(rl.RecurrentError, match="format must be"):
        rl.load(bare, format="pickle")
    assert isinstance(rl.load(onnx_file("lstm_last.dynamo", tmp_path)[0], "onnx"), rl.Model)


def test_half_precision_is_asked_for():
    path = GOLDEN / "keras_models" / "others" / "mixed_float16.keras"
    with pytest.raises(rl.RecurrentError, match="dtype"):
        rl.load(path)
    assert rl.load(path, half_as_float32=True).dtype == "float32"


def test_a_float32_model_in_float64(load, numbers):
    single, double = load("lstm"), load("lstm", dtype="float64")
    x = numbers(2, 5, 3)
    y = double.predict(x)
    assert y.dtype == "float64"
    assert np.abs(single.predict(x) - y).max() < 1e-6


@pytest.mark.parametrize("precision", ["int8", "int8_fast", "bfloat16", "bf16"])
def test_fewer_bits(load, numbers, precision, tmp_path):
    model, x = load("lstm"), numbers(2, 7, 3)
    small = model.quantize(precision)
    assert isinstance(small, rl.Layer)
    error = np.abs(small.predict(x) - model.predict(x)).max()
    assert 0 < error < 0.1
    stream = small.stream(2)
    stream.process(x)
    data = small.to_bytes()
    assert len(data) < len(model.to_bytes())
    again = rl.Layer.from_bytes(data)
    assert (again.predict(x) == small.predict(x)).all()
    small.save(tmp_path / "small.safetensors")
    loaded = rl.load(tmp_path / "small.safetensors")
    assert isinstance(loaded, rl.Layer) and (loaded.predict(x) == small.predict(x)).all()
    with pytest.raises(rl.RecurrentError, match="recurrent::file::save writes it"):
        small.save(tmp_path / "small.keras")


def test_what_has_no_fewer_bits(load):
    for name, words in [("bidirectional_concat", "backward"), ("embedding", "ids")]:
        with pytest.raises(rl.RecurrentError, match=words):
            load(name).quantize("int8")
    with pytest.raises(rl.RecurrentError, match="int8, int8_fast, bfloat16"):
        load("lstm").quantize("int4")
    with pytest.raises(rl.RecurrentError):
        load("float64", dtype="float64").quantize("int8")


def test_verify():
    examples = GOLDEN / "examples"
    for name in ["sentiment.safetensors", "sentiment.keras", "tagger.safetensors"]:
        verified = rl.verify(examples / name)
        assert verified.examples >= 2 and verified.error < 1e-5
        assert str(verified).startswith(f"matches {verified.by} to ")
        assert isinstance(verified.unchecked, list)
    with pytest.raises(rl.RecurrentError, match="no examples"):
        rl.verify(MODELS / "lstm.keras")


def test_a_model_of_keras_with_its_examples_loads():
    assert isinstance(rl.load(GOLDEN / "examples" / "sentiment.safetensors"), rl.Model)


def predict(model, x):
    return model.predict(x)


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_other_processes_have_the_same_bits(load, numbers, method):
    model, x = load("lstm"), numbers(4, 5, 3)
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        y = pool.submit(predict, model, x).result(60)
    assert np.array_equal(y, model.predict(x))
