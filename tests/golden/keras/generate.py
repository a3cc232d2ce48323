"""Writes the data files anew: all of them, or the topics named as arguments."""

import importlib
import sys

TOPICS = [
    "layers",
    "activations",
    "initializers",
    "seeds",
    "question",
    "masks",
    "bidirectional",
    "stacked",
    "dropout",
    "stateful",
    "companions",
    "summaries",
]

if __name__ == "__main__":
    for topic in sys.argv[1:] or TOPICS:
        importlib.import_module(topic).main()
