"""Minimal gated units: flax's `MGUCell` with both values of `reset_gate`, and Zhou et al. 2016.

flax, jax's gradients (f keeps the old state):
    f = sigmoid(x Kf + bf + h Rf), n = tanh(x Kn + bn + f (h Rn + rn)), h' = (1 - f) n + f h
    without reset gate: n = tanh(x Kn + bn + h Rn)
Zhou (f takes the new one, and resets h before the product):
    f = sigmoid(x Kf + h Rf + bf), n = tanh(x Kn + (f h) Rn + bn), h' = (1 - f) h + f n
"""

import flax
import jax
import numpy as np
import torch
from common import ACTIVATIONS, Made, agree, layer_spec, same_results, well_conditioned, write

jax.config.update("jax_enable_x64", True)
SIZES = [(2, 5, 4, 3), (3, 5, 2, 4), (4, 5, 3, 2)]
WIDE = (2, 3, 4, 17)
FLAX_ACTIVATIONS = {
    "tanh": jax.nn.tanh, "sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu, "hard_sigmoid": jax.nn.hard_sigmoid,
    "softsign": jax.nn.soft_sign,
}


def mgu_step(weights, config):
    """The three forms in PyTorch."""
    n, zhou, reset = config["units"], config.get("equations") == "zhou2016", config.get("reset_gate", True)
    gate, act = ACTIVATIONS[config.get("recurrent_activation", "sigmoid")], ACTIVATIONS[config.get("activation", "tanh")]
    kernel, recurrent = weights["kernel"], weights["recurrent_kernel"]
    bias = weights.get("bias", torch.zeros(2 * n, dtype=kernel.dtype))
    bias, again = (bias[0], bias[1]) if bias.dim() == 2 else (bias, torch.zeros_like(bias))

    def step(x, state):
        (h,) = state
        z = x @ kernel + bias
        f = gate(z[:, :n] + h @ recurrent[:, :n] + again[:n])
        if zhou:
            g = act(z[:, n:] + (f * h) @ recurrent[:, n:])
            return ((1 - f) * h + f * g,)
        inner = h @ recurrent[:, n:] + again[n:]
        new = act(z[:, n:] + (f * inner if reset else inner))
        return ((1 - f) * new + f * h,)

    return step


def by_flax(made):
    """Results and gradients by flax's cell and jax; a row that has ended keeps its state."""
    config = made.spec["config"]
    n, dtype = config["units"], made.dtype
    cell = flax.linen.MGUCell(
        features=n, dtype=dtype, param_dtype=dtype, reset_gate=config["reset_gate"],
        gate_fn=FLAX_ACTIVATIONS[config.get("recurrent_activation", "sigmoid")],
        activation_fn=FLAX_ACTIVATIONS[config.get("activation", "tanh")],
    )

    def variables(weights):
        kernel, recurrent, bias = weights["kernel"], weights["recurrent_kernel"], weights["bias"]
        # flax has one bias of the gate, and a recurrent one of the candidate only.
        rows = bias if bias.ndim == 2 else jax.numpy.stack([bias, jax.numpy.zeros_like(bias)])
        hn = {"kernel": recurrent[:, n:]} | ({"bias": rows[1, n:]} if config["reset_gate"] else {})
        return {"params": {
            "if": {"kernel": kernel[:, :n], "bias": rows[0, :n] + rows[1, :n]},
            "in": {"kernel": kernel[:, n:], "bias": rows[0, n:]},
            "hf": {"kernel": recurrent[:, :n]},
            "hn": hn,
        }}

    def call(weights, x, h):
        timesteps, outputs = x.shape[1], []
        for t in reversed(range(timesteps)) if config.get("go_backwards") else range(timesteps):
            after, _ = cell.apply(variables(weights), h, x[:, t])
            real = True if made.lengths is None else np.array([[t < length] for length in made.lengths])
            h = jax.numpy.where(real, after, h)
            outputs.append(jax.numpy.where(real, after, 0))
        return jax.numpy.stack(outputs, 1) if config["return_sequences"] else h, h

    def loss(weights, x, h):
        output, last = call(weights, x, h)
        return (output * made.into_output.astype(dtype)).sum() + (last * made.into_states["h"].astype(dtype)).sum()

    given = ({k: v.astype(dtype) for k, v in made.weights.items()}, made.x.astype(dtype), made.state["h"].astype(dtype))
    output, last = call(*given)
    weights, x, h = jax.grad(loss, argnums=(0, 1, 2))(*given)
    return {
        "output": np.asarray(output), "states": {"h": np.asarray(last)}, "input": np.asarray(x),
        "initial_state": {"h": np.asarray(h)}, "weights": {k: np.asarray(weights[k]) for k in made.weights},
    }


