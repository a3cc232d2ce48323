"""Gradients of SimpleRNN, LSTM and both GRUs: options combined pairwise, then each activation once."""

from flow import record, write
from layers import ACTIVATIONS, EVERY, KINDS, RECURRENT_ACTIVATIONS, SIZES
from oracle import pairwise

FLAGS = [False, True]
# What the loss reads: the sequence or the last output, or the states alone, or all that there is.
INTO = [("output",), ("states",), ("output", "states"), ("last", "states"), ("output", "last", "states")]


def spec_of(kind, features, units, **options):
    layer_class, fixed = KINDS[kind]
    return {"class": layer_class, "input_size": features, "config": {"units": units, **options, **fixed}}


def valid(c):
    return c["return_state"] or "states" not in c["into"]


def cases():
    for kind, (layer_class, _) in KINDS.items():
        factors = {
            "dtype": ["float32", "float64"],
            "size": SIZES,
            "activation": ACTIVATIONS,
            "pattern": [None, "leading", "inner", "trailing", "rows", "mixed", "all"],
            "into": INTO,
        }
        if layer_class != "SimpleRNN":
            factors["recurrent_activation"] = RECURRENT_ACTIVATIONS
        for flag in (
            "use_bias",
            "return_sequences",
            "return_state",
            "go_backwards",
            "zero_output_for_mask",
            "initial_state",
        ):
            factors[flag] = FLAGS
        for i, c in enumerate(pairwise(factors, valid, seed=6)):
            batch, timesteps, features, units = c["size"]
            options = {k: v for k, v in c.items() if k not in ("dtype", "size", "pattern", "into", "initial_state")}
            spec = spec_of(kind, features, units, **options)
            name = f"{kind}-{i:02}-{c['pattern']}-{'+'.join(c['into'])}"
            yield record(name, spec, c["dtype"], batch, timesteps, c["initial_state"], c["pattern"], c["into"])
        plain = {"return_sequences": True, "return_state": True}
        for dtype in ("float32", "float64"):  # wider than a vector register, and not a multiple of one
            yield record(f"{kind}-wide-{dtype}", spec_of(kind, 9, 17, **plain), dtype, 3, 4, True)
    for i, function in enumerate(EVERY):
        label = function if isinstance(function, str) else function["name"] + "_args"
        for kind, dtype in zip([["simple_rnn", "gru_before"], ["lstm", "gru_after"]][i % 2], ["float64", "float32"]):
            spec = spec_of(kind, 5, 3, activation=function, **plain)
            yield record(f"{kind}-{label}", spec, dtype, 2, 4, True)


def main():
    write("one_layer", list(cases()))
