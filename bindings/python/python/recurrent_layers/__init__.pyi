"""Recurrent layers (SimpleRNN, LSTM, GRU) with Keras's and PyTorch's numbers, whole sequences or step by step."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, TypeAlias, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__version__: str

_Array: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
_Input: TypeAlias = ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike | Sequence[ArrayLike]]
_Outputs: TypeAlias = Any
"""`_Array` of one output, `list[_Array]` of several; `list[_Array]` for an output that has steps, of a list of rows."""
_DType: TypeAlias = Literal["float32", "float64"]
_Path: TypeAlias = str | PathLike[str]
_Precision: TypeAlias = Literal["int8", "int8_fast", "bfloat16", "bf16"]
_Shape: TypeAlias = list[int | None]

class RecurrentError(ValueError):
    """What was given doesn't fit: the message says what was expected and what was given."""

@final
class Model:
    """A model: a graph of layers with any number of inputs and outputs. It never changes; threads share it."""

    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> _DType:
        """What it computes in."""
    @property
    def inputs(self) -> list[tuple[str, _Shape]]:
        """The names of the inputs, and their shapes with the batch first; None is any size."""
    @property
    def outputs(self) -> list[tuple[str, _Shape]]:
        """The names of the outputs, and their shapes."""
    @property
    def layer_names(self) -> list[str]: ...
    def predict(
        self,
        x: _Input,
        batch_size: int | None = None,
        verbose: str | int | None = None,
        steps: None = None,
        callbacks: None = None,
        *,
        lengths: Sequence[int] | NDArray[Any] | None = None,
        state: State | None = None,
    ) -> _Outputs:
        """The model's outputs: an array for one output, a list of arrays for several.

        `x` is an array (batch, timesteps, features), or (batch, timesteps) of ids; a list of arrays, one for each input; a
        dict of them by the inputs' names. Rows of different length are a list of arrays (timesteps, features), or one
        padded array with `lengths`. `batch_size` and `verbose` change no number. Stateful layers go on from `state`.
        """
    def __call__(self, x: _Input, *, lengths: Sequence[int] | NDArray[Any] | None = None) -> _Outputs: ...
    def stream(self, batch: int = 1) -> Stream:
        """The model run step by step, over `batch` rows, with a state of its own."""
    def pool(self, capacity: int | None = None) -> StreamPool:
        """Many streams that come and go, stepped as one batch."""
    def initial_state(self, batch: int) -> State:
        """Zeros for the stateful layers: for `predict(x, state=state)`."""
    def to_layer(self) -> Layer:
        """The model as one layer, if it is a chain of layers over time."""
    def layer(self, name: str) -> Layer:
        """A layer over time by its name; one of a model within by its path, `encoder/lstm`."""
    def quantize(self, precision: _Precision) -> Layer:
        """The model as a layer with its weights in fewer bits, which `save` writes as `.safetensors`."""
    def save(self, path: _Path) -> None:
        """Writes it to a file: `.keras` for Keras, `.safetensors` in a format of our own."""
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> Model: ...
    def summary(self, print_fn: Callable[[str], Any] | None = None) -> None:
        """Prints the table that Keras's `summary()` prints."""
    def count_params(self) -> int: ...
    def weights(self) -> dict[str, _Array]: ...
    def __copy__(self) -> Model: ...
    def __deepcopy__(self, _memo: Any, /) -> Model: ...

