"""Writes the data of the cells that Keras hasn't got: all topics, or those named as arguments."""

import sys
from importlib import import_module

TOPICS = ["lstm_options", "projection", "ind_rnn", "mgu", "layer_norm"]


def main():
    for topic in sys.argv[1:] or TOPICS:
        assert topic in TOPICS, f"a topic of {TOPICS}"
        import_module(topic).main()


if __name__ == "__main__":
    main()
