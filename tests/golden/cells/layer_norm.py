"""LSTM with layer normalization (Ba et al. 2016, equations 20 to 22) on PyTorch's `nn.LayerNorm`, in Keras's order of gates.

    i, f, c, o = LN(x K; kernel_gamma, kernel_beta) + LN(h R; recurrent_gamma, recurrent_beta) + b
    c' = sigmoid(f) c + sigmoid(i) tanh(c),  h' = sigmoid(o) tanh(LN(c'; state_gamma, state_beta))

Each LN is over the whole vector, all four gates at once, with the biased variance; c' goes to the next step as it is.
"""

import torch
from common import ACTIVATIONS, Made, layer_spec, well_conditioned, write

SIZES = [(2, 5, 3, 4), (3, 4, 2, 5), (5, 3, 2, 4)]
WIDE = (2, 3, 4, 17)


def layer_norm_step(weights, config):
    n = config["units"]
    gate, act = ACTIVATIONS[config.get("recurrent_activation", "sigmoid")], ACTIVATIONS[config.get("activation", "tanh")]

    def norm(prefix, width):
        layer = torch.nn.LayerNorm(width, eps=config.get("epsilon", 1e-5), dtype=weights["kernel"].dtype)
        gamma, beta = weights[f"{prefix}_gamma"], weights[f"{prefix}_beta"]
        return lambda value: torch.func.functional_call(layer, {"weight": gamma, "bias": beta}, (value,))

    of_kernel, of_recurrent, of_state = norm("kernel", 4 * n), norm("recurrent", 4 * n), norm("state", n)

    def step(x, state):
        h, c = state
        z = of_kernel(x @ weights["kernel"]) + of_recurrent(h @ weights["recurrent_kernel"])
        i, f, new, o = torch.split(z + weights["bias"] if "bias" in weights else z, n, dim=-1)
        c = gate(f) * c + gate(i) * act(new)
        return gate(o) * act(of_state(c)), c

    return step


def case(name, dtype, size, options, both=False, packed=False, with_state=True, sequences=True, use_bias=True, scale=0.5):
    batch, timesteps, features, units = size
    config = {"units": units} | options | {"return_sequences": sequences}
    if not use_bias:
        config["use_bias"] = False
    shapes = {"kernel": (features, 4 * units), "recurrent_kernel": (units, 4 * units)}
    if use_bias:
        shapes["bias"] = (4 * units,)
    for prefix, width in [("kernel", 4 * units), ("recurrent", 4 * units), ("state", units)]:
        shapes |= {f"{prefix}_gamma": (width,), f"{prefix}_beta": (width,)}
    gammas = [key for key in shapes if key.endswith("gamma")]
    spec = layer_spec("LayerNormLSTM", features, config, both, packed)
    sizes = {"h": units, "c": units}
    made = Made(name, dtype, spec, batch, timesteps, shapes, sizes, packed, with_state, scale, gammas)
    well_conditioned(made, layer_norm_step)
    return made.case(made.by_equations(layer_norm_step, "float64"))


def cases():
    ways = ["forward", "backwards", "both"]
    for i in range(7):
        way, packed, sequences = ways[i % 3], i in (1, 2, 3, 5), i not in (2, 3)
        options = {"go_backwards": True} if way == "backwards" else {}
        if i in (2, 4, 6):
            options["epsilon"] = [1e-3, 1e-2, 1e-4][i // 2 - 1]
        if i == 4:
            options |= {"activation": "softsign", "recurrent_activation": "hard_sigmoid"}
        name = f"{i}-{way}-{'packed' if packed else 'whole'}-{'all' if sequences else 'last'}"
        size, dtype = SIZES[(i + i // 3) % 3], ["float32", "float64"][(i + i // 3) % 2]
        yield case(name, dtype, size, options, way == "both", packed, i % 4 != 3, sequences, i not in (3, 5))
    yield case("wide", "float32", WIDE, {}, scale=0.3)


def main():
    write("layer_norm", list(cases()), [torch])
