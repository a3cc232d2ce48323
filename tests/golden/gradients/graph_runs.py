"""Whole training runs of the graphs in graph_models/: the loss before each of six updates, and the weights after the last.

The loss is the sum of the outputs' mean squared errors. The models run in inference mode, so moving statistics stay.
"""

from flow import write
from graph_models import CASES, MODELS, Rng, call, cast, double, trained
from oracle import entry, keras, np, tf

STEPS = 6
RUNS = {
    "translator": ("Adam", {"learning_rate": 0.03}),
    "shared_everything": ("Adam", {"learning_rate": 0.02, "global_clipnorm": 0.5}),
    # Not by Adam: where a shift is normalized away the gradient is rounding alone, which Adam would make large.
    "normalizations": ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    "sentences": ("Adam", {"learning_rate": 0.04}),
}


def run(name, dtype):
    optimizer_class, config = RUNS[name]
    keras.utils.clear_session()
    rng = Rng(f"run of {name}", 0)
    model = keras.models.load_model(MODELS / f"{name}.keras", compile=False)
    if dtype == "float64":
        model = double(model)
    made = getattr(keras.optimizers, optimizer_class)(**config)
    loss_of = keras.losses.MeanSquaredError(dtype=dtype)
    named = trained(model)
    steps = []
    for _ in range(STEPS):
        # A batch of its own for each update.
        _, inputs = CASES[name](rng)
        with tf.GradientTape() as tape:
            outputs = call(model, [tf.constant(x) for x in cast(inputs, model)])
            targets = [rng.floats(*output.shape, scale=0.8) for output in outputs]
            # Plain tensors: Keras's loss would weigh by a mask that it finds on the output.
            pairs = zip(targets, outputs, strict=True)
            loss = sum(loss_of(tf.constant(t.astype(dtype)), tf.identity(y)) for t, y in pairs)
        of_weights = tape.gradient(loss, [v.value for _, v in named])
        kept = [x if x.dtype.kind == "i" else x.astype(dtype) for x in inputs]
        steps.append({"inputs": kept, "targets": [t.astype(dtype) for t in targets], "loss": loss.numpy()})
        made.apply(of_weights, [v for _, v in named])
    assert np.isfinite(steps[-1]["loss"]), name
    return {
        "name": f"{name}-{dtype}",
        "dtype": dtype,
        "file": f"gradients/graph_models/{name}.keras",
        "kinds": [str(t.dtype) for t in model.inputs],
        "optimizer": {"class": optimizer_class, "config": config},
        "steps": steps,
        "trained": [entry(key, v.numpy()) for key, v in named],
    }


def main():
    write("graph_runs", [run(name, dtype) for name in RUNS for dtype in ("float32", "float64")])
