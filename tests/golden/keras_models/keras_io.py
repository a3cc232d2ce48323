"""The examples of keras.io that have a recurrent layer, with random weights, smaller, and what Keras computes with them.

`keras_io.py` writes keras_io/ and keras_io.json. Versions: requirements.txt. Each function is the part of an example
that builds the model, with fewer units, words and pixels; what trains it (a CTC loss written as a layer) is left out, as
the examples leave it out to predict. The one that is missing, timeseries/timeseries_traffic_forecasting, is made of
layers of its own.
"""

from convolutions import write as write_case
from convolutions import CASES
from random_graphs import HERE, L, dump, keras

CASES.clear()


def case(function):
    CASES[function.__name__] = function
    return function


@case
def nlp_bidirectional_lstm_imdb(r):
    x = keras.Input((None,), dtype="int32")
    y = L.Embedding(40, 8)(x)
    y = L.Bidirectional(L.LSTM(6, return_sequences=True))(y)
    y = L.Bidirectional(L.LSTM(6))(y)
    return keras.Model(x, L.Dense(1, activation="sigmoid")(y)), [r.ids(3, 7)]


@case
def nlp_addition_rnn(r):
    model = keras.Sequential([L.Input((7, 12)), L.LSTM(8), L.RepeatVector(4)])
    model.add(L.LSTM(8, return_sequences=True))
    model.add(L.Dense(12, activation="softmax"))
    return model, [r.floats(3, 7, 12)]


@case
def nlp_lstm_seq2seq(r):
    encoder_inputs = keras.Input(shape=(None, 9))
    encoder = L.LSTM(8, return_state=True)
    _, state_h, state_c = encoder(encoder_inputs)
    decoder_inputs = keras.Input(shape=(None, 11))
    decoder_lstm = L.LSTM(8, return_sequences=True, return_state=True)
    decoder_outputs, _, _ = decoder_lstm(decoder_inputs, initial_state=[state_h, state_c])
    decoder_outputs = L.Dense(11, activation="softmax")(decoder_outputs)
    return keras.Model([encoder_inputs, decoder_inputs], decoder_outputs), [r.floats(3, 6, 9), r.floats(3, 4, 11)]


@case
def nlp_active_learning_review_classification(r):
    model = keras.models.Sequential([
        L.Input(shape=(15,)), L.Embedding(input_dim=30, output_dim=8), L.Bidirectional(L.LSTM(4, return_sequences=True)),
        L.GlobalMaxPool1D(), L.Dense(20, activation="relu"), L.Dropout(0.5), L.Dense(1, activation="sigmoid"),
    ])
    return model, [r.ids(3, 15)]


@case
def generative_lstm_character_level_text_generation(r):
    model = keras.Sequential([keras.Input(shape=(10, 14)), L.LSTM(8), L.Dense(14, activation="softmax")])
    return model, [r.floats(3, 10, 14)]


@case
def timeseries_timeseries_weather_forecasting(r):
    inputs = L.Input(shape=(12, 7))
    lstm_out = L.LSTM(8)(inputs)
    return keras.Model(inputs=inputs, outputs=L.Dense(1)(lstm_out)), [r.floats(3, 12, 7)]


@case
def vision_video_classification(r):
    frames, mask = keras.Input((6, 10)), keras.Input((6,), dtype="bool")
    x = L.GRU(5, return_sequences=True)(frames, mask=mask)
    x = L.GRU(4)(x)
    x = L.Dropout(0.4)(x)
    x = L.Dense(4, activation="relu")(x)
    output = L.Dense(3, activation="softmax")(x)
    return keras.Model([frames, mask], output), [r.floats(3, 6, 10), r.ids(3, 6) > 0]


