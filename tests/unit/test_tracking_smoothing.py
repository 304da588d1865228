"""One-Euro filters against the paper's algorithm in plain Python, and what they are for: steady, yet not late."""

from __future__ import annotations

import math

import numpy as np
import pytest

from handpose_native.tracking import SMOOTHING, OneEuroFilter, Smoothing

SETTINGS = [setting for setting in SMOOTHING.values() if setting is not None]


def plain_one_euro(values: np.ndarray, times: np.ndarray, setting: Smoothing, size: float) -> np.ndarray:
    """Casiez et al. 2012, Algorithm 1, for one point; the speed is the length of the filtered velocity per size."""

    def alpha(cutoff: float, step: float) -> float:
        tau = 1 / (2 * math.pi * cutoff)
        return 1 / (1 + tau / step)

    filtered, velocity = values[0].astype(float), np.zeros(values.shape[1])
    result = [filtered]
    for i in range(1, len(values)):
        step = times[i] - times[i - 1]
        a = alpha(1.0, step)
        velocity = a * ((values[i] - filtered) / step) + (1 - a) * velocity
        a = alpha(setting.min_cutoff_hz + setting.beta * np.linalg.norm(velocity) / size, step)
        filtered = a * values[i] + (1 - a) * filtered
        result.append(filtered)
    return np.array(result)


@pytest.mark.parametrize("setting", SETTINGS)
def test_equals_the_paper(setting: Smoothing, rng: np.random.Generator) -> None:
    times = np.cumsum(rng.uniform(0.01, 0.1, 50))
    values = np.cumsum(rng.normal(0, 5, (50, 21, 2)), axis=0).astype(np.float32)
    smooth = OneEuroFilter(setting)
    got = np.array([smooth(frame, float(time), 80.0) for frame, time in zip(values, times)])
    expected = np.stack([plain_one_euro(values[:, k], times, setting, 80.0) for k in range(21)], axis=1)
    np.testing.assert_allclose(got, expected, atol=1e-3)


def test_a_still_hand_is_steadier_the_stronger_the_setting(rng: np.random.Generator) -> None:
    noisy = (100 + rng.normal(0, 1, (200, 21, 2))).astype(np.float32)
    jitter = [noisy[50:].std(axis=0).mean()]
    for setting in SETTINGS:
        smooth = OneEuroFilter(setting)
        jitter.append(np.array([smooth(one, i / 30, 100.0) for i, one in enumerate(noisy)])[50:].std(axis=0).mean())
    assert jitter[0] > 1.5 * jitter[1] > 1.5 * 1.5 * jitter[2]


def test_times_that_repeat_or_go_back_do_no_harm() -> None:
    smooth = OneEuroFilter(SETTINGS[0])
    points = np.zeros((21, 2), np.float32)
    for time_s in (0.0, 0.0, 1.0, 0.5, 0.5, 2.0):
        points += 1
        assert np.isfinite(smooth(points, time_s, 50.0)).all()


def test_the_result_is_new_memory() -> None:
    smooth = OneEuroFilter(SETTINGS[0])
    points = np.ones((21, 2), np.float32)
    first = smooth(points, 0.0, 50.0)
    second = smooth(points, 0.1, 50.0)
    assert not np.shares_memory(first, points)
    assert not np.shares_memory(first, second)
