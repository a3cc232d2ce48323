"""What the generators share: numbers, a cell's equations run over time in PyTorch, whole cases, files.

Layers are specs in Keras's words, arrays are in this crate's layout: `tests/golden/README.md` says which.
"""

import platform
import zlib
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
torch.set_num_threads(1)
TYPES = {"float32": torch.float32, "float64": torch.float64}
ACTIVATIONS = {
    "linear": lambda x: x,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    # PyTorch's own has a slope of f32's 1/6 in f64, too.
    "hard_sigmoid": lambda x: (x / 6 + 0.5).clamp(0, 1),
    "elu": torch.nn.functional.elu,
    "softsign": torch.nn.functional.softsign,
    "softplus": torch.nn.functional.softplus,
}


# ---------------------------------------------------------------- files


def dump(value):
    """Compact JSON; an array as {"shape", "data"} with the shortest digits that give its bits."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ",".join(f'"{k}":{dump(v)}' for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(dump(v) for v in value) + "]"
    assert np.isfinite(value).all(), "all numbers are finite"
    data = ",".join(str(v) for v in value.ravel())
    return f'{{"shape":[{",".join(map(str, value.shape))}],"data":[{data}]}}'


def write(topic, cases, modules):
    """The file of a topic; `modules` are those whose versions matter."""
    versions = {m.__name__: m.__version__ for m in [*modules, np]} | {"python": platform.python_version()}
    names = [case["name"] for case in cases]
    assert len(set(names)) == len(names), "names are distinct"
    path = HERE / f"{topic}.json"
    lines = ",\n".join(dump(case) for case in cases)
    path.write_text(f'{{"versions":{dump(versions)},"cases":[\n{lines}\n]}}\n')
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size / 1024:.0f} KiB")


def named(pairs, dtype):
    return [{"name": name, "array": np.ascontiguousarray(array, dtype)} for name, array in pairs]


# ---------------------------------------------------------------- numbers


class Draw:
    """Numbers of one case, of which no two are equal up to their scale, and none is zero."""

    def __init__(self, name):
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        grid = np.concatenate([np.arange(-5000, 0), np.arange(1, 5001)])
        self.left = rng.permutation(grid)

    def __call__(self, shape, scale):
        count = int(np.prod(shape))
        taken, self.left = self.left[:count], self.left[count:]
        assert taken.size == count, "enough numbers"
        return (taken.reshape(shape) * (scale / 5e3)).round(5)


def row_lengths(batch, timesteps):
    """The first row is whole, each further one is two steps shorter, none is empty."""
    return [max(1, timesteps - 2 * row) for row in range(batch)]


def mask_of(lengths, timesteps):
    return None if lengths is None else np.array([[int(t < n) for t in range(timesteps)] for n in lengths])


# ---------------------------------------------------------------- equations over time


def scan(step, x, state, lengths, backwards):
    """All outputs in the order of computation, as Keras gives them, zeros where a row has ended; the final state.

    `step(x, state)` is the new state of all rows of which the first part is the output. A row that has ended keeps its
    state; going backwards it begins at its own last step.
    """
    timesteps = x.shape[1]
    outputs = []
    for t in reversed(range(timesteps)) if backwards else range(timesteps):
        after = step(x[:, t], state)
        if lengths is None:
            state, output = after, after[0]
        else:
            real = torch.tensor([[t < n] for n in lengths])
            output = torch.where(real, after[0], torch.zeros_like(after[0]))
            state = tuple(torch.where(real, new, old) for new, old in zip(after, state, strict=True))
        outputs.append(output)
    return torch.stack(outputs, 1), state


def lstm_step(weights, config):
    """One step of an LSTM with all options that PyTorch or ONNX have, blocks in Keras's order i, f, c, o."""
    gate, act = ACTIVATIONS[config.get("recurrent_activation", "sigmoid")], ACTIVATIONS[config.get("activation", "tanh")]
    coupled, clip = config.get("coupled_input_forget", False), config.get("clip")
    peephole = weights.get("peephole_kernel")
    n = config["units"]
    # The blocks of i, f, c, o, and of the peepholes of i, f, o; without f if it is coupled to i.
    at = {"i": 0, "c": 1, "o": 2} if coupled else {"i": 0, "f": 1, "c": 2, "o": 3}
    peeps = {"i": 0, "o": 1} if coupled else {"i": 0, "f": 1, "o": 2}
    near_clip = []

    def step(x, state):
        h, c = state
        z = x @ weights["kernel"] + h @ weights["recurrent_kernel"]

        def before(block, cell):
            value = z[:, at[block] * n : (at[block] + 1) * n]
            if peephole is not None and cell is not None:
                value = value + peephole[peeps[block] * n : (peeps[block] + 1) * n] * cell
            if "bias" in weights:
                value = value + weights["bias"][at[block] * n : (at[block] + 1) * n]
            if clip is None:
                return value
            near_clip.append((value.detach().abs() - clip).abs().min().item())
            return value.clamp(-clip, clip)

        i = gate(before("i", c))
        f = 1 - i if coupled else gate(before("f", c))
        c = f * c + i * act(before("c", None))
        h = gate(before("o", c)) * act(c)
        if "projection_kernel" in weights:
            h = h @ weights["projection_kernel"]
        return h, c

    step.near_clip = near_clip
    return step


