"""Stacks of both kinds: layers one after another (a list of specs), and several cells in one keras.layers.RNN."""

from bidirectional import single, wrap
from oracle import pairwise, record, write

FLAGS = [False, True]
BATCH, TIMESTEPS = 3, 5


def seq(kind, features, units, **options):
    return single(kind, features, units, return_state=True, **{"return_sequences": True, **options})


def last(kind, features, units, **options):
    return seq(kind, features, units, return_sequences=False, **options)


def both(layer, backward=None, **config):
    return wrap(layer, backward, **{"merge_mode": "concat", **config})


def dense(features, units, **options):
    return {"class": "Dense", "input_size": features, "config": {"units": units, **options}}


STACKS = {
    "lstm_gru": [seq("lstm", 2, 4), last("gru_after", 4, 6)],
    "three": [seq("simple_rnn", 4, 2), seq("gru_before", 2, 6), seq("lstm", 6, 7)],
    "backwards_inside": [seq("gru_after", 2, 4, go_backwards=True), seq("lstm", 4, 6)],
    "backwards_twice": [seq("lstm", 4, 2, go_backwards=True), seq("simple_rnn", 2, 6, go_backwards=True)],
    "zeros_inside": [seq("lstm", 2, 4, zero_output_for_mask=True), last("gru_after", 4, 6, zero_output_for_mask=True)],
    "tagger": [both(seq("lstm", 2, 4)), seq("lstm", 8, 6), dense(6, 7, activation="softmax")],
    "bidirectional_last": [
        both(seq("gru_after", 4, 2), merge_mode="sum"),
        both(last("lstm", 2, 6), merge_mode="mul"),
        dense(6, 7),
    ],
    "bidirectional_mixed": [
        both(seq("simple_rnn", 2, 4), seq("gru_before", 2, 4, go_backwards=True)),
        last("lstm", 8, 7),
    ],
    "dense_between": [seq("gru_before", 2, 4), dense(4, 6, activation="tanh"), last("simple_rnn", 6, 7)],
}


def cell(kind, features, units, **options):
    spec = single(kind, features, units, **options)
    return {**spec, "class": spec["class"] + "Cell"}


def nested(*cells):
    return {"class": "StackedRNNCells", "input_size": cells[0]["input_size"], "config": {}, "cells": list(cells)}


CELLS = {
    "lstm_gru": [cell("lstm", 4, 2), cell("gru_after", 2, 6)],
    "gru_lstm": [cell("gru_before", 2, 6), cell("lstm", 6, 4)],
    "three": [cell("simple_rnn", 4, 7, activation="sigmoid"), cell("lstm", 7, 2), cell("gru_after", 2, 6)],
    "two_lstms": [cell("lstm", 2, 4, use_bias=False), cell("lstm", 4, 6)],
    "nested_last": [cell("lstm", 4, 2), nested(cell("gru_after", 2, 6), cell("lstm", 6, 7))],
    "nested_first": [nested(cell("simple_rnn", 2, 4), cell("gru_before", 4, 6)), cell("lstm", 6, 7)],
    "nested_deep": [
        nested(cell("lstm", 4, 2), nested(cell("gru_after", 2, 6), cell("simple_rnn", 6, 7))),
        cell("gru_after", 7, 8),
    ],
}


def valid(case):
    return case["pattern"] is not None or not case["nan"]


def cases():
    patterns = [None, "trailing", "leading", "inner", "rows", "mixed"]
    factors = {"pattern": patterns, "initial_state": FLAGS, "nan": FLAGS, "dtype": ["float32", "float64"]}
    for i, c in enumerate(pairwise({"stack": list(STACKS), **factors}, valid, seed=3)):
        layers = STACKS[c["stack"]]
        spec = {"class": "Sequential", "input_size": layers[0]["input_size"], "layers": layers}
        name = f"layers-{c['stack']}-{i:02}-{c['pattern']}"
        yield record(name, spec, c["dtype"], BATCH, TIMESTEPS, c["initial_state"], c["pattern"], c["nan"])
    flags = ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask")
    factors |= {flag: FLAGS for flag in flags}
    for i, c in enumerate(pairwise({"stack": list(CELLS), **factors}, valid, seed=4)):
        cells = CELLS[c["stack"]]
        config = {flag: c[flag] for flag in flags}
        spec = {"class": "RNN", "input_size": cells[0]["input_size"], "config": config, "cells": cells}
        name = f"cells-{c['stack']}-{i:02}-{c['pattern']}"
        yield record(name, spec, c["dtype"], BATCH, TIMESTEPS, c["initial_state"], c["pattern"], c["nan"])
    # One cell alone in the list: TensorFlow can't take a mask with it.
    one = cell("lstm", 2, 4)
    spec = {"class": "RNN", "input_size": 2, "config": {"return_sequences": True, "return_state": True}, "cells": [one]}
    yield record("cells-one", spec, "float32", BATCH, TIMESTEPS, True)


def main():
    write("stacked", list(cases()))


if __name__ == "__main__":
    main()
