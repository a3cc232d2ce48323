"""Gradients of calls in training mode: the masks of a new layer's first call, from explicit seeds."""

from bidirectional import wrap
from dropout import FLAGS, SEEDS
from flow import record, write
from one_layer import spec_of
from oracle import keras, pairwise
from stacked import cell, nested

RATES = [(0.3, 0.0), (0.0, 0.4), (0.3, 0.4), (1.0, 0.0), (0.0, 1.0), (0.25, 1.0), (1.0, 0.2)]


def case(name, spec, dtype="float32", pattern=None, with_state=True, into=("output", "states")):
    # The seeds that a copy of SimpleRNN forgets are drawn: fix them.
    keras.utils.set_random_seed(1)
    return record(name, spec, dtype, 3, 4, with_state, pattern, into, training=True)


def cases():
    for kind in ("simple_rnn", "lstm", "gru_after", "gru_before"):
        factors = {
            "rates": RATES,
            "pattern": [None, "trailing", "leading", "mixed"],
            "initial_state": FLAGS,
            "go_backwards": FLAGS,
            "return_sequences": FLAGS,
            "use_bias": FLAGS,
            "dtype": ["float32", "float64"],
        }
        for i, c in enumerate(pairwise(factors, seed=10)):
            dropout, recurrent = c["rates"]
            flags = {k: c[k] for k in ("go_backwards", "return_sequences", "use_bias")}
            options = {"dropout": dropout, "recurrent_dropout": recurrent, "seed": SEEDS[i % len(SEEDS)]}
            spec = spec_of(kind, 5, 2, return_state=True, **options, **flags)
            yield case(f"{kind}-{i:02}-{dropout}-{recurrent}", spec, c["dtype"], c["pattern"], c["initial_state"])
    options = {"dropout": 0.3, "recurrent_dropout": 0.4, "return_sequences": True, "return_state": True}
    for kind in ("lstm", "gru_after", "gru_before"):
        for merge in ("concat", "mul"):
            layer = spec_of(kind, 5, 3, seed=13, **options)
            back = spec_of(kind, 5, 3, seed=14, go_backwards=True, **options)
            yield case(f"bidirectional-{kind}-{merge}", wrap(layer, back, merge_mode=merge), pattern="trailing")
    rates = {"dropout": 0.3, "recurrent_dropout": 0.2}
    cells = {
        "two": [cell("lstm", 4, 2, seed=1, **rates), cell("gru_after", 2, 6, seed=2, **rates)],
        "input": [cell("simple_rnn", 4, 5, seed=5, dropout=0.4), cell("gru_before", 5, 2, seed=6, dropout=0.3)],
        "nested": [
            cell("gru_after", 4, 2, seed=7, **rates),
            nested(cell("lstm", 2, 5, seed=8, **rates), cell("simple_rnn", 5, 6, seed=9, **rates)),
        ],
    }
    for name, stack in cells.items():
        config = {"return_sequences": True, "return_state": True}
        spec = {"class": "RNN", "input_size": 4, "config": config, "cells": stack}
        yield case(f"cells-{name}", spec)
        yield case(f"cells-{name}-masked", spec, "float64", "mixed")
    layers = [
        spec_of("lstm", 4, 2, seed=1, return_sequences=True, return_state=True, **rates),
        spec_of("gru_after", 2, 5, seed=2, return_state=True, **rates),
    ]
    yield case("layers-two", {"class": "Sequential", "input_size": 4, "layers": layers}, pattern="trailing")


def main():
    write("with_dropout", list(cases()))
