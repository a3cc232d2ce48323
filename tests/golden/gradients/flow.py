"""One differentiable call of a layer that a spec describes, and a whole case: inputs, upstream gradients, gradients.

The loss of a case is the sum of each result times an array of its own, the *upstream*: what flows into that result.
"""

from pathlib import Path

from oracle import (
    Chain,
    build,
    entry,
    generator,
    keras,
    lengths,
    make_mask,
    named_states,
    nest,
    np,
    random_state,
    set_weights,
    state_names,
    tf,
    values,
    variables,
    weights,
)
from oracle import write as write_into

HERE = Path(__file__).parent


def write(topic, cases):
    write_into(topic, cases, HERE)


def flow(layer, spec, x, mask=None, states=None, training=None):
    """(outputs, states) as tensors, so that a tape sees them; two outputs for merge_mode None."""
    if isinstance(layer, Chain):
        return flow_chain(layer, spec, x, mask, states, training)
    options = {"mask": mask} if mask is not None else {}
    if training is not None:
        options["training"] = training
    if states is not None:
        options["initial_state"] = nest(spec, states)
    result = keras.tree.flatten(layer(x, **options))
    outputs = 2 if spec["class"] == "Bidirectional" and spec["config"].get("merge_mode", "concat") is None else 1
    return result[:outputs], result[outputs:]


def flow_chain(chain, spec, x, mask, states, training):
    """Layers one after another, masks handed on by hand."""
    final, given = [], None if states is None else iter(states)
    for layer, child in zip(chain.layers, spec["layers"], strict=True):
        if state_names(child):
            own = given and [next(given) for _ in state_names(child)]
            (x,), own = flow(layer, child, x, mask, own, training)
            mask = mask if layer.return_sequences else None
            final += own
        else:
            mask, x = layer.compute_mask(x, mask), layer(x)
    return [x], final


def near(a, b):
    """A third of the f32 tolerance of a gradient."""
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    return bool(np.all(np.abs(a - b) <= 3e-5 * np.abs(b) + 3e-6))


def record(
    name,
    spec,
    dtype,
    batch,
    timesteps,
    with_state=False,
    pattern=None,
    into=("output", "states"),
    training=None,
    ids=None,
    prepare=None,
):
    """A case. Numbers are drawn anew until gradients in f32 and f64 agree, kinks of activations well off.

    `into` are the results that the loss reads: "output", "last" (of a sequence too) and "states". With `ids` the input
    is integers below it. `prepare(x)` changes the input in place.
    """
    features = spec["input_size"]

    def run(dtype, watch=None):
        rng = generator(name, attempt)
        layer = build(spec, dtype, watch)
        layer.build((batch, timesteps, features))
        set_weights(layer, spec, rng)
        if ids:
            x = rng.integers(1, ids, (batch, timesteps)).astype("int32")
        else:
            x = values(rng, (batch, timesteps, features), 1.0, dtype)
        if prepare:
            prepare(x)
        state = random_state(spec, batch, rng, dtype) if with_state else None
        mask = pattern and make_mask(pattern, batch, timesteps, rng)
        inputs = tf.constant(x)
        given = [tf.constant(s) for s in state or []]
        with tf.GradientTape(persistent=True) as tape:
            for tensor in [inputs, *given][1 if ids else 0 :]:
                tape.watch(tensor)
            mask_tensor = None if mask is None else tf.constant(mask)
            outputs, states = flow(layer, spec, inputs, mask_tensor, given or None, training)
            named = [("output", outputs[0])] if "output" in into else []
            if len(outputs) == 2:
                named.append(("output_backward", outputs[1]))
            if "last" in into:
                named.append(("last", outputs[0][:, -1] if outputs[0].shape.rank == 3 else outputs[0]))
            upstream = {key: values(rng, tensor.shape, 1.0, dtype) for key, tensor in named}
            loss = sum(tf.reduce_sum(tensor * upstream[key]) for key, tensor in named)
            into_states = [values(rng, s.shape, 1.0, dtype) for s in states] if "states" in into else []
            loss += sum(tf.reduce_sum(s * d) for s, d in zip(states, into_states))

        def gradient(tensor):
            found = tape.gradient(loss, tensor)
            return np.zeros(tensor.shape, dtype) if found is None else tf.convert_to_tensor(found).numpy()

        made = {"input": None if ids else gradient(inputs)}
        made["initial_state"] = [gradient(s) for s in given]
        made["weights"] = [(key, gradient(v.value)) for key, v in variables(layer, spec)]
        upstream["states"] = named_states(spec, into_states or None)
        return layer, x, mask, state, upstream, made

    def arrays(made):
        return [a for a in [made["input"], *made["initial_state"], *(g for _, g in made["weights"])] if a is not None]

    for attempt in range(200):
        watch = [1.0]
        double = arrays(run("float64", watch)[-1])
        if min(watch) < 1e-4 or not all(np.all(np.isfinite(a) & (np.abs(a) < 1000)) for a in double):
            continue
        # Dropout draws other masks in f64, so there is nothing to compare.
        if training or all(near(a, b) for a, b in zip(arrays(run("float32")[-1]), double, strict=True)):
            break
    else:
        raise AssertionError(f"{name} never settles")
    layer, x, mask, state, upstream, made = run(dtype)
    case = {"name": name, "dtype": dtype, "layer": spec, "weights": weights(layer, spec), "input": x}
    if pattern:
        case |= {"mask": mask, "lengths": lengths(mask)}
    if training:
        case["training"] = True
    case["initial_state"] = named_states(spec, state)
    case["upstream"] = upstream
    case["gradients"] = {
        "input": made["input"],
        "initial_state": named_states(spec, made["initial_state"] or None),
        "weights": [entry(key, array) for key, array in made["weights"]],
    }
    return case
