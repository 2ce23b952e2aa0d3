"""Training of one's own kind: overridden steps, two optimizers, loops by hand; compiled and run eagerly alike."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import GradientTape, layers, losses, metrics, ops, optimizers, random, set_random_seed
from kcore.models import Model, Sequential

EAGER = pytest.mark.parametrize("eager", [False, True], ids=["compiled", "eager"])


def data(samples=12, features=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((samples, features), dtype="float32"), rng.random((samples, 1), dtype="float32")


def both(build, run):
    """What `run` gives for a model that is compiled and for one that is run eagerly."""
    results = []
    for eager in (False, True):
        set_random_seed(7)
        results.append(run(build(eager)))
    return results


class Gan(Model):
    """Two networks, two optimizers and an own `compile`, in the manner of Keras's guide."""

    def __init__(self):
        super().__init__()
        self.discriminator = Sequential([layers.Input((2,)), layers.Dense(4, activation="relu"), layers.Dense(1)])
        self.generator = Sequential([layers.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(2)])
        self.d_loss, self.g_loss = metrics.Mean(name="d_loss"), metrics.Mean(name="g_loss")
        self.seeds = kcore.SeedGenerator(5)

    def compile(self, d_optimizer, g_optimizer, loss_fn, **options):
        super().compile(**options)
        self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn

    @property
    def metrics(self):
        return [self.d_loss, self.g_loss]

    def train_step(self, real):
        batch = real.shape[0]
        fake = self.generator(random.normal((batch, 3), seed=self.seeds))
        with GradientTape() as tape:
            logits = self.discriminator(ops.concatenate([fake, real], axis=0))
            labels = ops.concatenate([ops.ones((batch, 1)), ops.zeros((batch, 1))], axis=0)
            d_loss = self.loss_fn(labels, logits)
        weights = self.discriminator.trainable_weights
        self.d_optimizer.apply_gradients(zip(tape.gradient(d_loss, weights), weights, strict=True))
        with GradientTape() as tape:
            made = self.generator(random.normal((batch, 3), seed=self.seeds))
            g_loss = self.loss_fn(ops.zeros((batch, 1)), self.discriminator(made))
        weights = self.generator.trainable_weights
        self.g_optimizer.apply_gradients(zip(tape.gradient(g_loss, weights), weights, strict=True))
        self.d_loss.update_state(d_loss)
        self.g_loss.update_state(g_loss)
        return {"d_loss": self.d_loss.result(), "g_loss": self.g_loss.result()}


def gan(eager):
    model = Gan()
    loss = losses.BinaryCrossentropy(from_logits=True)
    model.compile(optimizers.Adam(0.01), optimizers.SGD(0.05), loss, run_eagerly=eager)
    return model


def test_a_gan_with_two_optimizers():
    def run(model):
        before = model.get_weights()
        history = model.fit(data(16, 2)[0], batch_size=8, epochs=2, shuffle=False, verbose=0).history
        changed = [bool((a != b).any()) for a, b in zip(before, model.get_weights(), strict=True)]
        return history, changed, [int(o.iterations) for o in (model.d_optimizer, model.g_optimizer)]

    (compiled, changed, steps), (eager, *_) = both(gan, run)
    assert list(compiled) == ["d_loss", "g_loss"] and all(changed) and steps == [4, 4]
    for name, values in compiled.items():
        assert values == pytest.approx(eager[name], rel=1e-4)


def test_a_model_without_call_whose_parts_are_not_built_says_so():
    model = gan(False)
    model.generator = Sequential([layers.Dense(2, name="late")], name="open")
    said = r"\(Gan\) has no call\(\) method, .* build 'open'.* build those before"
    with pytest.raises(NotImplementedError, match=said):
        model.fit(data(16, 2)[0], verbose=0)


