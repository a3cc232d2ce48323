"""Writes the data files anew: all of Keras's, or the topics named as arguments (PyTorch's is `torch_layers`)."""

import importlib
import sys
from pathlib import Path

# The generators of the forward data: layers from specs, and what they are combined from.
sys.path.append(str(Path(__file__).parent.parent / "keras"))

TOPICS = ["one_layer", "wrappers", "with_dropout", "models", "optimizers", "updates", "schedules", "weight_rules", "runs", "graph_models", "graph_runs"]

if __name__ == "__main__":
    for topic in sys.argv[1:] or TOPICS:
        importlib.import_module(topic).main()
