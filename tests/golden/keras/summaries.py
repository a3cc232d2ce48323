"""What Keras's `summary()` prints of layers and stacks, into the 80 columns of a terminal."""

import json

import keras
from keras import layers as L
from oracle import HERE, VERSIONS

# A name; then the layers of a Sequential on (batch, timesteps, 3), as a function because their names are counted.
CASES = [
    ("lstm", lambda: [L.LSTM(4)]),
    ("gru_with_state", lambda: [L.GRU(4, return_sequences=True, return_state=True)]),
    ("unmerged", lambda: [L.Bidirectional(L.LSTM(4, return_sequences=True, return_state=True), merge_mode=None)]),
    ("time_distributed", lambda: [L.TimeDistributed(L.Dense(5))]),
    (
        "stack",
        lambda: [
            L.Bidirectional(L.LSTM(4, return_sequences=True)),
            L.TimeDistributed(L.Dense(5)),
            L.LSTM(300),
            L.Dense(7),
            L.Dense(2),
        ],
    ),
    (
        "nested",
        lambda: [
            keras.Sequential(
                [keras.Input((None, 3)), L.LSTM(4, return_sequences=True), L.LSTM(5, return_sequences=True)]
            ),
            L.RNN([L.LSTMCell(4), L.GRUCell(6)]),
        ],
    ),
]


def main():
    cases = []
    for name, layers in CASES:
        keras.utils.clear_session()
        model = keras.Sequential([keras.Input((None, 3)), *layers()])
        lines = []
        model.summary(print_fn=lambda line, line_break=False: lines.append(line))
        cases.append({"name": name, "summary": "\n".join(lines).rstrip("\n")})
    # Texts with quotes and frames, which `oracle.write` has no need of.
    text = json.dumps({"versions": VERSIONS, "cases": cases}, ensure_ascii=False, indent=1)
    (HERE / "summaries.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
