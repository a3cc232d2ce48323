"""LSTMs with peepholes, coupled gates and a clip: results by ONNX Runtime, gradients by the same equations in PyTorch.

ONNX Runtime computes in f32 only and has no gradients on a CPU. So the equations of `common.lstm_step` must first give
ONNX Runtime's results within 1e-6; then a case in f32 holds ONNX Runtime's results, all else is the equations' in f64.
"""

import numpy as np
import onnx
import onnxruntime
import torch
from common import Made, agree, layer_spec, lstm_step, one_config, paths, well_conditioned, write
from onnx import TensorProto, helper

SIZES = [(2, 5, 4, 3), (3, 5, 2, 4), (4, 6, 3, 2)]
WIDE = (2, 3, 4, 17)
# ONNX's name, alpha and beta; ONNX's defaults aren't Keras's.
ONNX = {
    "linear": ("Affine", 1.0, 0.0),
    "tanh": ("Tanh", None, None),
    "sigmoid": ("Sigmoid", None, None),
    "relu": ("Relu", None, None),
    "hard_sigmoid": ("HardSigmoid", 1 / 6, 0.5),
    "elu": ("Elu", 1.0, None),
    "softsign": ("Softsign", None, None),
    "softplus": ("Softplus", None, None),
}


def by_onnx(array, units, order, coupled, unread):
    """ONNX's order of blocks from ours; a coupled gate's block is in ONNX's arrays, though nothing reads it."""
    ours = [block for block in "ifco" if block in order and not (coupled and block == "f")]
    blocks = dict(zip(ours, np.split(array, len(ours), axis=-1), strict=True))
    blocks.setdefault("f", np.full_like(blocks["i"], unread))
    return np.concatenate([blocks[block] for block in order], axis=-1)


def onnx_weights(made, unread):
    """W, R, B and P of all directions."""
    config = one_config(made.spec)
    units, coupled = config["units"], config.get("coupled_input_forget", False)
    w, r, b, p = [], [], [], []
    for path in paths(made.spec):
        own = {key: by_onnx(made.weights[path + key], units, order, coupled, unread) for key, order in
               [("kernel", "iofc"), ("recurrent_kernel", "iofc"), ("bias", "iofc"), ("peephole_kernel", "iof")]
               if path + key in made.weights}
        w.append(own["kernel"].T)
        r.append(own["recurrent_kernel"].T)
        if "bias" in own:
            b.append(np.concatenate([own["bias"], np.zeros(4 * units)]))
        if "peephole_kernel" in own:
            p.append(own["peephole_kernel"])
    return {k: np.array(v, "float32") for k, v in {"W": w, "R": r, "B": b, "P": p}.items() if v}


