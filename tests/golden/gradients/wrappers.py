"""Gradients of Bidirectional, of stacks of layers and of cells, of Dense and TimeDistributed."""

from bidirectional import other, states, wrap
from companions import DENSE_ACTIVATIONS, distributed
from flow import record, write
from layers import KINDS
from one_layer import FLAGS, spec_of
from oracle import pairwise
from stacked import CELLS, STACKS, dense

PATTERNS = [None, "trailing", "inner", "rows", "leading"]


def valid(kind):
    def check(c):
        if "states" in c["into"] and not c["return_state"]:
            return False
        if c["backward"] == "other":
            # Another width can't be added up; Keras halves the list of states, so both must have as many.
            same = states(kind) == states(other(kind))
            return c["merge_mode"] in ("concat", None) and (not c["initial_state"] or same)
        return True

    return check


def both_directions():
    for kind in KINDS:
        factors = {
            "merge_mode": ["concat", "sum", "mul", "ave", None],
            "backward": ["copy", "own", "other"],
            "pattern": PATTERNS,
            "return_sequences": FLAGS,
            "return_state": FLAGS,
            "initial_state": FLAGS,
            "into": [("output",), ("states",), ("output", "states")],
            "dtype": ["float32", "float64"],
            "size": [(2, 5, 4, 3), (3, 4, 2, 5)],
        }
        for i, c in enumerate(pairwise(factors, valid(kind), seed=7)):
            batch, timesteps, features, units = c["size"]
            flags = {k: c[k] for k in ("return_sequences", "return_state")}
            backward = None
            if c["backward"] == "own":
                backward = spec_of(kind, features, units, activation="sigmoid", go_backwards=True, **flags)
            elif c["backward"] == "other":
                backward = spec_of(other(kind), features, units + 1, go_backwards=True, **flags)
            spec = wrap(spec_of(kind, features, units, **flags), backward, merge_mode=c["merge_mode"])
            name = f"{kind}-{i:02}-{c['merge_mode']}-{c['backward']}-{c['pattern']}"
            yield record(name, spec, c["dtype"], batch, timesteps, c["initial_state"], c["pattern"], c["into"])


def stacks():
    factors = {
        "pattern": [*PATTERNS, "mixed"],
        "initial_state": FLAGS,
        "into": [("output",), ("output", "states")],
        "dtype": ["float32", "float64"],
    }
    for i, c in enumerate(pairwise({"stack": list(STACKS), **factors}, seed=8)):
        layers = STACKS[c["stack"]]
        spec = {"class": "Sequential", "input_size": layers[0]["input_size"], "layers": layers}
        name = f"layers-{c['stack']}-{i:02}-{c['pattern']}"
        yield record(name, spec, c["dtype"], 3, 5, c["initial_state"], c["pattern"], c["into"])
    flags = ("return_sequences", "go_backwards", "zero_output_for_mask")
    factors |= {flag: FLAGS for flag in flags} | {"into": [("output",), ("states",), ("output", "last", "states")]}
    for i, c in enumerate(pairwise({"stack": list(CELLS), **factors}, seed=9)):
        cells = CELLS[c["stack"]]
        config = {flag: c[flag] for flag in flags} | {"return_state": True}
        spec = {"class": "RNN", "input_size": cells[0]["input_size"], "config": config, "cells": cells}
        name = f"cells-{c['stack']}-{i:02}-{c['pattern']}"
        yield record(name, spec, c["dtype"], 3, 5, c["initial_state"], c["pattern"], c["into"])


def heads():
    for i, activation in enumerate(DENSE_ACTIVATIONS):
        label = activation["name"] if isinstance(activation, dict) else activation
        layer = dense(4, 5, activation=activation, use_bias=i % 2 == 0)
        for wrapper, kind, dtype in [(lambda l: l, "dense", "float32"), (distributed, "time_distributed", "float64")]:
            yield record(f"{kind}-{label}", wrapper(layer), dtype, 2, 3, into=("output",))


def cases():
    yield from both_directions()
    yield from stacks()
    yield from heads()


def main():
    write("wrappers", list(cases()))
