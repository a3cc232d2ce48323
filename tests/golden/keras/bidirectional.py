"""Bidirectional: merge modes, flags, masks, initial states, backward layers of their own; and what Keras refuses."""

from layers import KINDS
from oracle import build, call, np, pairwise, record, write

SIZES = [(2, 5, 4, 3), (3, 4, 2, 5)]
FLAGS = [False, True]
MERGES = ["concat", "sum", "mul", "ave", None]
# What the backward layer is: the forward layer's copy, one of the same class but other options, one of another class and width.
BACKWARD = ["copy", "own", "other"]


def single(kind, features, units, **options):
    layer_class, fixed = KINDS[kind]
    return {"class": layer_class, "input_size": features, "config": {"units": units, **options, **fixed}}


def wrap(layer, backward=None, **config):
    spec = {"class": "Bidirectional", "input_size": layer["input_size"], "config": config, "layer": layer}
    return spec if backward is None else {**spec, "backward_layer": backward}


def states(kind):
    return 2 if kind == "lstm" else 1


def other(kind):
    return {"simple_rnn": "gru_after", "lstm": "simple_rnn", "gru_after": "gru_before", "gru_before": "simple_rnn"}[
        kind
    ]


def valid(kind):
    def check(c):
        if c["backward"] == "copy" and c["forward_goes_backwards"]:
            return False  # refused, see below
        if c["backward"] == "other":
            # Another width can't be added up; Keras halves the list of states, so both must have as many.
            return c["merge_mode"] in ("concat", None) and (
                not c["initial_state"] or states(kind) == states(other(kind))
            )
        return True

    return check


def cases():
    for kind in KINDS:
        factors = {
            "merge_mode": MERGES,
            "backward": BACKWARD,
            "pattern": [None, "trailing", "inner", "rows", "leading"],
            "return_sequences": FLAGS,
            "return_state": FLAGS,
            "initial_state": FLAGS,
            "forward_goes_backwards": FLAGS,
            "nan": FLAGS,
            "dtype": ["float32", "float64"],
            "size": SIZES,
        }
        for i, c in enumerate(pairwise(factors, valid(kind), seed=2)):
            batch, timesteps, features, units = c["size"]
            flags = {k: c[k] for k in ("return_sequences", "return_state")}
            turned = c["forward_goes_backwards"]
            layer = single(kind, features, units, go_backwards=turned, **flags)
            backward = None
            if c["backward"] == "own":
                backward = single(kind, features, units, activation="sigmoid", go_backwards=not turned, **flags)
            elif c["backward"] == "other":
                backward = single(other(kind), features, units + 1, go_backwards=not turned, **flags)
            spec = wrap(layer, backward, merge_mode=c["merge_mode"])
            name = f"{kind}-{i:02}-{c['merge_mode']}-{c['backward']}"
            nan = c["nan"] and c["pattern"] is not None
            yield record(name, spec, c["dtype"], batch, timesteps, c["initial_state"], c["pattern"], nan)
    yield from refused()


def refused():
    """What Keras refuses, when the layer is made or called."""

    def lstm(**options):
        return single("lstm", 3, 4, **options)

    bad = {
        "go_backwards_without_backward_layer": wrap(lstm(go_backwards=True), merge_mode="concat"),
        "same_direction": wrap(lstm(), lstm(), merge_mode="concat"),
        "same_direction_backwards": wrap(lstm(go_backwards=True), lstm(go_backwards=True), merge_mode="concat"),
        "return_sequences_differ": wrap(lstm(return_sequences=True), lstm(go_backwards=True), merge_mode="concat"),
        "return_state_differ": wrap(lstm(return_state=True), lstm(go_backwards=True), merge_mode="concat"),
        "sum_of_two_widths": wrap(lstm(), single("lstm", 3, 5, go_backwards=True), merge_mode="sum"),
    }
    for name, spec in bad.items():
        try:
            call(build(spec), spec, np.ones((2, 5, 3), "float32"))
        except Exception:  # ValueError by Keras, or TensorFlow's own for shapes
            yield {"name": f"refused-{name}", "dtype": "float32", "layer": spec, "refused": True}
        else:
            raise AssertionError(f"{name} is not refused")


def main():
    write("bidirectional", list(cases()))


if __name__ == "__main__":
    main()