def zhou_in_numpy(made):
    """Output and final state of the paper's equations, in f64."""
    config, n = made.spec["config"], made.spec["config"]["units"]
    kernel, recurrent, bias = (made.weights[key].astype(made.dtype).astype("float64") for key in ("kernel", "recurrent_kernel", "bias"))
    x, h = (array.astype(made.dtype).astype("float64") for array in (made.x, made.state["h"]))
    outputs, timesteps = [], x.shape[1]
    for t in reversed(range(timesteps)) if config.get("go_backwards") else range(timesteps):
        f = 1 / (1 + np.exp(-(x[:, t] @ kernel[:, :n] + h @ recurrent[:, :n] + bias[:n])))
        g = np.tanh(x[:, t] @ kernel[:, n:] + (f * h) @ recurrent[:, n:] + bias[n:])
        real = np.array([[made.lengths is None or t < made.lengths[row]] for row in range(made.batch)])
        after = (1 - f) * h + f * g
        h = np.where(real, after, h)
        outputs.append(np.where(real, after, 0))
    return np.stack(outputs, 1) if config["return_sequences"] else h, h


def case(form, name, dtype, size, options, packed=False, with_state=True, sequences=True, scale=0.5):
    batch, timesteps, features, units = size
    own = {"equations": "zhou2016"} if form == "zhou" else {"reset_gate": form == "flax_reset"}
    config = {"units": units} | own | options | {"return_sequences": sequences}
    bias = (2, 2 * units) if form == "flax_reset" else (2 * units,)
    shapes = {"kernel": (features, 2 * units), "recurrent_kernel": (units, 2 * units), "bias": bias}
    spec = layer_spec("MGU", features, config, False, packed)
    made = Made(f"{form}-{name}", dtype, spec, batch, timesteps, shapes, {"h": units}, packed, with_state, scale)
    well_conditioned(made, mgu_step)
    exact = made.by_equations(mgu_step, "float64")
    if form == "zhou":
        output, last = zhou_in_numpy(made)
        agree(f"{made.name}: output", exact["output"], output, 1e-14)
        agree(f"{made.name}: h", exact["states"]["h"], last, 1e-14)
        return made.case(exact | {"output": output, "states": {"h": last}})
    result = by_flax(made)
    same_results(result, exact, made.name, 1e-12 if dtype == "float64" else 3e-6)
    return made.case(result)


def cases():
    for form in ["flax_reset", "flax_plain", "zhou"]:
        for i in range(4):
            options = {"go_backwards": True} if i % 2 else {}
            if i == 3 and form != "zhou":
                options |= {"activation": "softsign", "recurrent_activation": "hard_sigmoid"}
            packed, sequences = i in (1, 2), i != 2
            words = ["backwards" if i % 2 else "forward", "packed" if packed else "whole", "all" if sequences else "last"]
            dtype = ["float32", "float64"][i // 2 % 2]
            yield case(form, f"{i}-{'-'.join(words)}", dtype, SIZES[i % 3], options, packed, i != 3, sequences)
    for form in ["flax_reset", "zhou"]:
        yield case(form, "wide", "float32", WIDE, {}, scale=0.3)


def main():
    write("mgu", list(cases()), [flax, jax, torch])
