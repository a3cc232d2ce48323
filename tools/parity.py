"""Makes the page of parity, `doc/parity.md`, of what the golden tests have left in the target folder.

    cargo test --all-features --test golden && python3 tools/parity.py          # writes the page
    cargo test --all-features --test golden && python3 tools/parity.py --check  # fails if the page isn't true

True means: the same rows, cases and numbers, and no difference above that of the page by more than a factor of 3, or above
some rounding errors (gradients are summed in the order of the machine's vectors).
"""

import json
import math
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "doc/parity.md"
PARTS = [
    ("Layers, against Keras", ["keras/layers", "keras/masks", "keras/bidirectional", "keras/stacked", "keras/stateful",
                               "keras/dropout", "keras/companions", "keras/question"]),
    ("Cells that Keras hasn't got, against ONNX Runtime, PyTorch and flax", ["cells/lstm_options", "cells/projection",
                                                                           "cells/ind_rnn", "cells/mgu", "cells/layer_norm"]),
    ("Activations, first weights and seeds, against Keras", ["keras/activations", "keras/initializers", "keras/seeds"]),
    ("Gradients, against TensorFlow and PyTorch", ["gradients/one_layer", "gradients/wrappers", "gradients/with_dropout",
                                                  "gradients/torch_layers", "gradients/models", "gradients/graph_models"]),
    ("Training, against Keras", ["training/losses", "training/metrics", "training/runs", "training/models",
                                 "training/noise", "training/activity", "training/zoneout", "training/stateful",
                                 "training/attention", "training/conv_lstm", "training/spectral", "gradients/updates",
                                 "gradients/optimizers", "gradients/schedules", "gradients/weight_rules",
                                 "gradients/runs", "gradients/graph_runs"]),
    ("Models of Keras's files", ["keras_models/"]),
    ("Modules of PyTorch", ["pytorch/"]),
    ("ONNX, against ONNX Runtime", ["onnx/"]),
]
WORDS = {
    "keras/layers": "options of the layer", "keras/masks": "masks and lengths", "keras/bidirectional": "in `Bidirectional`",
    "keras/stacked": "in stacks, and stacks of cells", "keras/stateful": "`stateful`", "keras/dropout": "dropout, with Keras's masks",
    "keras/companions": "layers around them", "keras/question": "the question of `recurrent_initializer`",
    "cells/lstm_options": "LSTM with peepholes, coupled gates, clip", "cells/projection": "LSTM with a projection",
    "cells/ind_rnn": "IndRNN", "cells/mgu": "MGU", "cells/layer_norm": "LayerNormLSTM", "keras/activations": "activations",
    "keras/initializers": "initializers", "keras/seeds": "weights after `set_random_seed`",
    "gradients/one_layer": "one layer", "gradients/wrappers": "in wrappers and stacks", "gradients/with_dropout": "with dropout",
    "gradients/torch_layers": "PyTorch's modules", "gradients/models": "stacks with a loss", "gradients/graph_models": "graphs",
    "training/losses": "losses and their gradients", "training/metrics": "metrics", "training/runs": "runs of `fit`",
    "training/models": "runs of `fit`: dropout and BatchNormalization in models", "training/noise": "Dropout and its kin",
    "training/activity": "activity regularizers", "training/zoneout": "zoneout, against the equations with Keras's cells",
    "training/stateful": "stateful layers in `fit`", "training/attention": "attention that drops its weights in `fit`",
    "training/conv_lstm": "ConvLSTM with dropout in `fit`", "training/spectral": "SpectralNormalization in `fit`",
    "gradients/updates": "updates of optimizers", "gradients/optimizers": "SGD and Adam in all their options",
    "gradients/schedules": "schedules", "gradients/weight_rules": "regularizers and constraints",
    "gradients/runs": "runs of updates, layers", "gradients/graph_runs": "runs of updates, graphs",
    "keras_models/cases": "recurrent models, in both formats", "keras_models/keras2": "recurrent models, of Keras 2",
    "keras_models/keras_io": "the examples of keras.io", "keras_models/thinned": "models that thin out, step by step",
    "keras_models/conv_lstm": "ConvLSTM", "keras_models/upsampled": "models that make several steps of one, in streams",
    "keras_models/int8": "layers that `quantize(\"int8\")` put into bytes", "keras_models/texts": "models behind their text layers",
    "keras_models/rules": "regularizers and constraints in files", "keras_models/random": "random models",
    "keras_models/random_keras2": "random models, of Keras 2", "keras_models/convolutions_seeds": "convolutions, seeded",
    "pytorch/cases": "`state_dict` files", "onnx/nodes": "recurrent nodes", "onnx/exported": "models of both exporters of PyTorch",
    "onnx/opsets": "the same in opset 11 or 22", "onnx/tf2onnx": "models of tf2onnx", "onnx/windows": "windows among axes of one",
}


