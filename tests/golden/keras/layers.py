"""SimpleRNN, LSTM and both GRUs: their options combined pairwise, then each activation once."""

from oracle import pairwise, record, write

SIZES = [(2, 3, 4, 5), (3, 5, 2, 4), (5, 4, 3, 2), (4, 6, 5, 3), (2, 7, 3, 6)]  # batch, timesteps, features, units
ACTIVATIONS = [
    "tanh",
    "linear",
    "sigmoid",
    "relu",
    "softsign",
    "gelu",
    "hard_tanh",
    {"name": "leaky_relu", "args": {"negative_slope": 0.3}},
]
RECURRENT_ACTIVATIONS = ["sigmoid", "hard_sigmoid", "tanh", "sparse_sigmoid", None, "softplus"]
EVERY = [
    "relu",
    "leaky_relu",
    "relu6",
    "elu",
    "celu",
    "selu",
    "softplus",
    "softsign",
    "soft_shrink",
    "hard_shrink",
    "tanh_shrink",
    "hard_tanh",
    "sigmoid",
    "hard_sigmoid",
    "sparse_sigmoid",
    "log_sigmoid",
    "silu",
    "hard_silu",
    "gelu",
    "tanh",
    "squareplus",
    "sparse_plus",
    "mish",
    "exponential",
    "linear",
    "softmax",
    "log_softmax",
    "sparsemax",
    {"name": "relu", "args": {"negative_slope": 0.1, "max_value": 0.6, "threshold": 0.05}},
    {"name": "elu", "args": {"alpha": 0.7}},
    {"name": "celu", "args": {"alpha": 0.7}},
    {"name": "soft_shrink", "args": {"threshold": 0.1}},
    {"name": "hard_shrink", "args": {"threshold": 0.1}},
    {"name": "gelu", "args": {"approximate": True}},
    {"name": "squareplus", "args": {"b": 2.0}},
    {"name": "threshold", "args": {"threshold": 0.1, "default_value": -0.2}},
]
KINDS = {
    "simple_rnn": ("SimpleRNN", {}),
    "lstm": ("LSTM", {}),
    "gru_after": ("GRU", {"reset_after": True}),
    "gru_before": ("GRU", {"reset_after": False}),
}


def case(name, kind, options):
    options = dict(options)
    batch, timesteps, features, units = options.pop("size")
    dtype, with_state = options.pop("dtype"), options.pop("initial_state")
    layer_class, fixed = KINDS[kind]
    spec = {"class": layer_class, "input_size": features, "config": {"units": units, **options, **fixed}}
    return record(name, spec, dtype, batch, timesteps, with_state, watched=True)


def cases():
    flags = [False, True]
    for kind, (layer_class, _) in KINDS.items():
        factors = {"dtype": ["float32", "float64"], "size": SIZES, "activation": ACTIVATIONS}
        if layer_class != "SimpleRNN":
            factors["recurrent_activation"] = RECURRENT_ACTIVATIONS
        factors["use_bias"] = [True, False]
        if layer_class == "LSTM":
            factors["unit_forget_bias"] = [True, False]
        factors |= {"return_sequences": flags, "return_state": flags, "go_backwards": flags, "initial_state": flags}
        for i, options in enumerate(pairwise(factors)):
            yield case(f"{kind}-{i:02}", kind, options)
        plain = {
            "use_bias": True,
            "return_sequences": True,
            "return_state": True,
            "go_backwards": False,
            "initial_state": True,
        }
        for dtype in ("float32", "float64"):  # wider than a vector register, and not a multiple of one
            yield case(f"{kind}-wide-{dtype}", kind, {"dtype": dtype, "size": (3, 4, 9, 17), **plain})
    plain |= {"size": (2, 4, 5, 3)}
    for i, function in enumerate(EVERY):
        label = function if isinstance(function, str) else function["name"] + "_args"
        for kind, dtype in zip([["simple_rnn", "gru_before"], ["lstm", "gru_after"]][i % 2], ["float64", "float32"]):
            yield case(f"{kind}-{label}", kind, {"dtype": dtype, "activation": function, **plain})


def main():
    write("layers", list(cases()))


if __name__ == "__main__":
    main()