@case
def vision_captcha_ocr(r):
    image = L.Input(shape=(24, 12, 1), name="image")
    x = L.Conv2D(6, (3, 3), activation="relu", kernel_initializer="he_normal", padding="same", name="Conv1")(image)
    x = L.MaxPooling2D((2, 2), name="pool1")(x)
    x = L.Conv2D(8, (3, 3), activation="relu", kernel_initializer="he_normal", padding="same", name="Conv2")(x)
    x = L.MaxPooling2D((2, 2), name="pool2")(x)
    x = L.Reshape(target_shape=(6, 3 * 8), name="reshape")(x)
    x = L.Dense(10, activation="relu", name="dense1")(x)
    x = L.Dropout(0.2)(x)
    x = L.Bidirectional(L.LSTM(6, return_sequences=True, dropout=0.25))(x)
    x = L.Bidirectional(L.LSTM(4, return_sequences=True, dropout=0.25))(x)
    return keras.Model(image, L.Dense(7, activation="softmax", name="dense2")(x)), [r.floats(2, 24, 12, 1)]


@case
def vision_handwriting_recognition(r):
    image = keras.Input(shape=(16, 8, 1), name="image")
    x = L.Conv2D(4, (3, 3), activation="relu", kernel_initializer="he_normal", padding="same", name="Conv1")(image)
    x = L.MaxPooling2D((2, 2), name="pool1")(x)
    x = L.Conv2D(6, (3, 3), activation="relu", kernel_initializer="he_normal", padding="same", name="Conv2")(x)
    x = L.MaxPooling2D((2, 2), name="pool2")(x)
    x = L.Reshape(target_shape=(4, 12), name="reshape")(x)
    x = L.Dense(8, activation="relu", name="dense1")(x)
    x = L.Dropout(0.2)(x)
    x = L.Bidirectional(L.LSTM(6, return_sequences=True, dropout=0.25))(x)
    x = L.Bidirectional(L.LSTM(5, return_sequences=True, dropout=0.25))(x)
    return keras.Model(image, L.Dense(9, activation="softmax", name="dense2")(x)), [r.floats(2, 16, 8, 1)]


@case
def vision_conv_lstm(r):
    inp = L.Input(shape=(None, 8, 8, 1))
    x = L.ConvLSTM2D(filters=4, kernel_size=(5, 5), padding="same", return_sequences=True, activation="relu")(inp)
    x = L.BatchNormalization()(x)
    x = L.ConvLSTM2D(filters=4, kernel_size=(3, 3), padding="same", return_sequences=True, activation="relu")(x)
    x = L.BatchNormalization()(x)
    x = L.ConvLSTM2D(filters=4, kernel_size=(1, 1), padding="same", return_sequences=True, activation="relu")(x)
    x = L.Conv3D(filters=1, kernel_size=(3, 3, 3), activation="sigmoid", padding="same")(x)
    return keras.Model(inp, x), [r.floats(2, 3, 8, 8, 1)]


@case
def audio_ctc_asr(r):
    spectrogram = L.Input((None, 13), name="input")
    x = L.Reshape((-1, 13, 1), name="expand_dim")(spectrogram)
    x = L.Conv2D(4, [5, 7], strides=[2, 2], padding="same", use_bias=False, name="conv_1")(x)
    x = L.BatchNormalization(name="conv_1_bn")(x)
    x = L.ReLU(name="conv_1_relu")(x)
    x = L.Conv2D(4, [5, 3], strides=[1, 2], padding="same", use_bias=False, name="conv_2")(x)
    x = L.BatchNormalization(name="conv_2_bn")(x)
    x = L.ReLU(name="conv_2_relu")(x)
    x = L.Reshape((-1, x.shape[-2] * x.shape[-1]))(x)
    for i in range(1, 4):
        recurrent = L.GRU(units=5, activation="tanh", recurrent_activation="sigmoid", use_bias=True,
                          return_sequences=True, reset_after=True, name=f"gru_{i}")
        x = L.Bidirectional(recurrent, name=f"bidirectional_{i}", merge_mode="concat")(x)
        if i < 3:
            x = L.Dropout(rate=0.5)(x)
    x = L.Dense(units=10, name="dense_1")(x)
    x = L.ReLU(name="dense_1_relu")(x)
    x = L.Dropout(rate=0.5)(x)
    return keras.Model(spectrogram, L.Dense(units=6, activation="softmax")(x)), [r.floats(2, 9, 13)]


def main():
    folder = HERE / "keras_io"
    folder.mkdir(exist_ok=True)
    dump(HERE / "keras_io.json", [write_case(name, folder) for name in CASES])


if __name__ == "__main__":
    main()
