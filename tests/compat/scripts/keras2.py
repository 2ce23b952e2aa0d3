"""In the manner of Keras 2.2: modules and names that Keras 3 no longer has."""

import sys

import keras
import keras.backend as K
import numpy as np
from keras import backend
from keras.callbacks import EarlyStopping
from keras.layers import Input
from keras.layers.advanced_activations import LeakyReLU
from keras.layers.core import Activation, Dense, Dropout, Lambda
from keras.layers.normalization import BatchNormalization
from keras.models import Model, Sequential
from keras.optimizers import RMSprop
from keras.preprocessing.sequence import pad_sequences
from keras.preprocessing.text import Tokenizer
from keras.utils import np_utils

assert K is backend
rng = np.random.RandomState(1)
x = rng.rand(64, 12).astype("float32")
y = np_utils.to_categorical((x.sum(axis=1) > 6).astype(int), 2)

model = Sequential()
model.add(Dense(16, input_dim=12))
model.add(LeakyReLU())
model.add(BatchNormalization())
model.add(Dropout(0.1))
model.add(Dense(2))
model.add(Activation("softmax"))
model.compile(loss="categorical_crossentropy", optimizer=RMSprop(lr=1e-2), metrics=["acc"])
history = model.fit(x, y, batch_size=16, epochs=5, verbose=0, callbacks=[EarlyStopping(monitor="loss", patience=3)])
assert history.history["loss"][-1] < history.history["loss"][0]

hidden = K.function([model.layers[0].input, K.learning_phase()], [model.layers[1].output])
values = hidden([x[:3], 0])[0]
assert values.shape == (3, 16)
K.set_value(model.optimizer.lr, 1e-4)
assert abs(K.get_value(model.optimizer.lr) - 1e-4) < 1e-9


def sampling(pair):
    mean, log_variance = pair
    noise = K.random_normal(shape=(K.shape(mean)[0], K.int_shape(mean)[1]))
    return mean + K.exp(0.5 * log_variance) * noise


inputs = Input((12,))
mean, log_variance = Dense(2)(inputs), Dense(2)(inputs)
z = Lambda(sampling, output_shape=(2,))([mean, log_variance])
outputs = Dense(12, activation="sigmoid")(z)
vae = Model(inputs, outputs)
reconstruction = 12 * keras.losses.binary_crossentropy(inputs, outputs)
divergence = -0.5 * K.sum(1 + log_variance - K.square(mean) - K.exp(log_variance), axis=-1)
vae.add_loss(K.mean(reconstruction + divergence))
vae.compile(optimizer="adam")
losses = vae.fit(x, epochs=4, batch_size=16, verbose=0).history["loss"]
assert losses[-1] < losses[0]

tokenizer = Tokenizer(num_words=10)
tokenizer.fit_on_texts(["the cat sat", "the mat"])
assert pad_sequences(tokenizer.texts_to_sequences(["the mat"]), maxlen=3).tolist() == [[0, 1, 4]]


def own_loss(target, output):
    return K.mean(K.square(target - output), axis=-1)


model.compile(loss=own_loss, optimizer="sgd")
model.train_on_batch(x, y)
print("arguments", sys.argv[1:], keras.__version__)
