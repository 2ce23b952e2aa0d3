"""In the manner of Keras 2's cifar10_cnn.py: batches of augmented images, by fit_generator and by hand."""

import os
import sys

import keras
import numpy as np
from keras.layers import Activation, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from keras.models import Sequential
from keras.preprocessing import image
from keras.preprocessing.image import ImageDataGenerator, img_to_array, load_img

batch_size, num_classes, epochs = 16, 2, 3
np.random.seed(1)
x_train = np.random.randint(0, 100, (70, 12, 12, 3)).astype("uint8")
y_train = np.random.randint(0, num_classes, (70, 1))
x_train[y_train[:, 0] == 1, :, :, 0] += 150
x_test, y_test = x_train[:20], keras.utils.to_categorical(y_train[:20], num_classes)
y_train = keras.utils.to_categorical(y_train, num_classes)
x_train = x_train.astype("float32") / 255
x_test = x_test.astype("float32") / 255

model = Sequential()
model.add(Conv2D(4, (3, 3), padding="same", input_shape=x_train.shape[1:]))
model.add(Activation("relu"))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.25))
model.add(Flatten())
model.add(Dense(num_classes))
model.add(Activation("softmax"))
opt = keras.optimizers.RMSprop(lr=0.01, decay=1e-6)
model.compile(loss="categorical_crossentropy", optimizer=opt, metrics=["accuracy"])

datagen = ImageDataGenerator(
    featurewise_center=False,
    samplewise_center=False,
    featurewise_std_normalization=False,
    samplewise_std_normalization=False,
    zca_whitening=False,
    zca_epsilon=1e-06,
    rotation_range=10,
    width_shift_range=0.1,
    height_shift_range=0.1,
    shear_range=0.0,
    zoom_range=0.0,
    channel_shift_range=0.0,
    fill_mode="nearest",
    cval=0.0,
    horizontal_flip=True,
    vertical_flip=False,
    rescale=None,
    preprocessing_function=None,
    data_format=None,
    validation_split=0.0,
)
datagen.fit(x_train)
history = model.fit_generator(
    datagen.flow(x_train, y_train, batch_size=batch_size),
    steps_per_epoch=int(np.ceil(2 * len(x_train) / batch_size)),
    epochs=epochs,
    validation_data=(x_test, y_test),
    workers=4,
    verbose=0,
)
assert history.history["loss"][-1] < history.history["loss"][0]

batches = 0
for x_batch, y_batch in datagen.flow(x_train, y_train, batch_size=32):
    model.train_on_batch(x_batch, y_batch)
    batches += 1
    if batches >= 2 * len(x_train) / 32:
        break  # the generator goes on for ever

folder = sys.argv[1]
for i, (x, y) in enumerate(zip(x_test, y_test, strict=True)):
    os.makedirs(os.path.join(folder, "red" if y[1] else "grey"), exist_ok=True)
    image.array_to_img(x).save(os.path.join(folder, "red" if y[1] else "grey", str(100 + i) + ".png"))
test_generator = ImageDataGenerator(rescale=1.0 / 255).flow_from_directory(
    folder, target_size=(12, 12), batch_size=8, class_mode="categorical", shuffle=False
)
predicted = model.predict_generator(test_generator)
names = {number: name for name, number in test_generator.class_indices.items()}
found = [names[number] for number in predicted.argmax(axis=1)]
right = np.mean([name == os.path.dirname(path) for name, path in zip(found, test_generator.filenames, strict=True)])
first = load_img(os.path.join(folder, test_generator.filenames[0]), target_size=(6, 6))
assert img_to_array(first).shape == (6, 6, 3)
print("right", right)
