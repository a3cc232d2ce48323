"""Models of PyTorch for exported.py: of every kind around a recurrent layer."""
import torch
from torch import nn

torch.manual_seed(5)


class LastStep(nn.Module):
    """An LSTM, a head on its last step."""
    def __init__(self, kind=nn.LSTM, batch_first=True, **kw):
        super().__init__()
        self.rnn = kind(3, 4, batch_first=batch_first, **kw)
        self.first = batch_first
        self.head = nn.Linear(4 * (2 if kw.get("bidirectional") else 1), 2)

    def forward(self, x):
        y, _ = self.rnn(x)
        return self.head(y[:, -1] if self.first else y[-1])


class Sequence(nn.Module):
    def __init__(self, kind=nn.LSTM, batch_first=True, **kw):
        super().__init__()
        self.rnn = kind(3, 4, batch_first=batch_first, **kw)

    def forward(self, x):
        return self.rnn(x)


class States(nn.Module):
    def __init__(self, kind=nn.LSTM, layers=2, batch_first=True):
        super().__init__()
        self.rnn = kind(3, 4, num_layers=layers, batch_first=batch_first)
        self.head = nn.Linear(4, 2)
        self.lstm = kind is nn.LSTM

    def forward(self, x, h, c=None):
        if self.lstm:
            y, (h, c) = self.rnn(x, (h, c))
            return self.head(y), h, c
        y, h = self.rnn(x, h)
        return self.head(y), h


class Policy(nn.Module):
    """As robots' policies are exported: observations without a time axis, states in and out."""
    def __init__(self, kind=nn.LSTM, layers=1):
        super().__init__()
        self.rnn = kind(5, 4, num_layers=layers)
        self.actor = nn.Sequential(nn.Linear(4, 6), nn.ELU(), nn.Linear(6, 3))
        self.lstm = kind is nn.LSTM

    def forward(self, obs, h_in, c_in=None):
        if self.lstm:
            x, (h, c) = self.rnn(obs.unsqueeze(0), (h_in, c_in))
            return self.actor(x.squeeze(0)), h, c
        x, h = self.rnn(obs.unsqueeze(0), h_in)
        return self.actor(x.squeeze(0)), h


class Tagger(nn.Module):
    """Embedding, dropout, bidirectional GRU, LayerNorm, log softmax."""
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 3)
        self.drop = nn.Dropout(0.2)
        self.rnn = nn.GRU(3, 4, batch_first=True, bidirectional=True, num_layers=2)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 5)

    def forward(self, ids):
        y, _ = self.rnn(self.drop(self.table(ids)))
        return torch.log_softmax(self.head(self.norm(y)), dim=-1)


class Convolutional(nn.Module):
    """Conv1d, BatchNorm1d, ReLU, MaxPool1d, LSTM, mean over time."""
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm1d(6)
        self.norm.running_mean.uniform_(-1, 1)
        self.norm.running_var.uniform_(0.5, 2)
        nn.init.uniform_(self.norm.weight, 0.5, 1.5)
        nn.init.uniform_(self.norm.bias, -0.5, 0.5)
        self.pool = nn.MaxPool1d(2)
        self.rnn = nn.LSTM(6, 4, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        z = self.pool(torch.relu(self.norm(self.conv(x.transpose(1, 2))))).transpose(1, 2)
        y, _ = self.rnn(z)
        return self.head(y.mean(dim=1))


class ChannelsFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(3, 5, 3, stride=2),
            nn.GELU(),
            nn.AvgPool1d(2),
            nn.Conv1d(5, 4, 2, dilation=2),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Linear(4, 2),
            nn.Tanh(),
        )

    def forward(self, x):
        return self.body(x)


class Activations(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(3, 4, batch_first=True, nonlinearity="relu")
        self.fs = [nn.SiLU(), nn.GELU(), nn.GELU("tanh"), nn.Softplus(), nn.LeakyReLU(0.1), nn.Hardsigmoid(), nn.Hardswish(), nn.Hardtanh(), nn.ReLU6(), nn.SELU(), nn.CELU(0.7), nn.Softsign(), nn.Mish(), nn.Sigmoid(), nn.Tanh(), nn.LogSigmoid(), nn.PReLU(), nn.ELU(0.5)]
        self.mods = nn.ModuleList(self.fs)

    def forward(self, x):
        y, _ = self.rnn(x)
        for f in self.mods:
            y = f(y) + 0.1 * y
        return torch.softmax(y, dim=-1)


class Concats(nn.Module):
    """Final states of both directions side by side; two inputs."""
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
        self.other = nn.Linear(2, 3)
        self.head = nn.Linear(11, 2)

    def forward(self, x, side):
        _, (h, _) = self.rnn(x)
        return self.head(torch.cat([h[-2], h[-1], self.other(side)], dim=1))


class Residual(nn.Module):
    """Time-major, projections away from batch: y + x, split, chunk, clamp, where."""
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(4, 4)

    def forward(self, x):
        y, h = self.rnn(x)
        a, b = (y + x).chunk(2, dim=-1)
        z = torch.where(a > 0, torch.clamp(b, -0.3, 0.3), a / (1 + b * b))
        return z, h.squeeze(0), z.max(dim=0).values, z.sum(dim=-1)


class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 4, batch_first=True)
        self.head = nn.Linear(20, 2)

    def forward(self, x):
        y, _ = self.rnn(x)
        return self.head(y.reshape(y.shape[0], -1))