def run_onnx(made, unread=0.5):
    """Output and final states by ONNX Runtime, in Keras's order of time."""
    spec, config = made.spec, one_config(made.spec)
    both, backwards = spec["class"] == "Bidirectional", config.get("go_backwards", False)
    count = 2 if both else 1
    arrays = {"X": made.x.transpose(1, 0, 2).astype("float32")} | onnx_weights(made, unread)
    if made.lengths is not None:
        arrays["sequence_lens"] = np.array(made.lengths, "int32")
    for part in "hc":
        arrays[f"initial_{part}"] = np.array([made.state[path + part] for path in paths(spec)], "float32")
    inputs = [name if name in arrays else "" for name in ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]]
    names = [config.get("recurrent_activation", "sigmoid")] + [config.get("activation", "tanh")] * 2
    functions = [ONNX[name] for name in names] * count
    attributes = {
        "hidden_size": config["units"],
        "direction": "bidirectional" if both else "reverse" if backwards else "forward",
        "activations": [name for name, _, _ in functions],
        "activation_alpha": [alpha for _, alpha, _ in functions if alpha is not None] or None,
        "activation_beta": [beta for _, _, beta in functions if beta is not None] or None,
        "clip": config.get("clip"),
        "input_forget": int(config.get("coupled_input_forget", False)),
    }
    node = helper.make_node("LSTM", inputs, ["Y", "Y_h", "Y_c"], **{k: v for k, v in attributes.items() if v is not None})
    kinds = {name: helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in arrays.items()}
    graph = helper.make_graph(
        [node],
        "lstm",
        [helper.make_tensor_value_info(name, kinds[name], array.shape) for name, array in arrays.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ["Y", "Y_h", "Y_c"]],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    y, y_h, y_c = session.run(None, arrays)
    # (timesteps, directions, batch, units) to (batch, timesteps, directions * units).
    output = y.transpose(2, 0, 1, 3).reshape(made.batch, y.shape[0], -1)
    if backwards:
        output = output[:, ::-1]
    if not config["return_sequences"]:
        output = np.concatenate(list(y_h), axis=-1)
    states = {path + part: of[i] for i, path in enumerate(paths(spec)) for part, of in [("h", y_h), ("c", y_c)]}
    return output, states


def case(name, dtype, size, options, both=False, packed=False, with_state=True, sequences=True, use_bias=True, scale=0.5):
    batch, timesteps, features, units = size
    config = {"units": units} | options | {"return_sequences": sequences}
    if not use_bias:
        config["use_bias"] = False
    gates = 3 if options.get("coupled_input_forget") else 4
    shapes = {"kernel": (features, gates * units), "recurrent_kernel": (units, gates * units)}
    if use_bias:
        shapes["bias"] = (gates * units,)
    if options.get("peephole"):
        shapes["peephole_kernel"] = ((gates - 1) * units,)
    spec = layer_spec("LSTM", features, config, both, packed)
    made = Made(name, dtype, spec, batch, timesteps, shapes, {"h": units, "c": units}, packed, with_state, scale)

    steps = []

    def make_step(weights, config):
        steps.append(lstm_step(weights, config))
        return steps[-1]

    well_conditioned(made, make_step)
    result = made.by_equations(make_step, "float64")
    output, states = run_onnx(made)
    agree(f"{name}: output", output, result["output"], 1e-6)
    for part, value in states.items():
        agree(f"{name}: state {part}", value, result["states"][part], 1e-6)
    if options.get("coupled_input_forget"):
        again, _ = run_onnx(made, unread=-3.0)
        assert np.array_equal(again, output), "ONNX Runtime reads no weight of a coupled forget gate"
    if "clip" in options:
        distances = [d for step in steps for d in step.near_clip]
        assert min(distances) > 1e-5, f"{name}: {min(distances)} from the clip"
    if dtype == "float32":
        result |= {"output": output, "states": states}
    return made.case(result)


def cases():
    both_ways = ["forward", "backwards", "both"]
    combinations = [(p, c, k) for p in (True, False) for c in (True, False) for k in (0.45, None) if p or c or k]
    activations = [{}, {}, {"activation": "softsign", "recurrent_activation": "hard_sigmoid"}, {}, {"activation": "elu"}]
    count = 0
    for peephole, coupled, clip in combinations:
        options = {"peephole": True} if peephole else {}
        options |= {"coupled_input_forget": True} if coupled else {}
        options |= {"clip": clip} if clip else {}
        words = "_".join(["peephole"] * peephole + ["coupled"] * coupled + ["clip"] * bool(clip))
        for variant in range(3):
            way = both_ways[(count + count // 3) % 3]
            more = activations[count % len(activations)]
            if way == "backwards":
                more = more | {"go_backwards": True}
            packed, sequences = variant in (1, 2), variant != 2
            dtype = "float64" if count % 3 == count // 9 % 3 else "float32"
            name = f"{words}-{variant}-{way}-{'packed' if packed else 'whole'}-{'all' if sequences else 'last'}"
            yield case(
                name, dtype, SIZES[(count + count // 9) % 3], options | more, way == "both", packed,
                with_state=count % 4 != 3, sequences=sequences, use_bias=count % 6 != 5,
            )
            count += 1
    every = {"peephole": True, "coupled_input_forget": True, "clip": 0.6}
    yield case("peephole-wide", "float32", WIDE, {"peephole": True}, scale=0.3)
    yield case("peephole_coupled_clip-wide", "float32", WIDE, every, scale=0.3)
    for gate, act in [("sigmoid", "relu"), ("softplus", "tanh"), ("tanh", "linear"), ("elu", "sigmoid")]:
        options = {"peephole": True, "activation": act, "recurrent_activation": gate, "clip": 0.7}
        yield case(f"peephole_clip-{gate}-{act}", "float32", SIZES[2], options, packed=True, scale=0.4)


def main():
    write("lstm_options", list(cases()), [onnxruntime, onnx, torch])
