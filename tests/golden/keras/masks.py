"""Masks: every kind of layer with every pattern of mask and every option that meets it, pairwise for each kind."""

from layers import KINDS, SIZES
from oracle import pairwise, record, write

PATTERNS = ["leading", "inner", "trailing", "rows", "all", "mixed"]
FLAGS = [False, True]


def cases():
    for kind, (layer_class, fixed) in KINDS.items():
        factors = {
            "pattern": PATTERNS,
            "size": SIZES,
            "dtype": ["float32", "float64"],
            "go_backwards": FLAGS,
            "zero_output_for_mask": FLAGS,
            "return_sequences": FLAGS,
            "return_state": FLAGS,
            "initial_state": FLAGS,
            "nan": FLAGS,
        }
        for i, c in enumerate(pairwise(factors, seed=1)):
            batch, timesteps, features, units = c["size"]
            flags = ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask")
            config = {"units": units, **{k: c[k] for k in flags}, **fixed}
            spec = {"class": layer_class, "input_size": features, "config": config}
            name = f"{kind}-{i:02}-{c['pattern']}"
            yield record(name, spec, c["dtype"], batch, timesteps, c["initial_state"], c["pattern"], c["nan"])


def main():
    write("masks", list(cases()))


if __name__ == "__main__":
    main()