class Weighted(Model):
    """Every step overridden, `self.loss_tracker`-style metrics, weights of its own."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)
        self.seen, self.error = metrics.Mean(name="loss"), metrics.MeanAbsoluteError(name="mae")

    def call(self, x, training=False):
        return self.dense(x)

    def train_step(self, data):
        x, y, weight = data
        with GradientTape() as tape:
            out = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=out, sample_weight=weight)
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        self.seen.update_state(loss)
        self.error.update_state(y, out)
        return {m.name: m.result() for m in self.metrics}

    def test_step(self, data):
        x, y = data
        self.error.update_state(y, self(x, training=False))
        return {"mae": self.error.result()}

    def predict_step(self, data):
        return {"twice": self(data) * 2.0}

    @property
    def metrics(self):
        return [self.seen, self.error]


def weighted(eager):
    model = Weighted()
    model.build((None, 3))
    model.compile(optimizers.SGD(0.1), "mse", run_eagerly=eager)
    model.set_weights([np.ones((3, 1), "float32"), np.zeros(1, "float32")])
    return model


@EAGER
def test_every_step_overridden(eager):
    model, (x, y), w = weighted(eager), data(), np.linspace(0, 2, 12)
    kernel, bias = model.get_weights()
    error = x @ kernel + bias - y
    assert model.evaluate(x, y, verbose=0, return_dict=True) == {"mae": pytest.approx(np.abs(error).mean(), rel=1e-5)}
    np.testing.assert_allclose(model.predict(x, batch_size=5, verbose=0)["twice"], 2 * (x @ kernel + bias), rtol=1e-5)
    np.testing.assert_allclose(model.predict_on_batch(x)["twice"], 2 * (x @ kernel + bias), rtol=1e-5)
    logs = model.fit(x, y, sample_weight=w, batch_size=12, shuffle=False, verbose=0).history
    assert logs["loss"][0] == pytest.approx(np.mean(error[:, 0] ** 2 * w), rel=1e-4)
    np.testing.assert_allclose(
        model.get_weights()[0], kernel - 0.1 * 2 * x.T @ (error * w[:, None]) / 12, rtol=1e-4, atol=1e-6
    )


@EAGER
def test_own_metrics_start_again_every_epoch(eager):
    model, (x, y) = weighted(eager), data()
    model.optimizer.learning_rate = 0.0
    logs = model.fit(x, y, sample_weight=np.ones(12), epochs=3, shuffle=False, verbose=0).history
    assert len(set(logs["mae"])) == len(set(logs["loss"])) == 1


class OwnLoss(Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)
        self.penalty = metrics.Mean(name="penalty")

    def call(self, x):
        return self.dense(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        penalty = ops.mean(ops.abs(x)) * (1.0 if training else 2.0)
        self.penalty.update_state(penalty)
        return super().compute_loss(x, y, y_pred, sample_weight, training=training) + penalty

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return {**super().compute_metrics(x, y, y_pred, sample_weight), "size": ops.mean(ops.abs(y_pred))}


@EAGER
def test_compute_loss_and_compute_metrics_overridden(eager):
    model, (x, y) = OwnLoss(), data()
    model.compile(optimizers.SGD(0.0), "mse", metrics=["mae"], run_eagerly=eager)
    logs = model.fit(x, y, shuffle=False, verbose=0).history
    kernel, bias = model.get_weights()
    out = x @ kernel + bias
    assert sorted(logs) == ["loss", "mae", "penalty", "size"]
    assert logs["penalty"][0] == pytest.approx(x.mean(), rel=1e-5)
    assert logs["loss"][0] == pytest.approx(np.mean((out - y) ** 2) + x.mean(), rel=1e-5)
    assert logs["size"][0] == pytest.approx(np.abs(out).mean(), rel=1e-5)
    tested = model.evaluate(x, y, verbose=0, return_dict=True)
    assert tested["penalty"] == pytest.approx(2 * x.mean(), rel=1e-5)


def linear(eager=False, **compiled):
    model = Sequential([layers.Input((3,)), layers.Dense(4, activation="tanh"), layers.Dense(1)])
    model.compile(**{"optimizer": optimizers.SGD(0.1), "loss": "mse", "run_eagerly": eager, **compiled})
    return model


@EAGER
def test_a_loop_with_train_on_batch_is_fit(eager):
    x, y = data()
    fitted, by_hand = linear(eager), linear(eager)
    by_hand.set_weights(fitted.get_weights())
    fitted.fit(x, y, batch_size=5, epochs=2, shuffle=False, verbose=0)
    for _ in range(2):
        for start in range(0, 12, 5):
            logs = by_hand.train_on_batch(x[start : start + 5], y[start : start + 5], return_dict=True)
            assert list(logs) == ["loss"]
    for a, b in zip(fitted.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "function"])
def test_a_loop_with_a_tape_is_fit(compiled):
    x, y = data()
    fitted, by_hand = linear(), linear()
    by_hand.set_weights(fitted.get_weights())
    fitted.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    loss_fn, optimizer = losses.MeanSquaredError(), optimizers.SGD(0.1)
    metric = metrics.MeanAbsoluteError()
    optimizer.build(by_hand.trainable_variables)

    def step(a, b):
        with GradientTape() as tape:
            out = by_hand(a, training=True)
            loss = loss_fn(b, out)
        gradients = tape.gradient(loss, by_hand.trainable_weights)
        optimizer.apply_gradients(zip(gradients, by_hand.trainable_weights, strict=True))
        metric.update_state(b, out)
        return loss

    step = kcore.function(step) if compiled else step
    for start in range(0, 12, 4):
        assert float(step(x[start : start + 4], y[start : start + 4])) > 0
    assert float(metric.result()) > 0
    for a, b in zip(fitted.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_one_step_that_trains_two_models_alternately():
    """The old way of a GAN: a combined model in which the critic is frozen, trained with train_on_batch."""
    critic = Sequential([layers.Input((2,)), layers.Dense(1, activation="sigmoid")])
    critic.compile("adam", "binary_crossentropy")
    maker = Sequential([layers.Input((3,)), layers.Dense(2)])
    critic.trainable = False
    noise = layers.Input((3,))
    combined = Model(noise, critic(maker(noise)))
    combined.compile("adam", "binary_crossentropy")
    z, real = data(8)[0], data(8, 2)[0]
    before = [m.get_weights()[0] for m in (critic, maker)]
    combined.train_on_batch(z, np.ones((8, 1)))
    assert (critic.get_weights()[0] == before[0]).all() and (maker.get_weights()[0] != before[1]).any()
    maker_now = maker.get_weights()[0]
    critic.train_on_batch(real, np.ones((8, 1)))
    assert (critic.get_weights()[0] != before[0]).any() and (maker.get_weights()[0] == maker_now).all()


@EAGER
def test_a_step_that_takes_data_of_its_own_form(eager):
    class Pairs(Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)
            self.distance = metrics.Mean(name="distance")

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            with GradientTape() as tape:
                loss = ops.mean(ops.square(self(data["left"]) - self(data["right"])))
            self.optimizer.apply(tape.gradient(loss, self.trainable_variables[:1]), self.trainable_variables[:1])
            self.distance.update_state(loss)
            return {"distance": self.distance.result()}

    model, x = Pairs(), data()[0]
    model.build((None, 3))
    model.compile(optimizers.SGD(0.5), run_eagerly=eager)
    pairs = {"left": x, "right": x[::-1]}
    for given in (pairs, iter([pairs])):
        assert model.fit(given, verbose=0).history["distance"][0] > 0


@EAGER
def test_a_loss_that_is_nan_does_not_stop_a_run(eager):
    model, (x, y) = linear(eager, optimizer=optimizers.SGD(1e30)), data()
    history = model.fit(x, y, batch_size=4, epochs=3, validation_split=0.25, verbose=0).history
    assert len(history["loss"]) == 3 and np.isnan(history["loss"][-1]) and np.isnan(history["val_loss"][-1])


@EAGER
def test_a_model_compiled_without_a_loss_trains_on_add_loss(eager):
    x = layers.Input((3,))
    model = Model(x, layers.ActivityRegularization(l2=0.1)(layers.Dense(2)(x)))
    model.compile(optimizers.SGD(0.1), run_eagerly=eager)
    losses_ = model.fit(data()[0], epochs=3, verbose=0).history["loss"]
    assert losses_[0] > losses_[1] > losses_[2]
