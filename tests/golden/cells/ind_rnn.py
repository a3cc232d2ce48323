"""IndRNN (Li et al. 2018) by PyTorch's `nn.RNN` whose recurrent kernel is diagonal: h = act(x W + u h + b)."""

import torch
from common import (
    ACTIVATIONS,
    Made,
    by_module,
    layer_spec,
    same_results,
    transposed,
    unchanged,
    well_conditioned,
    write,
)

SIZES = [(2, 5, 4, 3), (3, 6, 2, 5), (4, 7, 3, 2)]
WIDE = (2, 4, 3, 19)
MAPS = {
    "kernel": ("weight_ih", transposed, transposed),
    "recurrent_kernel": ("weight_hh", torch.diag, torch.diag),
    "bias": ("bias_ih", unchanged, unchanged),
}


def ind_rnn_step(weights, config):
    act = ACTIVATIONS[config["activation"]]

    def step(x, state):
        z = x @ weights["kernel"] + weights["recurrent_kernel"] * state[0]
        return (act(z + weights["bias"] if "bias" in weights else z),)

    return step


def case(name, dtype, size, activation, both, packed, with_state, sequences, use_bias, backwards):
    batch, timesteps, features, units = size
    config = {"units": units, "activation": activation, "return_sequences": sequences}
    if backwards:
        config["go_backwards"] = True
    if not use_bias:
        config["use_bias"] = False
    shapes = {"kernel": (features, units), "recurrent_kernel": (units,)} | ({"bias": (units,)} if use_bias else {})
    spec = layer_spec("IndRNN", features, config, both, packed)
    made = Made(name, dtype, spec, batch, timesteps, shapes, {"h": units}, packed, with_state, scale=0.8)
    well_conditioned(made, ind_rnn_step)
    module = torch.nn.RNN(
        features, units, 1, nonlinearity=activation, bias=use_bias, batch_first=True, bidirectional=both,
        dtype=getattr(torch, dtype),
    )
    result = by_module(made, module, MAPS)
    exact = made.by_equations(ind_rnn_step, "float64")
    same_results(result, exact, name, 1e-12 if dtype == "float64" else 3e-6)
    return made.case(result)


def cases():
    ways = ["forward", "both", "backwards"]
    for i in range(12):
        way = ways[i % 3]
        packed, sequences = way != "backwards" and i % 4 < 2, i % 5 not in (2, 3)
        activation, dtype = ["relu", "tanh"][(i // 3) % 2], ["float32", "float64"][(i + i // 6) % 2]
        name = f"{i:02}-{activation}-{way}-{'packed' if packed else 'whole'}-{'all' if sequences else 'last'}"
        yield case(name, dtype, SIZES[(i + i // 3) % 3], activation, way == "both", packed, i % 4 != 3, sequences, i % 7 != 5,
                   way == "backwards")
    yield case("wide", "float32", WIDE, "tanh", False, True, True, True, True, False)


def main():
    write("ind_rnn", list(cases()), [torch])
