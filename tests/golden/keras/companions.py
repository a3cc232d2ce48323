"""Dense, TimeDistributed, Embedding and Masking, alone and in whole models, with the mask after each layer."""

from bidirectional import single, wrap
from oracle import build, call, generator, np, set_weights, settled, tf, values, weights, write
from stacked import cell, dense

DENSE_ACTIVATIONS = [
    None,
    "softmax",
    "relu",
    "tanh",
    "sigmoid",
    "log_softmax",
    "gelu",
    "sparsemax",
    {"name": "leaky_relu", "args": {"negative_slope": 0.1}},
]


def embedding(input_dim, output_dim, **options):
    return {
        "class": "Embedding",
        "input_size": input_dim,
        "config": {"input_dim": input_dim, "output_dim": output_dim, **options},
    }


def masking(features, value):
    return {"class": "Masking", "input_size": features, "config": {"mask_value": value}}


def distributed(layer):
    return {"class": "TimeDistributed", "input_size": layer["input_size"], "config": {}, "layer": layer}


def chain(*layers):
    return {"class": "Sequential", "input_size": layers[0]["input_size"], "layers": list(layers)}


def model(name, spec, dtype, batch, timesteps):
    """A model that makes its own mask: from ids (0 is padding) or from rows of the mask value."""
    first = spec["layers"][0]

    def run(dtype):
        rng = generator(name, attempt)
        layer = build(spec, dtype)
        layer.build((batch, timesteps, first["input_size"]))
        set_weights(layer, spec, rng)
        lengths = [timesteps - row for row in range(batch - 1)] + [0]
        padding = np.array(
            [[t >= n or (t + 3 * row) % 7 == 5 for t in range(timesteps)] for row, n in enumerate(lengths)]
        )
        if first["class"] == "Embedding":
            x = rng.integers(1, first["config"]["input_dim"], (batch, timesteps)).astype("int32")
            x[padding] = 0
        else:
            x = values(rng, (batch, timesteps, first["input_size"]), 1.0, dtype)
            x[padding] = first["config"]["mask_value"]
            # One feature alone that equals the mask value masks nothing.
            x[0, 0, 0] = first["config"]["mask_value"]
        return layer, x, call(layer, spec, x)

    for attempt in range(200):
        if settled(lambda dtype: run(dtype)[-1][0]):
            break
    else:
        raise AssertionError(f"{name} never settles")
    layer, x, (outputs, states) = run(dtype)
    assert layer.sequential_agrees(x, None, None, outputs[0]), name
    masks = [None if m is None else np.asarray(m) for m in layer.masks]
    return {
        "name": name,
        "dtype": dtype,
        "layer": spec,
        "weights": weights(layer, spec),
        "input": x,
        "masks": masks,
        "output": outputs[0],
    }


def plain(name, spec, dtype, shape):
    """A layer without time: a matrix or a sequence in, the same out."""
    rng = generator(name)
    layer = build(spec, dtype)
    layer.build(shape)
    set_weights(layer, spec, rng)
    x = values(rng, shape, 1.0, dtype)
    return {
        "name": name,
        "dtype": dtype,
        "layer": spec,
        "weights": weights(layer, spec),
        "input": x,
        "masks": None,
        "output": np.asarray(layer(tf.constant(x))),
    }


MODELS = {
    "classifier": chain(embedding(11, 4, mask_zero=True), single("lstm", 4, 6), dense(6, 5, activation="softmax")),
    "classifier_without_mask": chain(embedding(11, 4), single("gru_after", 4, 6), dense(6, 5, activation="softmax")),
    "tagger": chain(
        embedding(9, 4, mask_zero=True),
        wrap(single("gru_after", 4, 3, return_sequences=True), merge_mode="concat"),
        distributed(dense(6, 5, activation="softmax")),
    ),
    "two_directions_then_one": chain(
        embedding(9, 4, mask_zero=True),
        wrap(single("lstm", 4, 3, return_sequences=True), merge_mode="sum"),
        wrap(single("gru_before", 3, 5), merge_mode="ave"),
        dense(5, 2, activation="sigmoid"),
    ),
    "last_of_both": chain(embedding(9, 4, mask_zero=True), wrap(single("lstm", 4, 3), merge_mode="mul"), dense(3, 5)),
    "dense_keeps_the_mask": chain(
        embedding(9, 4, mask_zero=True),
        dense(4, 6, activation="tanh"),
        single("simple_rnn", 6, 5),
        dense(5, 3, activation="softmax"),
    ),
    "cells": chain(
        embedding(9, 4, mask_zero=True),
        {
            "class": "RNN",
            "input_size": 4,
            "config": {"return_sequences": True},
            "cells": [cell("lstm", 4, 3), cell("gru_after", 3, 6)],
        },
        single("gru_before", 6, 5, go_backwards=True),
    ),
    "masking": chain(masking(4, 0.0), single("lstm", 4, 6, return_sequences=True), distributed(dense(6, 5))),
    "masking_other_value": chain(
        masking(4, -1.5), single("gru_after", 4, 3, return_sequences=True, go_backwards=True), single("lstm", 3, 5)
    ),
    "masking_both": chain(
        masking(4, 0.25),
        wrap(single("simple_rnn", 4, 3, return_sequences=True), merge_mode="concat"),
        single("gru_before", 6, 5),
        dense(5, 2, activation="softmax"),
    ),
    "masking_alone": chain(masking(4, 0.25)),
    "embedding_alone": chain(embedding(9, 4, mask_zero=True)),
    "embedding_alone_without_mask": chain(embedding(9, 4)),
}


def cases():
    for dtype in ("float32", "float64"):
        for i, activation in enumerate(DENSE_ACTIVATIONS):
            label = activation["name"] if isinstance(activation, dict) else activation
            layer = dense(4, 5, activation=activation, use_bias=i % 2 == 0)
            yield plain(f"dense-{label}-{dtype}", layer, dtype, (3, 4) if i % 3 else (2, 3, 4))
            yield plain(f"time_distributed-{label}-{dtype}", distributed(layer), dtype, (2, 3, 4))
        for name, spec in MODELS.items():
            yield model(f"model-{name}-{dtype}", spec, dtype, 5, 7)


def main():
    write("companions", list(cases()))


if __name__ == "__main__":
    main()
