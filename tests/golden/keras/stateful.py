"""stateful=True: several calls in a row, with initial states in between, masks, resets, and a batch of another size."""

from bidirectional import single, wrap
from layers import KINDS
from oracle import (
    build,
    call,
    generator,
    keras,
    make_mask,
    named_states,
    random_state,
    set_weights,
    values,
    weights,
    write,
)
from stacked import cell, nested


def stored(layer):
    """The states that the layer keeps for its next call."""
    return [v.numpy() for v in keras.tree.flatten(layer.states)]


def case(name, spec, calls, dtype="float32", batch=2, features=4):
    """`calls`: a plain call, i with an initial state, m with a mask, b both; R resets before the next call, x is a call of one row more."""
    rng = generator(name)
    layer = build(spec, dtype)
    layer.build((batch, 3, features))
    set_weights(layer, spec, rng)
    done = {"name": name, "dtype": dtype, "layer": spec, "weights": weights(layer, spec), "calls": []}
    reset = False
    for kind in calls:
        if kind == "R":
            layer.reset_state()
            reset = True
            continue
        timesteps = 3 + len(done["calls"]) % 3  # chunks of several lengths
        rows = batch + (kind == "x")
        x = values(rng, (rows, timesteps, features), 1.0, dtype)
        mask = make_mask("mixed", rows, timesteps, rng) if kind in "mb" else None
        state = random_state(spec, rows, rng, dtype) if kind in "ib" else None
        one = {"reset_before": reset, "input": x, "mask": mask, "initial_state": named_states(spec, state)}
        reset = False
        try:
            outputs, _ = call(layer, spec, x, mask, state)
        except ValueError:
            assert kind == "x", name
            one |= {"refused": True}
        else:
            assert kind != "x", name
            one |= {"refused": False, "output": outputs[0], "states": named_states(spec, stored(layer))}
        done["calls"].append(one)
    return done


def cases():
    flags = {"stateful": True, "return_state": True}
    for kind in KINDS:
        for dtype in ("float32", "float64"):
            spec = single(kind, 4, 5, return_sequences=True, **flags)
            yield case(f"{kind}-plain-{dtype}", spec, "ppiRppxp", dtype)
        yield case(f"{kind}-masks", single(kind, 4, 5, return_sequences=True, **flags), "mpmbRm")
        zero = single(kind, 4, 5, zero_output_for_mask=True, go_backwards=True, **flags)
        yield case(f"{kind}-backwards", zero, "pmiRp")
        # A stateful Bidirectional can't also return its states: a TypeError in Keras's compute_mask.
        layer = single(kind, 4, 5, return_sequences=True, stateful=True)
        yield case(f"bidirectional-{kind}", wrap(layer, merge_mode="concat"), "ppiRpxmbp")
    cells = [cell("lstm", 4, 5), nested(cell("gru_after", 5, 3), cell("simple_rnn", 3, 6))]
    # Keras can't reset a stateful RNN of several cells (its list of states is nested), so these don't.
    for dtype in ("float32", "float64"):
        spec = {"class": "RNN", "input_size": 4, "config": {"return_sequences": True, **flags}, "cells": cells}
        yield case(f"cells-{dtype}", spec, "ppimpx", dtype)


def main():
    write("stateful", list(cases()))


if __name__ == "__main__":
    main()