def run_spec(spec, weights, x, state, lengths, make_step):
    """Output and final state of a spec of one layer or of a Bidirectional that concatenates, all by path."""
    if spec["class"] != "Bidirectional":
        config = spec["config"]
        output, final = scan(make_step(weights, config), x, tuple(state.values()), lengths, config.get("go_backwards", False))
        return output if config["return_sequences"] else final[0], dict(zip(state, final, strict=True))
    outputs, finals = [], {}
    for way in ["forward/", "backward/"]:
        own, parts = ({k[len(way) :]: v for k, v in d.items() if k.startswith(way)} for d in (weights, state))
        one = spec["layer"] | {"config": spec["layer"]["config"] | {"go_backwards": way == "backward/"}}
        output, final = run_spec(one, own, x, parts, lengths, make_step)
        # A sequence's backward outputs are turned around, so that they stand beside the forward ones of their step.
        outputs.append(output.flip(1) if way == "backward/" and output.dim() == 3 else output)
        finals |= {way + part: value for part, value in final.items()}
    return torch.cat(outputs, -1), finals


# ---------------------------------------------------------------- cases


def paths(spec):
    return ["forward/", "backward/"] if spec["class"] == "Bidirectional" else [""]


def one_config(spec):
    return (spec["layer"] if spec["class"] == "Bidirectional" else spec)["config"]


def layer_spec(kind, features, config, both, packed):
    """A layer that returns its state; with `packed` sequences are zero behind a row's end."""
    config = config | {"return_state": True}
    if packed and not both and config["return_sequences"]:
        config["zero_output_for_mask"] = True
    one = {"class": kind, "input_size": features, "config": config}
    if not both:
        return one
    return {"class": "Bidirectional", "input_size": features, "config": {"merge_mode": "concat"}, "layer": one}


def agree(what, a, b, tolerance):
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    assert a.shape == b.shape, f"{what}: {a.shape} and {b.shape}"
    apart = np.abs(a - b) / np.maximum(1, np.abs(b))
    assert apart.max() <= tolerance, f"{what}: {apart.max():.1e} apart"


class Made:
    """Spec, weights, inputs, states and upstream gradients of a case, before anything ran."""

    def __init__(self, name, dtype, spec, batch, timesteps, shapes, state_sizes, packed, with_state, scale=0.5, near_one=()):
        draw = Draw(name)
        self.name, self.dtype, self.spec, self.batch = name, dtype, spec, batch
        self.weights = {}
        for path in paths(spec):
            for key, shape in shapes.items():
                one = 1.0 if key in near_one else 0.0
                self.weights[path + key] = (draw(shape, scale) + one).round(5)
        features = spec["input_size"]
        self.x = draw((batch, timesteps, features), 1.0)
        self.lengths = row_lengths(batch, timesteps) if packed else None
        parts = {path + part: (batch, size) for path in paths(spec) for part, size in state_sizes.items()}
        self.with_state = with_state
        self.state = {part: draw(shape, 0.8) if with_state else np.zeros(shape) for part, shape in parts.items()}
        sequences = one_config(spec)["return_sequences"]
        width = state_sizes["h"] * len(paths(spec))
        self.into_output = draw((batch, timesteps, width) if sequences else (batch, width), 1.0).round(2)
        self.into_states = {part: draw(shape, 1.0).round(2) for part, shape in parts.items()}

    def tensors(self, dtype, grad=True):
        def turn(array):
            return torch.tensor(array, dtype=TYPES["float32"]).to(TYPES[dtype]) if self.dtype == "float32" else torch.tensor(array)

        def leaf(array):
            return turn(array).to(TYPES[dtype]).requires_grad_(grad)

        return {k: leaf(v) for k, v in self.weights.items()}, leaf(self.x), {k: leaf(v) for k, v in self.state.items()}

    def loss(self, output, states):
        """What is differentiated: each result times an array of its own, added up."""

        def times(result, upstream):
            return (result * torch.tensor(upstream, dtype=TYPES[self.dtype]).to(result.dtype)).sum()

        return times(output, self.into_output) + sum(times(states[k], v) for k, v in self.into_states.items())

    def by_equations(self, make_step, dtype=None):
        """Results and gradients from equations in PyTorch, in the case's type or a wider one."""
        weights, x, state = self.tensors(dtype or self.dtype)
        output, states = run_spec(self.spec, weights, x, state, self.lengths, make_step)
        self.loss(output, states).backward()
        return {
            "output": output.detach().numpy(),
            "states": {k: v.detach().numpy() for k, v in states.items()},
            "input": x.grad.numpy(),
            "initial_state": {k: v.grad.numpy() for k, v in state.items()},
            "weights": {k: v.grad.numpy() for k, v in weights.items()},
        }

    def case(self, result):
        """The line of the file, in the case's type."""
        dtype = self.dtype
        timesteps = self.x.shape[1]

        def listed(arrays):
            return named(arrays.items(), dtype)

        return {
            "name": self.name,
            "dtype": dtype,
            "layer": self.spec,
            "weights": listed(self.weights),
            "input": self.x.astype(dtype),
            "mask": mask_of(self.lengths, timesteps),
            "lengths": self.lengths,
            "initial_state": listed(self.state) if self.with_state else None,
            "output": result["output"].astype(dtype),
            "states": listed(result["states"]),
            "upstream": {"output": self.into_output.astype(dtype), "states": listed(self.into_states)},
            "gradients": {
                "input": result["input"].astype(dtype),
                "initial_state": listed(result["initial_state"]) if self.with_state else None,
                "weights": listed(result["weights"]),
            },
        }


