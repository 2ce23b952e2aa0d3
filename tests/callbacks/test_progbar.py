"""The bar on a terminal: what is drawn, how often, and what it does to other output."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import pytest

from kcore.callbacks import LambdaCallback, ProgbarLogger
from kcore.training import progress
from kcore.training.progress import Progbar


class Screen(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    return Screen()


def test_a_fit_draws_its_last_state_and_lets_callbacks_print_above_it(model, data, screen):
    say = LambdaCallback(on_epoch_end=lambda epoch, logs: print("something to say"))
    with redirect_stdout(screen):
        model.fit(*data, batch_size=8, epochs=2, verbose=1, callbacks=say)
    text = screen.getvalue()
    assert "Epoch 1/2" in text and text.count("something to say") == 2
    assert "4/4" in text and "accuracy: " in text and "━" * 20 in text
    assert text.index("something to say") < text.rindex("4/4")


def test_a_bar_without_a_known_end_counts(screen):
    with redirect_stdout(screen):
        bar = Progbar(None)
        bar.update(1, {"loss": 0.5})
        bar.finish(3, {"loss": 0.25})
    assert "1/Unknown" in screen.getvalue() and "loss: 0.2500" in screen.getvalue()


def test_metrics_are_read_as_rarely_as_the_time_a_redraw_takes_asks_for(screen, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    read = []

    class Slow(dict):
        def items(self):
            now[0] += 0.0012  # a redraw takes 1.2 ms: it may come every 200 ms
            read.append(now[0])
            return super().items()

    with redirect_stdout(screen):
        bar = Progbar(5000)
        for step in range(1, 1001):
            now[0] += 0.001
            bar.update(step, Slow(loss=0.5))
        bar.close()
    assert 4 <= len(read) <= 6
    assert all(b - a >= 0.2 for a, b in zip(read, read[1:], strict=False))


def test_an_error_lets_go_of_the_screen(model, data, screen):
    logger = ProgbarLogger()
    with redirect_stdout(screen):
        with pytest.raises(ZeroDivisionError):
            fail = LambdaCallback(on_train_batch_end=lambda batch, logs: 1 / 0)
            model.fit(*data, verbose=1, callbacks=[logger, fail])
        assert logger.progbar is None
        drawn = screen.getvalue()
        assert drawn.count("\x1b[?25h") == drawn.count("\x1b[?25l") == 1  # the cursor is shown again
        model.fit(*data, verbose=1, callbacks=logger)
    assert "1/1" in screen.getvalue()[len(drawn) :]