@final
class Layer:
    """A layer over time: (batch, timesteps, features) in, its output and state out. It never changes; threads share it."""

    @property
    def class_name(self) -> str:
        """Its kind in Keras's words."""
    @property
    def dtype(self) -> _DType: ...
    @property
    def input_size(self) -> int: ...
    @property
    def output_size(self) -> int: ...
    @property
    def returns_sequences(self) -> bool: ...
    @property
    def returns_state(self) -> bool: ...
    def predict(
        self,
        x: ArrayLike | Sequence[ArrayLike],
        batch_size: int | None = None,
        verbose: str | int | None = None,
        *,
        lengths: Sequence[int] | NDArray[Any] | None = None,
    ) -> Any:
        """All steps' outputs (batch, timesteps, units) if it returns sequences, else the last one's (batch, units)."""
    def run(
        self,
        x: ArrayLike,
        *,
        lengths: Sequence[int] | NDArray[Any] | None = None,
        mask: ArrayLike | None = None,
        resets: ArrayLike | None = None,
        initial_state: State | None = None,
    ) -> Output:
        """Runs the layer with all that one call can say: see `Output`."""
    def stream(self, batch: int = 1) -> Stream: ...
    def pool(self, capacity: int | None = None) -> StreamPool: ...
    def initial_state(self, batch: int = 1) -> State: ...
    def quantize(self, precision: _Precision) -> Layer: ...
    def save(self, path: _Path) -> None: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> Layer: ...
    def summary(self, print_fn: Callable[[str], Any] | None = None) -> None: ...
    def count_params(self) -> int: ...
    def weights(self) -> dict[str, _Array]: ...
    def __copy__(self) -> Layer: ...
    def __deepcopy__(self, _memo: Any, /) -> Layer: ...

@final
class Output:
    """What `Layer.run` returns; what the layer doesn't return is a `RecurrentError` that says how to get it."""

    @property
    def last(self) -> _Array:
        """The output of the last step, (batch, units)."""
    @property
    def sequence(self) -> _Array:
        """The outputs of all steps, (batch, timesteps, units)."""
    @property
    def state(self) -> State:
        """The state after the last step."""

@final
class State:
    """What a stream remembers, by name: `h` and `c` of an LSTM, `0/h` in a stack. A value: it pickles with every bit."""

    @property
    def names(self) -> list[str]: ...
    @property
    def batch(self) -> int: ...
    @property
    def dtype(self) -> _DType: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> State: ...
    def __getitem__(self, name: str, /) -> _Array:
        """A part, (batch, width), as an array of its own."""
    def __setitem__(self, name: str, values: ArrayLike, /) -> None: ...
    def __contains__(self, name: str, /) -> bool: ...
    def __len__(self) -> int: ...
    def __bytes__(self) -> bytes: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __copy__(self) -> State: ...
    def __deepcopy__(self, _memo: Any, /) -> State: ...

@final
class Stream:
    """A model or a layer run step by step: the steps give what the whole sequence gives, bit for bit."""

    @property
    def batch(self) -> int: ...
    @property
    def dtype(self) -> _DType: ...
    @property
    def inputs(self) -> list[str]:
        """The names of the inputs that a step takes."""
    @property
    def start_inputs(self) -> list[str]:
        """The names of the inputs that `start` takes; none for most models."""
    def step(self, x: _Input) -> Any:
        """One step: (batch, features), or (batch,) ids; of one row also without the batch.

        None from a model whose strides or windows let this step give nothing."""
    def process(self, x: _Input) -> Any:
        """A block of any number of steps: (batch, timesteps, features) in, (batch, timesteps, units) out.

        Strides and windows give fewer steps than they read."""
    def start(self, x: _Input) -> None:
        """Gives a decoder what it needs before its first step."""
    def reset(self) -> None:
        """Starts over."""
    def state(self) -> State: ...
    def set_state(self, state: State | bytes) -> None: ...
    def __copy__(self) -> Stream: ...
    def __deepcopy__(self, _memo: Any, /) -> Stream: ...

