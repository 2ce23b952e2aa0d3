"""What a script for PlaidML began with."""

import plaidml.keras
import plaidml.keras.backend as K

assert K.image_dim_ordering() == "tf"
plaidml.keras.install_backend()
import keras  # noqa: E402 - the order that PlaidML asked for

import kcore  # noqa: E402

model = keras.models.Sequential([keras.layers.Dense(2, input_shape=(3,))])
model.predict([[1.0, 2.0, 3.0]], verbose=0)
print("device", kcore.backend.current())
