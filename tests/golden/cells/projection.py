"""LSTMs with a projection of h by PyTorch's `nn.LSTM(proj_size=..)`, and by the equations where more options are set."""

import torch
from common import Made, by_module, layer_spec, lstm_step, same_results, transposed, unchanged, well_conditioned, write

# (batch, timesteps, features, units, projection_units)
SIZES = [(2, 5, 3, 6, 4), (3, 6, 2, 5, 4), (4, 5, 6, 3, 2)]
WIDE = (2, 3, 4, 17, 6)
# PyTorch's blocks are i, f, g, o: the same as Keras's i, f, c, o.
MAPS = {
    "kernel": ("weight_ih", transposed, transposed),
    "recurrent_kernel": ("weight_hh", transposed, transposed),
    "bias": ("bias_ih", unchanged, unchanged),
    "projection_kernel": ("weight_hr", transposed, transposed),
}


def case(name, dtype, size, options, both=False, packed=False, with_state=True, sequences=True, use_bias=True, scale=0.5):
    batch, timesteps, features, units, projected = size
    config = {"units": units, "projection_units": projected} | options | {"return_sequences": sequences}
    if not use_bias:
        config["use_bias"] = False
    gates = 3 if options.get("coupled_input_forget") else 4
    shapes = {"kernel": (features, gates * units), "recurrent_kernel": (projected, gates * units)}
    if use_bias:
        shapes["bias"] = (gates * units,)
    if options.get("peephole"):
        shapes["peephole_kernel"] = ((gates - 1) * units,)
    shapes["projection_kernel"] = (units, projected)
    spec = layer_spec("LSTM", features, config, both, packed)
    made = Made(name, dtype, spec, batch, timesteps, shapes, {"h": projected, "c": units}, packed, with_state, scale)
    well_conditioned(made, lstm_step)
    exact = made.by_equations(lstm_step, "float64")
    if name.startswith("equations"):
        return made.case(exact)
    module = torch.nn.LSTM(
        features, units, 1, bias=use_bias, batch_first=True, bidirectional=both, proj_size=projected,
        dtype=getattr(torch, dtype),
    )
    result = by_module(made, module, MAPS)
    same_results(result, exact, name, 1e-12 if dtype == "float64" else 3e-6)
    return made.case(result)


def cases():
    ways = ["forward", "both", "backwards"]
    for i in range(7):
        way, packed, sequences = ways[i % 3], i in (0, 1, 4, 6), i not in (4, 5, 6)
        dtype = ["float32", "float64"][(i + i // 3) % 2]
        options = {"go_backwards": True} if way == "backwards" else {}
        name = f"{i}-{way}-{'packed' if packed else 'whole'}-{'all' if sequences else 'last'}"
        yield case(name, dtype, SIZES[(i + i // 3) % 3], options, way == "both", packed, i % 4 != 3, sequences, i != 5)
    yield case("wide", "float32", WIDE, {}, scale=0.3)
    more = {"peephole": True, "coupled_input_forget": True, "clip": 0.5}
    yield case("equations-peephole", "float64", SIZES[0], {"peephole": True}, packed=True)
    yield case("equations-peephole_coupled_clip", "float64", SIZES[1], more | {"go_backwards": True}, packed=True)
    options = {"coupled_input_forget": True, "activation": "softsign", "recurrent_activation": "hard_sigmoid"}
    yield case("equations-coupled", "float32", SIZES[2], options)


def main():
    write("projection", list(cases()), [torch])
