"""Mergeable moments against those of all samples at once."""

from itertools import pairwise

import numpy as np
import pytest

from mvica import MultiViewData
from mvica.reduction.moments import Moments

CUTS = [0, 7, 8, 60, 200]


def views(dtype=np.float64, offset=0.0, seed=0):
    rng = np.random.default_rng(seed)
    S = rng.exponential(size=(200, 3))
    signals = [S @ rng.standard_normal((3, d)) for d in (3, 5, 4)]
    return [(X + offset + 0.1 * rng.standard_normal(X.shape)).astype(dtype) for X in signals]


def direct(X):
    """Moments by their definitions."""
    table = np.hstack(X).astype(np.float64)
    Xc = table - table.mean(axis=0)
    squares = [np.sum((V - V.mean(axis=0)) ** 2, axis=1) for V in (x.astype(float) for x in X)]
    cubes = [q @ (x - x.mean(axis=0, dtype=float)) for q, x in zip(squares, X, strict=True)]
    return table.mean(axis=0), Xc.T @ Xc, np.concatenate(cubes), [q @ q for q in squares]


def assert_moments(moments, X, rtol=1e-11):
    mean, scatter, cubes, fourths = direct(X)
    assert moments.n_samples == len(X[0])
    np.testing.assert_allclose(moments.mean, mean, rtol=rtol)
    np.testing.assert_allclose(moments.scatter, scatter, atol=rtol * np.abs(scatter).max())
    np.testing.assert_allclose(moments.cubes, cubes, atol=rtol * np.abs(cubes).max())
    np.testing.assert_allclose(moments.fourths, fourths, rtol=rtol)


def pieces(X):
    return [[x[a:b] for x in X] for a, b in pairwise(CUTS)]


@pytest.mark.parametrize("unit", [1.0, 1e-13])
def test_batches_give_the_moments_of_all_samples(unit):
    X = [x * unit for x in views()]
    moments = Moments()
    for piece in pieces(X):
        assert moments.update(piece) is moments
    assert_moments(moments, X)


def test_merging_in_any_order_and_grouping():
    X = views()
    a, b, c, d = (Moments().update(piece) for piece in pieces(X))
    kept = c.copy()
    merged = d.merge(b).merge(Moments()).merge(Moments().merge(c).merge(a))
    assert_moments(merged, X)
    np.testing.assert_array_equal(c.scatter, kept.scatter)
    empty = Moments().merge(Moments())
    assert empty.n_samples == 0


def test_an_offset_costs_no_digits():
    X, far = views(), views(offset=2.0**20)
    moments, moved = Moments(), Moments()
    for near, piece in zip(pieces(X), pieces(far), strict=True):
        moments.update(near)
        moved.update(piece)
    # Entries of `far` are rounded at 1e-10.
    np.testing.assert_allclose(moved.covariance(), moments.covariance(), atol=1e-8)
    np.testing.assert_allclose(moved.fourths, moments.fourths, rtol=1e-8)


def test_forms_of_data():
    X = views()
    expected = Moments().update(X)
    for form, sizes in ((MultiViewData(X), None), (np.hstack(X), (3, 5, 4))):
        found = Moments(view_sizes=sizes).update(form[:50]).update(form[50:])
        assert found.sizes == (3, 5, 4)
        np.testing.assert_allclose(found.scatter, expected.scatter, rtol=1e-11, atol=1e-11)


def test_single_precision_is_remembered():
    narrow = views(np.float32)
    moments = Moments().update([x[:90] for x in narrow]).update([x[90:] for x in views()])
    assert moments.dtype == np.float32
    assert moments.scatter.dtype == np.float64
    assert_moments(Moments().update(narrow), narrow, rtol=1e-6)


def test_blocks_of_the_covariance():
    X = views()
    moments = Moments().update(X)
    Xc = [x - x.mean(axis=0) for x in X]
    np.testing.assert_allclose(moments.covariance(1), Xc[1].T @ Xc[1] / 200, atol=1e-12)
    np.testing.assert_allclose(moments.covariance(2, 0), Xc[2].T @ Xc[0] / 200, atol=1e-12)


def test_other_sizes_are_refused_and_change_nothing():
    X = views()
    moments = Moments().update(X)
    with pytest.raises(ValueError, match=r"sizes \(5, 3, 4\).*sizes \(3, 5, 4\)"):
        moments.update([X[1], X[0], X[2]])
    with pytest.raises(ValueError, match=r"sizes \(3, 5\).*sizes \(3, 5, 4\)"):
        moments.merge(Moments().update(X[:2]))
    assert_moments(moments, X)
