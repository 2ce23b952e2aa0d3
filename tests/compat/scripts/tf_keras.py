"""In the manner of tf.keras."""

import numpy as np
import tensorflow as tf
import tensorflow.keras.backend as K
from tensorflow import keras
from tensorflow.keras import layers
from tensorflow.keras.optimizers.legacy import Adam
from tensorflow.python.keras.layers import Dense

assert tf.keras.layers.Dense is Dense is layers.Dense is keras.layers.Dense
tf.random.set_seed(3)
model = tf.keras.Sequential(
    [layers.Flatten(input_shape=(4, 4)), Dense(8, activation=tf.keras.activations.relu), Dense(2)]
)
model.compile(optimizer=Adam(1e-2), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
x = np.random.RandomState(0).rand(32, 4, 4)
losses = model.fit(x, (x[:, 0, 0] > 0.5).astype(int), epochs=4, verbose=0).history["loss"]
assert losses[-1] < losses[0] and K.floatx() == "float32"
print("trained with", tf.__version__)
