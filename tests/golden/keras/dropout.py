"""Dropout in training: several calls of one layer, some of them inference, and the generators' counters after each.

A generator is the pair [seed, n]: a mask takes n and leaves n + 1. Masks depend on the batch, so one call has another one.
"""

from bidirectional import single, wrap
from oracle import (
    build,
    call,
    generator,
    keras,
    leaves,
    make_mask,
    named_states,
    np,
    pairwise,
    random_state,
    set_weights,
    values,
    weights,
    write,
)
from stacked import cell, nested

FLAGS = [False, True]
SEEDS = [21, 0, -3, 2**40 + 5, 7, 2**31 - 1]


def generators(layer, spec):
    """The layer's seed generators by path, in order."""
    found = []
    for path, leaf, _ in leaves(layer, spec):
        own = getattr(getattr(leaf, "cell", leaf), "seed_generator", None)
        if own is not None:
            found.append({"path": path.rstrip("/"), "state": [int(n) for n in own.state.numpy()]})
    return found


def case(
    name,
    spec,
    dtype="float32",
    batch=3,
    timesteps=4,
    pattern=None,
    with_state=False,
    calls="tittT",
    set_random_seed=None,
):
    """`calls`: t is a training call, i inference, T a training call of one row more."""
    rng = generator(name)
    features = spec["input_size"]
    # Seeds that aren't given are drawn; fix them too where the case says nothing about them.
    keras.utils.set_random_seed(1 if set_random_seed is None else set_random_seed)
    layer = build(spec, dtype)
    layer.build((batch, timesteps, features))
    set_weights(layer, spec, rng)
    # Building runs a chain once, which must not count.
    assert all(g["state"][1] == 0 for g in generators(layer, spec)), name
    done = {
        "name": name,
        "dtype": dtype,
        "set_random_seed": set_random_seed,
        "layer": spec,
        "weights": weights(layer, spec),
    }
    done["generators"] = generators(layer, spec)
    done["calls"] = []
    for kind in calls:
        rows = batch + (kind == "T")
        x = values(rng, (rows, timesteps, features), 1.0, dtype)
        mask = pattern and make_mask(pattern, rows, timesteps, rng)
        state = random_state(spec, rows, rng, dtype) if with_state else None
        outputs, states = call(layer, spec, x, mask, state, training=kind != "i")
        assert all(np.all(np.abs(a) < 100) for a in outputs + (states or [])), name
        done["calls"].append(
            {
                "training": kind != "i",
                "input": x,
                "mask": mask,
                "initial_state": named_states(spec, state),
                "output": outputs[0],
                "states": named_states(spec, states),
                "n": [g["state"][1] for g in generators(layer, spec)],
            }
        )
    return done


def cases():
    for kind in ("simple_rnn", "lstm", "gru_after", "gru_before"):
        factors = {
            # 1.0 and 0.0 are special, and what is outside 0..1 is moved to the end.
            "rates": [
                (0.3, 0.0),
                (0.0, 0.4),
                (0.3, 0.4),
                (1.0, 0.0),
                (0.0, 1.0),
                (1.0, 1.0),
                (0.25, 1.0),
                (1.0, 0.2),
                (0.0, 0.0),
                (1.5, -0.5),
                (-1.0, 0.4),
            ],
            "pattern": [None, "trailing", "leading"],
            "initial_state": FLAGS,
            "go_backwards": FLAGS,
            "return_sequences": FLAGS,
            "use_bias": FLAGS,
            "dtype": ["float32", "float32", "float64"],
        }
        for i, c in enumerate(pairwise(factors, seed=5)):
            dropout, recurrent = c["rates"]
            flags = {k: c[k] for k in ("go_backwards", "return_sequences", "use_bias")}
            spec = single(
                kind,
                5,
                2,
                dropout=dropout,
                recurrent_dropout=recurrent,
                seed=SEEDS[i % len(SEEDS)],
                return_state=True,
                **flags,
            )
            short = ["tit", "itt", "ttT"][i % 3]
            yield case(
                f"{kind}-{i:02}-{dropout}-{recurrent}", spec, c["dtype"], 3, 4, c["pattern"], c["initial_state"], short
            )
    options = {"dropout": 0.3, "recurrent_dropout": 0.4, "return_state": True}
    for kind in ("simple_rnn", "lstm", "gru_after", "gru_before"):
        yield case(
            f"{kind}-long",
            single(kind, 6, 5, seed=77, return_sequences=True, **options),
            batch=2,
            timesteps=7,
            calls="ttittiT",
        )
        # A wrapper copies the layer, so an explicit seed gives both directions the same masks; but SimpleRNN's config
        # forgets its seed, so that its copies draw one.
        drawn = 5 if kind == "simple_rnn" else None
        layer = single(kind, 5, 2, seed=13, return_sequences=True, **options)
        one = wrap(layer, merge_mode="concat")
        yield case(f"bidirectional-{kind}-one_seed", one, pattern="trailing", calls="tit", set_random_seed=drawn)
        back = single(kind, 5, 3, seed=14, return_sequences=True, go_backwards=True, **options)
        two = wrap(layer, back, merge_mode="concat")
        yield case(f"bidirectional-{kind}-two_seeds", two, calls="tit", with_state=True, set_random_seed=drawn)
        # Without seeds they come from set_random_seed, in the order of construction.
        yield case(
            f"{kind}-set_random_seed",
            single(kind, 5, 2, return_sequences=True, **options),
            calls="tt",
            set_random_seed=5,
        )
        yield case(
            f"bidirectional-{kind}-set_random_seed",
            wrap(single(kind, 5, 2, **options), merge_mode="sum"),
            calls="tt",
            set_random_seed=9,
        )
    rates = {"dropout": 0.3, "recurrent_dropout": 0.2}
    stacks = {
        "two": [cell("lstm", 4, 2, seed=1, **rates), cell("gru_after", 2, 6, seed=2, **rates)],
        "one_of_three": [cell("gru_before", 4, 5), cell("simple_rnn", 5, 2, seed=3, dropout=0.4), cell("lstm", 2, 6)],
        "recurrent": [
            cell("simple_rnn", 4, 5, seed=4, recurrent_dropout=0.4),
            cell("lstm", 5, 2, seed=4, recurrent_dropout=0.3),
        ],
        "input": [cell("lstm", 4, 5, seed=5, dropout=0.4), cell("gru_after", 5, 2, seed=6, dropout=0.3)],
        "nested": [
            cell("gru_after", 4, 2, seed=7, **rates),
            nested(cell("lstm", 2, 5, seed=8, **rates), cell("simple_rnn", 5, 6, seed=9, **rates)),
        ],
    }
    for name, cells in stacks.items():
        spec = {
            "class": "RNN",
            "input_size": 4,
            "config": {"return_sequences": True, "return_state": True},
            "cells": cells,
        }
        yield case(f"cells-{name}", spec, calls="titT")
        yield case(f"cells-{name}-masked", spec, pattern="mixed", with_state=True, calls="tit")
    layers = [
        single("lstm", 4, 2, seed=1, return_sequences=True, return_state=True, **rates),
        single("gru_after", 2, 5, seed=2, return_state=True, **rates),
    ]
    yield case(
        "layers-two", {"class": "Sequential", "input_size": 4, "layers": layers}, pattern="trailing", calls="ttit"
    )


def main():
    write("dropout", list(cases()))


if __name__ == "__main__":
    main()