@final
class StreamId:
    """A stream of a pool. It is good until the stream is removed, and never again."""

    @property
    def number(self) -> int: ...
    def __lt__(self, other: StreamId, /) -> bool: ...
    def __le__(self, other: StreamId, /) -> bool: ...
    def __gt__(self, other: StreamId, /) -> bool: ...
    def __ge__(self, other: StreamId, /) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class StreamPool:
    """Many live streams of one row each, stepped as one batch; each has the bits that it would have alone."""

    @property
    def capacity(self) -> int: ...
    @property
    def dtype(self) -> _DType: ...
    def insert(self, state: State | bytes | None = None) -> StreamId:
        """A new stream, from the initial state or from another one's."""
    def push(self, id: StreamId, x: ArrayLike) -> None:
        """Gives a stream its next sample, (features,)."""
    def push_all(self, ids: Sequence[StreamId], x: ArrayLike) -> None:
        """Gives several streams a sample each: (streams, features)."""
    def step(self) -> int:
        """One step of all streams that have a sample; how many they were."""
    def output(self, id: StreamId) -> _Array:
        """The output of a stream's last step, (units,)."""
    def outputs(self, ids: Sequence[StreamId]) -> _Array:
        """Those of several, (streams, units)."""
    def state(self, id: StreamId) -> State: ...
    def set_state(self, id: StreamId, state: State | bytes) -> None: ...
    def reset(self, id: StreamId) -> None: ...
    def remove(self, id: StreamId) -> State:
        """Ends a stream, and returns its state."""
    def evict(self, id: StreamId) -> bytes:
        """Ends a stream that is to wait elsewhere, and returns its state as bytes."""
    def restore(self, data: bytes) -> StreamId:
        """A stream that was evicted goes on, under a new id."""
    def is_ready(self, id: StreamId) -> bool: ...
    def idle_steps(self, id: StreamId) -> int: ...
    def ids(self) -> list[StreamId]: ...
    def __len__(self) -> int: ...
    def __contains__(self, id: StreamId, /) -> bool: ...

@final
class PytorchFile:
    """A safetensors file with the tensors of a `state_dict`; `print(file)` shows what they could be."""

    @property
    def tensors(self) -> list[tuple[str, list[int]]]: ...
    @property
    def metadata(self) -> dict[str, str]: ...
    def lstm(self, prefix: str = "", dtype: _DType | None = None) -> Layer: ...
    def gru(self, prefix: str = "", dtype: _DType | None = None) -> Layer: ...
    def rnn(
        self, prefix: str = "", nonlinearity: Literal["tanh", "relu"] = "tanh", dtype: _DType | None = None
    ) -> Layer: ...
    def lstm_cell(self, prefix: str = "", dtype: _DType | None = None) -> Layer: ...
    def gru_cell(self, prefix: str = "", dtype: _DType | None = None) -> Layer: ...
    def rnn_cell(
        self, prefix: str = "", nonlinearity: Literal["tanh", "relu"] = "tanh", dtype: _DType | None = None
    ) -> Layer: ...
    def linear(self, prefix: str = "", dtype: _DType | None = None) -> Layer: ...
    def embedding(self, prefix: str = "", dtype: _DType | None = None) -> Model: ...
    def tensor(self, name: str, dtype: _DType | None = None) -> _Array: ...

@final
class Verification:
    """What the examples of a file have shown: it prints as "matches PyTorch 2.15.0 to 2.4e-7 on 4 examples"."""

    @property
    def by(self) -> str: ...
    @property
    def examples(self) -> int: ...
    @property
    def error(self) -> float: ...
    @property
    def unchecked(self) -> list[str]: ...

def load(
    path: _Path,
    format: Literal["keras", "onnx", "recurrent"] | None = None,
    dtype: _DType | None = None,
    *,
    half_as_float32: bool = False,
    external_data: bool = False,
) -> Any:
    """Loads a `Model` of Keras (`.keras`, `.h5`) or ONNX, or what a file of our own holds, a `Model` or a `Layer`."""

def pytorch_file(path: _Path) -> PytorchFile:
    """Opens the safetensors file of a PyTorch `state_dict`."""

def stack(layers: Sequence[Layer]) -> Layer:
    """Layers one after another, as one layer."""

def from_bytes(data: bytes) -> Any:
    """The `Model` or `Layer` whose `to_bytes` gave these."""

def verify(path: _Path) -> Verification:
    """Checks that what a file holds gives here what the examples in it say."""

__all__ = [
    "Layer",
    "Model",
    "Output",
    "PytorchFile",
    "RecurrentError",
    "State",
    "Stream",
    "StreamId",
    "StreamPool",
    "Verification",
    "from_bytes",
    "load",
    "pytorch_file",
    "stack",
    "verify",
]
