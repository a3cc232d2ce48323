"""Keras's learning rate schedules: the rates of some updates. ReduceLROnPlateau: the rate after each monitored number."""

import math

from flow import write
from oracle import keras

STEPS = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 14, 15, 19, 20, 21, 29, 30, 31, 45, 50, 69, 70, 71, 99, 100, 149, 150, 151]
STEPS += [199, 200, 1000, 1234, 123456]

SCHEDULES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.96}),
    ("ExponentialDecay", {"initial_learning_rate": 0.3, "decay_steps": 7, "decay_rate": 0.5, "staircase": True}),
    ("ExponentialDecay", {"initial_learning_rate": 0.3, "decay_steps": 50, "decay_rate": 0.0}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.7}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 1.5, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [5, 30, 150], "values": [0.5, 0.3, 0.2, 0.01]}),
    ("PiecewiseConstantDecay", {"boundaries": [10], "values": [0.5, 0.3]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 70}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 70, "end_learning_rate": 0.02, "power": 0.5}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "power": 2.5, "cycle": True}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 100}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 70, "alpha": 0.2}),
    (
        "CosineDecay",
        {"initial_learning_rate": 0.01, "decay_steps": 70, "alpha": 0.1, "warmup_target": 0.3, "warmup_steps": 15},
    ),
    ("CosineDecay", {"initial_learning_rate": 0.01, "decay_steps": 70, "warmup_target": 0.3, "warmup_steps": 0}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 10}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 15, "t_mul": 1.0, "m_mul": 0.7}),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.2, "first_decay_steps": 20, "t_mul": 1.5, "m_mul": 0.8, "alpha": 0.05},
    ),
]

LOSSES = [3.0, 2.0, 2.5, 2.1, 1.99995, 2.0, 1.0, 1.5, 1.5, 1.5, 1.5, 1.5, 0.99, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
PLATEAUS = [
    {"patience": 2},
    {"factor": 0.5, "patience": 1, "cooldown": 2},
    {"factor": 0.3, "patience": 3, "min_lr": 0.004, "mode": "min"},
    {"factor": 0.5, "patience": 0, "min_delta": 0.6, "cooldown": 1},
    {"factor": 0.5, "patience": 2, "mode": "max"},
]


def rates():
    for i, (name, config) in enumerate(SCHEDULES):
        made = getattr(keras.optimizers.schedules, name)(**config)
        found = [float(made(keras.ops.convert_to_tensor(step, "int64"))) for step in STEPS]
        assert all(map(math.isfinite, found))
        yield {
            "name": f"{name}-{i:02}",
            "dtype": "float32",
            "schedule": {"class": name, "config": config},
            "steps": STEPS,
            "rates": found,
        }


def plateaus():
    for i, config in enumerate(PLATEAUS):
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        made = keras.callbacks.ReduceLROnPlateau(**{"monitor": "loss", "mode": "min"} | config)
        made.set_model(model)
        made.on_train_begin()
        found = []
        for epoch, loss in enumerate(LOSSES):
            made.on_epoch_end(epoch, {"loss": loss})
            found.append(float(model.optimizer.learning_rate))
        yield {
            "name": f"plateau-{i:02}",
            "dtype": "float32",
            "schedule": {"class": "ReduceLROnPlateau", "config": config},
            "monitored": LOSSES,
            "rates": found,
        }


def main():
    write("schedules", [*rates(), *plateaus()])
