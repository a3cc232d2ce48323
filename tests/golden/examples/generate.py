"""Files with examples, made by the script that users have: `generate.py keras`, `generate.py torch`,
`generate.py convolutions`."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "doc"))
import numpy as np

import save_with_examples

rng = np.random.default_rng(7)


def at(name):
    return os.path.join(HERE, name)


def keras():
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    sentiment = keras.Sequential(
        [
            keras.Input((None,), dtype="int32", name="ids"),
            layers.Embedding(11, 3, mask_zero=True),
            layers.Bidirectional(layers.LSTM(4, bias_initializer="random_normal")),
            layers.Dense(2, "softmax"),
        ],
        name="sentiment",
    )
    ids = np.array([[5, 8, 3, 0, 0], [2, 3, 5, 7, 10], [1, 0, 0, 0, 0]], "int32")
    save_with_examples.keras_model(sentiment, at("sentiment.safetensors"), ids)
    sentiment.save(at("sentiment.h5"))
    save_with_examples.beside(sentiment, at("sentiment.h5"), ids)
    sentiment.save(at("sentiment.keras"))
    save_with_examples.beside(sentiment, at("sentiment.keras"), ids)

    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    a, b = keras.Input((6, 3), name="a"), keras.Input((4, 2), name="b")
    encoded, state = layers.GRU(5, return_state=True, bias_initializer="random_normal", name="encoder")(a)
    decoded = layers.GRU(5, return_sequences=True, name="decoder")(b, initial_state=state)
    inner = keras.Sequential([keras.Input((5,)), layers.Dense(3, "tanh"), layers.Dropout(0.5)], name="inner")
    two = keras.Model([a, b], [layers.LayerNormalization(name="norm")(decoded), inner(encoded)], name="two")
    inputs = [rng.normal(size=(2, 6, 3)), rng.normal(size=(2, 4, 2))]
    save_with_examples.keras_model(two, at("two_float64.safetensors"), inputs)
    keras.config.set_floatx("float32")


def torch():
    import torch
    from torch import nn
    from torch.nn.utils.rnn import pack_padded_sequence

    torch.manual_seed(5)

    class Tagger(nn.Module):
        """Every module that is known, called in every way."""

        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(9, 4, padding_idx=0)
            self.encoder = nn.GRU(4, 5, num_layers=2, bidirectional=True, batch_first=True, dropout=0.3)
            self.norm = nn.LayerNorm(10, eps=1e-3)
            self.batch_norm = nn.BatchNorm1d(10, eps=1e-2)
            self.decoder = nn.LSTM(10, 6, proj_size=3)  # time first
            self.rnn = nn.RNN(3, 4, nonlinearity="relu", bias=False)
            self.cell = nn.LSTMCell(4, 3)
            self.relu_cell = nn.RNNCell(3, 2, nonlinearity="relu")
            self.head = nn.Linear(2, 2)
            self.scale = nn.Parameter(torch.ones(2))

        def forward(self, ids, lengths):
            packed = pack_padded_sequence(self.embed(ids), lengths, batch_first=True, enforce_sorted=False)
            out, state = self.encoder(packed)
            out, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=True)
            out, _ = self.encoder(self.embed(ids), state)  # once more, from that state
            out = self.batch_norm(self.norm(out).transpose(1, 2)).permute(2, 0, 1)
            rows = out.shape[1]
            out, _ = self.decoder(out, (torch.ones(1, rows, 3) / 2, torch.ones(1, rows, 6) / 4))
            out, _ = self.rnn(out)
            h, c = self.cell(out[-1])
            h, c = self.cell(out[-2], (h, c))
            return self.head(self.relu_cell(h, torch.ones(rows, 2))) * self.scale

    for name, dtype in [("tagger", torch.float32), ("tagger_float64", torch.float64)]:
        torch.set_default_dtype(dtype)
        tagger = Tagger()
        for moved in (tagger.batch_norm.running_mean, tagger.batch_norm.running_var):
            moved.uniform_(0.5, 1.5)
        ids = torch.tensor([[3, 8, 1, 0], [2, 5, 7, 4], [6, 1, 0, 0]])
        save_with_examples.torch_module(tagger, at(f"{name}.safetensors"), ids, torch.tensor([3, 4, 2]))


def convolutions():
    import torch
    from torch import nn

    torch.manual_seed(8)
    torch.set_default_dtype(torch.float32)

    class Wave(nn.Module):
        """Convolutions with every option, of batches and of one sequence."""

        def __init__(self):
            super().__init__()
            self.first = nn.Conv1d(4, 6, 3, stride=2, padding=2)
            self.groups = nn.Conv1d(6, 4, 2, groups=2, dilation=3, bias=False)
            self.same = nn.Conv1d(4, 3, 4, padding="same", dilation=2)
            self.mirrored = nn.Conv1d(3, 2, 3, padding=1, padding_mode="reflect")  # isn't known

        def forward(self, x):
            x = self.same(self.groups(self.first(x)))
            return self.mirrored(x) + self.mirrored(self.same(self.groups(self.first(torch.ones(4, 13)))))

    save_with_examples.torch_module(Wave(), at("convolutions.safetensors"), torch.randn(2, 4, 13))


for topic in sys.argv[1:] or ["keras", "torch", "convolutions"]:
    {"keras": keras, "torch": torch, "convolutions": convolutions}[topic]()