class Learned(nn.Module):
    """A learned initial state."""
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(3, 4, batch_first=True)
        self.h0 = nn.Parameter(torch.randn(1, 1, 4))

    def forward(self, x):
        y, h = self.rnn(x, self.h0.expand(-1, x.shape[0], -1).contiguous())
        return y, h


class CellStep(nn.Module):
    """nn.LSTMCell by its operations."""
    def __init__(self, kind=nn.LSTMCell):
        super().__init__()
        self.cell = kind(3, 4)
        self.head = nn.Linear(4, 2)
        self.lstm = kind is nn.LSTMCell

    def forward(self, x, h, c=None):
        if self.lstm:
            h, c = self.cell(x, (h, c))
            return self.head(h), h, c
        h = self.cell(x, h)
        return self.head(h), h


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5), nn.ReLU(), nn.Linear(5, 4, bias=False), nn.BatchNorm1d(4), nn.Softmax(-1))
        self.body[4].running_mean.uniform_(-1, 1)

    def forward(self, x):
        return self.body(x)


B, T = 2, 5
x, xt = torch.randn(B, T, 3), torch.randn(T, B, 3)
h1, h2 = torch.randn(1, B, 4), torch.randn(2, B, 4)
c1, c2 = torch.randn(1, B, 4), torch.randn(2, B, 4)
obs = torch.randn(B, 5)
bt, tb, st, b0 = {0: "batch", 1: "time"}, {0: "time", 1: "batch"}, {1: "batch"}, {0: "batch"}
bft = {0: "batch", 2: "time"}

# name: module, inputs, names of inputs, of outputs, dynamic axes of the inputs (None: frozen)
def models():
    yield "lstm_last", LastStep(), (x,), ["x"], ["y"], [bt]
    yield "gru_last", LastStep(nn.GRU), (x,), ["x"], ["y"], [bt]
    yield "rnn_last", LastStep(nn.RNN), (x,), ["x"], ["y"], [bt]
    yield "lstm_last_frozen", LastStep(), (x[:1],), ["x"], ["y"], None
    yield "bi_last", LastStep(bidirectional=True, num_layers=2), (x,), ["x"], ["y"], [bt]
    yield "lstm_time_major", LastStep(batch_first=False), (xt,), ["x"], ["y"], [tb]
    yield "lstm_sequence", Sequence(num_layers=2), (x,), ["x"], ["y", "h", "c"], [bt]
    yield "lstm_no_bias", Sequence(bias=False), (x,), ["x"], ["y", "h", "c"], [bt]
    yield "gru_sequence", Sequence(nn.GRU, bidirectional=True), (x,), ["x"], ["y", "h"], [bt]
    yield "gru_time_major", Sequence(nn.GRU, batch_first=False), (xt,), ["x"], ["y", "h"], [tb]
    yield "rnn_relu", Sequence(nn.RNN, nonlinearity="relu"), (x,), ["x"], ["y", "h"], [bt]
    yield "lstm_states", States(), (x, h2, c2), ["x", "h_in", "c_in"], ["y", "h_out", "c_out"], [bt, st, st]
    yield "gru_states", States(nn.GRU, 1), (x, h1), ["x", "h_in"], ["y", "h_out"], [bt, st]
    yield "gru_states_time_major", States(nn.GRU, 2, False), (xt, h2), ["x", "h_in"], ["y", "h_out"], [tb, st]
    yield "policy_lstm", Policy(), (obs, h1, c1), ["obs", "h_in", "c_in"], ["actions", "h_out", "c_out"], [b0, st, st]
    yield "policy_lstm_frozen", Policy(layers=2), (obs[:1], h2[:, :1], c2[:, :1]), ["obs", "h_in", "c_in"], ["actions", "h_out", "c_out"], None
    yield "policy_gru", Policy(nn.GRU), (obs, h1), ["obs", "h_in"], ["actions", "h_out"], [b0, st]
    yield "tagger", Tagger(), (torch.randint(0, 11, (B, T)),), ["ids"], ["y"], [bt]
    yield "convolutional", Convolutional(), (torch.randn(B, 8, 3),), ["x"], ["y"], [bt]
    yield "channels_first", ChannelsFirst(), (torch.randn(B, 3, 17),), ["x"], ["y"], [b0]
    yield "activations", Activations(), (x,), ["x"], ["y"], [bt]
    yield "concats", Concats(), (x, torch.randn(B, 2)), ["x", "side"], ["y"], [bt, b0]
    yield "residual", Residual(), (torch.randn(T, B, 4),), ["x"], ["z", "h", "most", "sum"], [tb]
    yield "flat", Flat(), (x,), ["x"], ["y"], [b0]
    yield "learned", Learned(), (x,), ["x"], ["y", "h"], [bt]
    yield "lstm_cell", CellStep(), (x[:, 0], h1[0], c1[0]), ["x", "h_in", "c_in"], ["y", "h_out", "c_out"], [b0, b0, b0]
    yield "gru_cell", CellStep(nn.GRUCell), (x[:, 0], h1[0]), ["x", "h_in"], ["y", "h_out"], [b0, b0]
    yield "mlp", Mlp(), (x[:, 0],), ["x"], ["y"], [b0]
