//! What is read: every class of Keras's that a file may have here.
//!
//! A test holds this page: each class is in the golden data, where it is compared with Keras, and no class that the reader
//! knows is missing. Some names are those of a layer and of an operation (`Add`, `Concatenate`, `Softmax`, ..): both are
//! read. What each option means, and what is refused by name: [`coming_from_keras`](super::coming_from_keras).
//!
//! | | classes |
//! |---|---|
//! | inputs, ids, masks | `InputLayer`, `Embedding`, `Masking` |
//! | over time | `SimpleRNN`, `LSTM`, `GRU`, `CuDNNLSTM`, `CuDNNGRU`, `RNN`, `Bidirectional`, `TimeDistributed`, `ConvLSTM1D`, `ConvLSTM2D`, `ConvLSTM3D` |
//! | cells | `SimpleRNNCell`, `LSTMCell`, `GRUCell`, `StackedRNNCells` |
//! | dense | `Dense`, `EinsumDense`, `SpectralNormalization` |
//! | convolutions and pooling along time | `Conv1D`, `DepthwiseConv1D`, `SeparableConv1D`, `MaxPooling1D`, `AveragePooling1D`, `GlobalMaxPooling1D`, `GlobalAveragePooling1D`, `ZeroPadding1D`, `Cropping1D`, `UpSampling1D` |
//! | over two and three dimensions | `DepthwiseConv2D`, `SeparableConv2D`, `Conv2D`, `MaxPooling2D`, `AveragePooling2D`, `GlobalMaxPooling2D`, `GlobalAveragePooling2D`, `ZeroPadding2D`, `Cropping2D`, `UpSampling2D`, `Conv3D`, `MaxPooling3D`, `AveragePooling3D`, `GlobalMaxPooling3D`, `GlobalAveragePooling3D`, `ZeroPadding3D`, `Cropping3D`, `UpSampling3D` |
//! | activations | `Activation`, `ReLU`, `LeakyReLU`, `ELU`, `ThresholdedReLU`, `Softmax`, `PReLU` |
//! | normalization | `LayerNormalization`, `RMSNormalization`, `GroupNormalization`, `BatchNormalization` |
//! | shapes | `Flatten`, `Permute`, `RepeatVector` |
//! | merging | `Add`, `Subtract`, `Multiply`, `Average`, `Maximum`, `Minimum`, `Concatenate` |
//! | attention | `Attention`, `AdditiveAttention`, `Dot`, `MultiHeadAttention`, `GroupQueryAttention` |
//! | preprocessing | `Rescaling`, `Normalization`, `UnitNormalization`, `Discretization`, `IntegerLookup`, `CategoryEncoding` |
//! | nothing in inference | `Dropout`, `SpatialDropout1D`, `SpatialDropout2D`, `SpatialDropout3D`, `GaussianDropout`, `GaussianNoise`, `AlphaDropout`, `ActivityRegularization`, `Identity` |
//! | operations of each element, of two or three | `Negative`, `Absolute`, `Abs`, `Square`, `Sign`, `Sqrt`, `Rsqrt`, `Reciprocal`, `Log`, `Log1p`, `Expm1`, `Floor`, `Ceil`, `Round`, `LogicalNot`, `Isnan`, `Isinf`, `Isfinite`, `Clip`, `Exp`, `Tanh`, `Sigmoid`, `Relu`, `Relu6`, `Softplus`, `Softsign`, `Silu`, `Selu`, `HardSigmoid`, `HardSilu`, `HardTanh`, `TanhShrink`, `LogSigmoid`, `Elu`, `LeakyRelu`, `Gelu`, `LogSoftmax`, `Divide`, `TrueDivide`, `DivideNoNan`, `FloorDivide`, `Mod`, `Power`, `Equal`, `NotEqual`, `Greater`, `GreaterEqual`, `Less`, `LessEqual`, `LogicalAnd`, `LogicalXor`, `Where`, `Cast`, `Copy`, `ConvertToTensor`, `OneHot`, `ZerosLike`, `OnesLike` |
//! | operations along axes | `Sum`, `Mean`, `Max`, `Min`, `Amax`, `Amin`, `Prod`, `Var`, `Std`, `Logsumexp`, `Norm`, `All`, `Argmax`, `Argmin`, `CountNonzero`, `Matmul`, `Einsum`, `Normalize` |
//! | operations that move elements, and those of masks | `GetItem`, `Transpose`, `Swapaxes`, `Moveaxis`, `Squeeze`, `Flip`, `Reshape`, `BroadcastTo`, `Stack`, `Split`, `Unstack`, `Tile`, `Repeat`, `Pad`, `Roll`, `Take`, `LogicalOr`, `Any`, `ExpandDims` |
//! | TensorFlow's operations in Keras 2 | `TFOpLambda`, `SlicingOpLambda` |
//!
//! `Sequential`, `Functional` and Keras 2's `Model` are models; `TextVectorization` and `StringLookup` read texts, which no
//! array holds: a model can begin behind them ([`Options::start_behind`](super::Options::start_behind), with their
//! [`vocabulary`](super::vocabulary)). Whatever else stands in a file, code of the program's own can take its place:
//! [`Options`](super::Options#what-a-file-cant-say).