def flat(result):
    """All arrays of a result by name."""
    yield "output", result["output"]
    yield "input's gradient", result["input"]
    for group in ["states", "initial_state", "weights"]:
        yield from ((f"{group} {k}", v) for k, v in result[group].items())


def same_results(a, b, name, tolerance):
    for (what, left), (_, right) in zip(flat(a), flat(b), strict=True):
        agree(f"{name}: {what}", left, right, tolerance)


def well_conditioned(made, make_step):
    """That f32 and f64 agree within a third of the tests' tolerances, so a case lies off kinks and amplifies little."""
    narrow, wide = (made.by_equations(make_step, dtype) for dtype in ("float32", "float64"))
    for (what, a), (_, b) in zip(flat(narrow), flat(wide), strict=True):
        is_result = what.startswith(("output", "states"))
        bound = 3e-6 * np.maximum(1, np.abs(b)) if is_result else 3e-6 + 3e-5 * np.abs(b)
        assert (np.abs(a - b) <= bound).all(), f"{made.name}: {what} {np.abs(a - b).max():.1e} apart"


def by_module(made, module, maps):
    """Results and gradients of one of PyTorch's own layers, which also agree with the equations.

    `maps` says for each weight of ours the module's key, and how an array or its gradient gets into that key's layout and
    out of it. PyTorch adds two biases in each gate; the first is ours, the second zero.
    """
    weights, x, state = made.tensors(made.dtype, grad=False)
    suffix = {"": "_l0", "forward/": "_l0", "backward/": "_l0_reverse"}
    for key, parameter in module.named_parameters():
        if "bias_hh" in key:
            torch.nn.init.zeros_(parameter)
    for path in paths(made.spec):
        for key, (theirs, into, _) in maps.items():
            if path + key in weights:
                getattr(module, theirs + suffix[path]).data = into(weights[path + key]).contiguous()
    config, timesteps = one_config(made.spec), x.shape[1]
    x.requires_grad_()
    parts = [part for part in ("h", "c") if paths(made.spec)[0] + part in state]
    initial = [torch.stack([state[path + part] for path in paths(made.spec)]).requires_grad_() for part in parts]
    given = x.flip(1) if config.get("go_backwards") else x
    if made.lengths is not None:
        assert not config.get("go_backwards"), "PyTorch can't go backwards alone over rows of several lengths"
        given = torch.nn.utils.rnn.pack_padded_sequence(given, made.lengths, batch_first=True)
    output, final = module(given, tuple(initial) if len(parts) == 2 else initial[0])
    if made.lengths is not None:
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True, total_length=timesteps)
    final = final if len(parts) == 2 else (final,)
    if not config["return_sequences"]:
        output = torch.cat(list(final[0]), -1)

    def by_path(arrays):
        return {path + part: of[i] for i, path in enumerate(paths(made.spec)) for part, of in zip(parts, arrays, strict=True)}

    made.loss(output, by_path(final)).backward()
    gradients = {}
    for name in made.weights:
        path, _, key = name.rpartition("/")
        path = path and path + "/"
        theirs, _, out = maps[key]
        gradients[name] = out(getattr(module, theirs + suffix[path]).grad).numpy()
    return {
        "output": output.detach().numpy(),
        "states": {k: v.detach().numpy() for k, v in by_path(final).items()},
        "input": x.grad.numpy(),
        "initial_state": {k: v.numpy() for k, v in by_path([i.grad for i in initial]).items()},
        "weights": gradients,
    }


def transposed(tensor):
    return tensor.T


def unchanged(tensor):
    return tensor
