"""`keras.utils.set_random_seed(s)`, then layers one after another: the weights they get. And the raw draws."""

import random

from oracle import build, keras, weights, write

LSTM = {"class": "LSTM", "input_size": 3, "config": {"units": 2}}
GRU = {"class": "GRU", "input_size": 2, "config": {"units": 3}}
RNN = {"class": "SimpleRNN", "input_size": 3, "config": {"units": 4}}
DENSE = {"class": "Dense", "input_size": 4, "config": {"units": 2}}
EMBEDDING = {"class": "Embedding", "input_size": 5, "config": {"input_dim": 5, "output_dim": 3}}
DROPOUT = {"class": "Dropout", "input_size": 3, "config": {"rate": 0.4}}


def given(spec, **config):
    return {**spec, "config": {**spec["config"], **config}}


def both(spec, backward=None):
    wrapper = {
        "class": "Bidirectional",
        "input_size": spec["input_size"],
        "config": {"merge_mode": "concat"},
        "layer": spec,
    }
    return wrapper if backward is None else {**wrapper, "backward_layer": given(backward, go_backwards=True)}


def cell(spec):
    return {**spec, "class": spec["class"] + "Cell"}


def cells(*specs):
    return {"class": "RNN", "input_size": specs[0]["input_size"], "config": {}, "cells": list(specs)}


def of(kind, seed=None, **config):
    return {"class": kind, "config": {**config, "seed": seed}}


# By name, so that the layer makes it, in its order; an initializer object would draw before the layer does.
random_bias = "random_normal"
SEQUENCES = {
    "lstm": [LSTM],
    "gru": [GRU],
    "simple_rnn": [RNN],
    "three": [given(LSTM, return_sequences=True), GRU, RNN, DENSE],
    "dense": [DENSE, DENSE],
    "embedding": [EMBEDDING, LSTM],
    "time_distributed": [{"class": "TimeDistributed", "input_size": 4, "config": {}, "layer": DENSE}, RNN],
    "masking": [{"class": "Masking", "input_size": 3, "config": {"mask_value": 0.5}}, LSTM],
    "dropout": [DROPOUT, RNN, given(DROPOUT, rate=0.0), GRU, given(DROPOUT, seed=3), LSTM],
    "dropout_inside": [
        given(LSTM, dropout=0.2, recurrent_dropout=0.1),
        given(RNN, dropout=0.3),
        given(GRU, recurrent_dropout=0.3),
        DENSE,
    ],
    "bidirectional_lstm": [both(LSTM), DENSE],
    "bidirectional_gru": [both(GRU), DENSE],
    "bidirectional_simple_rnn": [both(RNN), DENSE],
    "bidirectional_two": [both(LSTM, given(LSTM, units=4)), DENSE],
    "bidirectional_mixed": [both({**GRU, "input_size": 3}, RNN), DENSE],
    "bidirectional_of_seeded": [both(given(LSTM, kernel_initializer=of("GlorotUniform", 4), seed=9)), DENSE],
    # SimpleRNN's config has no dropout seed, so the copies that Bidirectional makes draw one.
    "bidirectional_of_seeded_simple_rnn": [both(given(RNN, seed=9)), DENSE],
    "bidirectional_two_seeded": [both(given(RNN, seed=9), given(RNN, seed=8)), DENSE],
    "bidirectional_of_random_bias": [both(given(GRU, bias_initializer=random_bias)), DENSE],
    "cells": [cells(cell(LSTM), {**cell(GRU), "input_size": 2}, {**cell(RNN), "input_size": 3}), DENSE],
    "cells_nested": [
        cells(
            cell(RNN),
            {
                "class": "StackedRNNCells",
                "input_size": 4,
                "config": {},
                "cells": [{**cell(LSTM), "input_size": 4}, cell(GRU)],
            },
        ),
        DENSE,
    ],
    "some_seeded": [
        given(LSTM, kernel_initializer=of("GlorotUniform", 7)),
        given(LSTM, recurrent_initializer=of("Orthogonal", 7), seed=8),
        given(GRU, kernel_initializer=of("HeNormal", 1), recurrent_initializer=of("GlorotNormal", 2)),
        given(RNN, seed=5),
        given(RNN, recurrent_initializer=of("Orthogonal", 5), kernel_initializer=of("RandomUniform", 6)),
        DENSE,
    ],
    "random_bias": [
        given(LSTM, bias_initializer=random_bias),
        given(LSTM, bias_initializer=random_bias, unit_forget_bias=False),
        given(GRU, bias_initializer=random_bias),
        given(GRU, bias_initializer=random_bias, reset_after=False),
        given(RNN, bias_initializer=random_bias),
        given(DENSE, bias_initializer=random_bias),
    ],
    # The bias initializer is called twice, so a seeded one repeats itself beside the ones.
    "unit_forget_bias": [
        given(LSTM, bias_initializer=initializer, unit_forget_bias=flag)
        for initializer in (
            of("RandomUniform", 3),
            of("RandomNormal", 3, stddev=0.5),
            {"class": "Constant", "config": {"value": 0.5}},
            {"class": "Ones", "config": {}},
            {"class": "Zeros", "config": {}},
        )
        for flag in (True, False)
    ],
    "no_bias": [
        given(LSTM, use_bias=False, bias_initializer=random_bias),
        given(GRU, use_bias=False),
        given(RNN, use_bias=False),
        DENSE,
    ],
}


def case(name, seed, layers, dtype="float32"):
    keras.utils.set_random_seed(seed)
    made = [build(spec, dtype) for spec in layers]  # seeds are drawn here, weights at build
    after = random.randint(1, 10**9)  # one more draw shows that no layer took one too many
    for layer, spec in zip(made, layers):
        if not layer.built:
            layer.build(
                (2, spec["input_size"]) if spec["class"] in ("Dense", "Embedding") else (2, 5, spec["input_size"])
            )
    return {
        "name": name,
        "dtype": dtype,
        "set_random_seed": seed,
        "layers": [{"layer": spec, "weights": weights(layer, spec)} for layer, spec in zip(made, layers)],
        "next_draw": after,
    }


def draws(seed):
    keras.utils.set_random_seed(seed)
    return {"name": f"draws-{seed}", "set_random_seed": seed, "draws": [random.randint(1, 10**9) for _ in range(40)]}


def cases():
    for i, (name, layers) in enumerate(SEQUENCES.items()):
        for seed in ([5, 9, 0, 7, 123456789][i % 5], [2**32 - 1, 42, 2**31, 1, 1000003][i % 5]):
            yield case(f"{name}-{seed}", seed, layers)
    yield case("three-float64", 11, SEQUENCES["three"], "float64")
    yield case("bidirectional_two-float64", 12, SEQUENCES["bidirectional_two"], "float64")
    for seed in (0, 1, 5, 9, 2**31, 2**32 - 1):
        yield draws(seed)


def main():
    write("seeds", list(cases()))


if __name__ == "__main__":
    main()