def target():
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def measured():
    rows = []
    for path in sorted((target() / "tmp/parity").glob("*.json")):
        file = json.loads(path.read_text())
        for row in file["rows"]:
            rows.append({"topic": file["topic"], **row})
    if not rows:
        sys.exit("nothing measured: run `cargo test --all-features --test golden` first")
    return rows


def up(error):
    """One digit, rounded up: 3.1e-07 is 4e-7; bits that are equal are 0."""
    if error == 0:
        return "0"
    power = math.floor(math.log10(error))
    digit = math.ceil(error / 10**power - 1e-9)
    return f"{digit if digit < 10 else 1}e{power if digit < 10 else power + 1}"


def words(topic):
    if topic in WORDS:
        return WORDS[topic]
    return topic.split("/")[1].replace("_doubles", ", float64").replace("_keras2", ", of Keras 2").replace("_", " ")


def lines_of(row):
    subject, topic = words(row["topic"]), row["topic"]
    if row["class"] and not topic.startswith("cells/"):
        subject = f"{row['class']}: {subject}"
    elif row["class"] == "Bidirectional":
        subject += ", in `Bidirectional`"
    if row["what"] == "gradients" and not row["topic"].startswith("gradients/"):
        subject += ", gradients"
    sides = [row["sides"].get(dtype) for dtype in ["float32", "float64"]]
    return subject, row["cases"], sum(side[0] for side in sides if side), [up(side[1]) if side else "" for side in sides]


def page(rows):
    versions = set()
    for topic in sorted({row["topic"] for row in rows}):
        file = json.loads((ROOT / "tests/golden" / f"{topic}.json").read_text()) if (ROOT / "tests/golden" / f"{topic}.json").exists() else {}
        found = file.get("versions", {})
        found = found | {key: file[key] for key in ["keras", "torch"] if isinstance(file.get(key), str)}
        # Keras 2 goes on as tf_keras, with the numbers of TensorFlow's versions.
        keras_2 = lambda name, version: "tf_keras" if name == "keras" and version.startswith("2.") else name
        versions |= {f"{keras_2(name, version)} {version}" for name, version in found.items()
                     if name.lower() in ["keras", "tensorflow", "torch", "onnxruntime", "flax", "jax", "tf_keras"]}
    cases, numbers = sum(row["cases"] for row in rows), sum(lines_of(row)[2] for row in rows)
    out = [
        "How near the numbers are to those of other frameworks.", "",
        f"{cases:,} cases and {numbers:,} numbers, compared at each run of the tests with what these computed: "
        + ", ".join(sorted(versions)) + ". A difference is |a - b| / max(1, |b|), the largest of all numbers, rounded up "
        "to one digit; 0 means the same bits. `tests/golden` has the data and the scripts that made them; "
        "`tools/parity.py` writes this page, and CI compares it.", ""]
    left = list(rows)
    for title, topics in PARTS:
        own = [row for topic in topics for row in left
               if (row["topic"].startswith(topic) if topic.endswith("/") else row["topic"] == topic)]
        left = [row for row in left if row not in own]
        out += [f"# {title}", "", "| | cases | numbers | largest difference, f32 | f64 |", "|---|---|---|---|---|"]
        for row in own:
            subject, cases, numbers, sides = lines_of(row)
            out.append(f"| {subject} | {cases} | {numbers:,} | {sides[0]} | {sides[1]} |")
        out.append("")
    if left:
        sys.exit(f"no part of the page for {sorted({row['topic'] for row in left})}")
    return "\n".join(out)


def check(rows):
    def cells(text):
        found = {}
        part = ""
        for line in text.splitlines():
            part = line if line.startswith("# ") else part
            match = re.match(r"\| (.*) \| (\d+) \| ([\d,]+) \| (\S*) \| (\S*) \|$", line)
            if match:
                found[part, match[1]] = match.groups()[1:]
        return found

    old, new = cells(PAGE.read_text()), cells(page(rows))
    wrong = [f"{key}: on one side alone" for key in sorted(old.keys() ^ new.keys())]
    for key in sorted(old.keys() & new.keys()):
        (cases, numbers, *before), (cases_now, numbers_now, *now) = old[key], new[key]
        if (cases, numbers) != (cases_now, numbers_now):
            wrong.append(f"{key}: {cases_now} cases, {numbers_now} numbers, the page has {cases}, {numbers}")
        for a, b, noise in zip(before, now, [5e-6, 2e-14]):
            if bool(a) != bool(b) or a and float(b) > max(3 * float(a), noise):
                wrong.append(f"{key}: a difference of {b}, the page has {a}")
    if wrong:
        sys.exit("doc/parity.md isn't true (`python3 tools/parity.py` writes it):\n" + "\n".join(wrong))
    print(f"doc/parity.md holds: {len(new)} rows")


if "--check" in sys.argv:
    check(measured())
else:
    PAGE.write_text(page(measured()))
