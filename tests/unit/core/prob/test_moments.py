"""Moments of what comes in batches are those of all of it."""

import numpy as np

from hvae_core.prob.moments import RunningMoments


def test_moments_of_batches_are_those_of_the_whole():
    rows = 1e4 + np.random.default_rng(0).normal(size=(7, 2, 3))
    moments = RunningMoments()
    for part in (rows[:1], rows[1:4], rows[4:]):
        moments.add(part)
    assert moments.count == 7
    np.testing.assert_allclose(moments.mean, rows.mean(axis=0))
    np.testing.assert_allclose(moments.variance(), rows.var(axis=0), rtol=1e-9)
    np.testing.assert_allclose(moments.std(), rows.std(axis=0, ddof=1), rtol=1e-9)
    np.testing.assert_allclose(moments.standard_error(), moments.std() / np.sqrt(7))


def test_a_single_row_has_no_spread():
    moments = RunningMoments()
    moments.add(np.ones((1, 4), np.float32))
    np.testing.assert_array_equal(moments.std(), np.zeros(4))
