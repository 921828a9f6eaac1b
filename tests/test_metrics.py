import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvica.metrics import (
    amari_distance,
    amari_index,
    match_sources,
    reconstruction_r2,
    source_error,
    time_segment_matching,
    view_agreement,
)


def signed_permutation(rng, p):
    return np.eye(p)[rng.permutation(p)] * rng.choice([-1.0, 1.0], size=p)


# Amari scores: closed forms ----------------------------------------------------------------------


@pytest.mark.parametrize("score", [amari_distance, amari_index])
def test_amari_is_zero_on_scaled_permutations_only(score):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((3, 7, 4))
    W = [rng.uniform(0.1, 9, (4, 1)) * (signed_permutation(rng, 4) @ np.linalg.pinv(a)) for a in A]
    assert score(W, A) < 1e-12
    W[1] = W[1] + 0.1 * W[1][::-1]
    assert score(W, A) > 1e-3


def test_amari_of_a_two_by_two_matrix_with_one_leak():
    # rows: e.g. (1, a) gives a, (0, 1) gives 0; columns: (1, 0) gives 0, (a, 1) gives a
    P = np.array([[1.0, 0.3], [0.0, 1.0]])
    np.testing.assert_allclose(amari_distance(P), 2 * 0.3**2 / (2 * 2), rtol=1e-14)
    np.testing.assert_allclose(amari_index(P), 2 * 0.3 / (2 * 2 * 1), rtol=1e-14)


def test_amari_of_a_full_two_by_two_matrix():
    P = np.array([[2.0, -1.0], [3.0, 4.0]])
    squared = (1 / 4 + 9 / 16) + (4 / 9 + 1 / 16)
    absolute = (1 / 2 + 3 / 4) + (2 / 3 + 1 / 4)
    np.testing.assert_allclose(amari_distance(P), squared / 4, rtol=1e-14)
    np.testing.assert_allclose(amari_index(P), absolute / 4, rtol=1e-14)


@pytest.mark.parametrize("p", [2, 3, 8])
def test_amari_largest_values(p):
    ones = np.ones((p, p))
    np.testing.assert_allclose(amari_distance(ones), p - 1, rtol=1e-14)
    np.testing.assert_allclose(amari_index(ones), 1, rtol=1e-14)


@pytest.mark.parametrize(("score", "order"), [(amari_distance, 2), (amari_index, 1)])
def test_amari_order_in_the_leakage(score, order):
    leak = np.random.default_rng(0).standard_normal((5, 5)) * (1 - np.eye(5))
    small, large = score(np.eye(5) + 1e-6 * leak), score(np.eye(5) + 1e-5 * leak)
    np.testing.assert_allclose(large / small, 10.0**order, rtol=1e-3)


@pytest.mark.parametrize("score", [amari_distance, amari_index])
def test_amari_averages_views(score):
    rng = np.random.default_rng(0)
    W, A = rng.standard_normal((2, 3, 4, 4))
    each = [score(w, a) for w, a in zip(W, A, strict=True)]
    np.testing.assert_allclose(score(W, A), np.mean(each), rtol=1e-14)
    np.testing.assert_allclose(score(list(W), list(A)), np.mean(each), rtol=1e-14)
    np.testing.assert_allclose(score([w @ a for w, a in zip(W, A, strict=True)]), np.mean(each))


@pytest.mark.parametrize("score", [amari_distance, amari_index])
def test_amari_accepts_views_of_unequal_width(score):
    rng = np.random.default_rng(0)
    A = [rng.standard_normal((d, 3)) for d in (3, 6, 5)]
    assert score([np.linalg.pinv(a) for a in A], A) < 1e-12


def test_amari_of_one_component():
    assert amari_distance(np.array([[-3.0]])) == 0
    assert amari_index(np.array([[-3.0]])) == 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), p=st.integers(2, 6), scale=st.sampled_from([1e-13, -2.0, 1e9]))
def test_amari_invariances(seed, p, scale):
    rng = np.random.default_rng(seed)
    P = rng.standard_normal((p, p))
    Q = scale * signed_permutation(rng, p) @ P @ signed_permutation(rng, p)
    for score in (amari_distance, amari_index):
        np.testing.assert_allclose(score(Q), score(P), rtol=1e-10)
        np.testing.assert_allclose(score(P.T), score(P), rtol=1e-10)
        assert 0 <= score(P) <= (p - 1 if score is amari_distance else 1)


def test_amari_does_not_depend_on_the_units_of_a_view():
    rng = np.random.default_rng(0)
    W, A = rng.standard_normal((2, 3, 4, 4))
    np.testing.assert_allclose(amari_distance(W * 1e13, A * 1e-13), amari_distance(W, A), rtol=1e-9)


@pytest.mark.parametrize(
    ("components", "mixings", "message"),
    [
        ([np.eye(2)] * 2, [np.eye(2)] * 3, "components holds 2 matrices and mixings 3"),
        ([np.eye(2), np.eye(3)], [np.eye(2), np.eye(2)], r"View 1.*\(3, 3\) and mixings \(2, 2\)"),
        (np.ones((2, 4)), np.ones((5, 2)), r"View 0.*\(2, 4\) and mixings \(5, 2\)"),
        (np.ones((2, 3)), None, r"product has shape \(2, 3\); expected \(2, 2\)"),
        ([np.eye(2), np.eye(3)], None, r"View 1.*\(3, 3\); expected \(2, 2\)"),
        (np.ones((1, 2, 2, 2)), None, r"components\[0\] has shape \(2, 2, 2\)"),
        ([], None, "components is empty"),
        (np.array([[1.0, np.nan], [0, 1]]), None, "not finite"),
        (np.diag([1.0, 0.0]), None, "row or a column of zeros"),
    ],
)
def test_amari_refuses(components, mixings, message):
    for score in (amari_distance, amari_index):
        with pytest.raises(ValueError, match=message):
            score(components, mixings)


# Sources -----------------------------------------------------------------------------------------


def test_match_sources_undoes_permutation_signs_scale_and_mean():
    rng = np.random.default_rng(0)
    S = rng.laplace(size=(500, 6))
    order, signs = rng.permutation(6), rng.choice([-1.0, 1.0], size=6)
    match = match_sources(S[:, order] * signs * 1e-13 + 4e-13, S)
    np.testing.assert_array_equal(order[match.permutation], np.arange(6))
    np.testing.assert_array_equal(match.signs, signs[match.permutation])
    np.testing.assert_allclose(match.correlations, 1, atol=1e-12)


def test_match_sources_gives_the_absolute_correlations():
    rng = np.random.default_rng(0)
    S = rng.laplace(size=(300, 3))
    E = -S + rng.standard_normal(S.shape)
    match = match_sources(E, S)
    expected = [-np.corrcoef(E[:, j], S[:, j])[0, 1] for j in range(3)]
    np.testing.assert_allclose(match.correlations, expected, rtol=1e-12)
    np.testing.assert_array_equal(match.signs, -1)
    np.testing.assert_allclose(source_error(E, S), 1 - np.mean(expected), rtol=1e-12)


def test_match_sources_maximises_the_sum_over_pairs_not_each_pair():
    # greedy would take .8 + .2; the best sum is .7 + .58
    basis = np.linalg.qr(np.vander(np.arange(12.0), 5)[:, ::-1])[0][:, 1:]  # centred, orthonormal
    R = basis[:, :2]
    C = np.array([[0.8, 0.7], [0.58, 0.2]])  # C[r, e]
    rest = np.diag(np.sqrt(1 - np.sum(C**2, axis=0)))
    E = R @ C + basis[:, 2:] @ rest
    match = match_sources(E, R)
    np.testing.assert_array_equal(match.permutation, [1, 0])
    np.testing.assert_allclose(match.correlations, [0.7, 0.58], rtol=1e-9)


def test_match_sources_takes_the_best_of_more_estimates_than_references():
    rng = np.random.default_rng(0)
    S = rng.laplace(size=(200, 5))
    match = match_sources(S, S[:, [3, 1]])
    np.testing.assert_array_equal(match.permutation, [3, 1])


def test_a_constant_source_matches_with_correlation_zero_and_sign_plus_one():
    rng = np.random.default_rng(0)
    S = rng.laplace(size=(200, 2))
    E = np.column_stack([np.full(200, 0.1), -S[:, 0]])
    match = match_sources(E, S)
    np.testing.assert_array_equal(match.permutation, [1, 0])
    np.testing.assert_array_equal(match.signs, [-1, 1])
    np.testing.assert_allclose(match.correlations, [1, 0], atol=1e-12)
    np.testing.assert_allclose(source_error(E, S), 0.5, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), p=st.integers(1, 5))
def test_source_error_is_invariant(seed, p):
    rng = np.random.default_rng(seed)
    S = rng.laplace(size=(60, p))
    E = S @ rng.standard_normal((p, p)) + rng.standard_normal((60, p))
    other = 1e-9 * (E @ signed_permutation(rng, p)) * rng.uniform(0.5, 2, p) + 1e-9
    np.testing.assert_allclose(source_error(other, S), source_error(E, S), atol=1e-9)


@pytest.mark.parametrize(
    ("estimated", "reference", "message"),
    [
        (np.ones(5), np.ones((5, 1)), r"estimated has shape \(5,\)"),
        (np.ones((5, 1)), np.ones((4, 1)), r"\(5, 1\) and reference \(4, 1\)"),
        (np.ones((5, 1)), np.ones((5, 2)), r"\(5, 1\) and reference \(5, 2\)"),
        (np.full((5, 1), np.inf), np.ones((5, 1)), "estimated contains NaN"),
    ],
)
def test_match_sources_refuses(estimated, reference, message):
    with pytest.raises(ValueError, match=message):
        match_sources(estimated, reference)


def test_view_agreement_is_the_correlation_with_the_other_views():
    Y = np.random.default_rng(0).laplace(size=(4, 50, 3))
    agreement = view_agreement(Y)
    for v in range(4):
        others = np.delete(Y, v, axis=0).mean(axis=0)
        for a in range(3):
            expected = np.corrcoef(Y[v, :, a], others[:, a])[0, 1]
            np.testing.assert_allclose(agreement[v, a], expected, rtol=1e-10)


def test_view_agreement_under_the_model():
    # y_v = s + n_v, all variances 1: corr = 1 / sqrt(2 (1 + 1 / (m - 1)))
    rng = np.random.default_rng(0)
    S, N = rng.standard_normal((40_000, 2)), rng.standard_normal((5, 40_000, 2))
    np.testing.assert_allclose(view_agreement(S + N), 1 / np.sqrt(2 * 1.25), atol=0.01)


def test_view_agreement_of_one_view_is_nan():
    assert np.all(np.isnan(view_agreement(np.ones((1, 5, 2)))))
    with pytest.raises(
        ValueError, match=r"view_sources\[1\] has shape \(4, 2\); expected \(5, 2\)"
    ):
        view_agreement([np.ones((5, 2)), np.ones((4, 2))])
    with pytest.raises(ValueError, match="empty"):
        view_agreement([])


# Predictions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1.0, 1e-170, 1e150])
def test_reconstruction_r2_closed_forms(unit):
    X = np.array([[1.0, 1, 1, 5], [2, 2, 2, 5], [3, 3, 3, 5]])
    P = np.array([[1.0, 2, 3, 5], [2, 2, 2, 5], [3, 2, 1, 4]])
    np.testing.assert_allclose(reconstruction_r2(unit * X, unit * P), [1, 0, -3, np.nan])


def test_reconstruction_r2_refuses_unequal_shapes():
    with pytest.raises(ValueError, match=r"\(3, 2\) and X_pred \(3, 1\)"):
        reconstruction_r2(np.ones((3, 2)), np.ones((3, 1)))


def brute_force_matching(A, B, window):
    A, B = ((S - S.mean(axis=0)) / S.std(axis=0) for S in (A, B))
    starts = range(len(A) - window + 1)
    matched = []
    for i in starts:
        mine = A[i : i + window].ravel()
        corr = {
            j: np.corrcoef(mine, B[j : j + window].ravel())[0, 1]
            for j in starts
            if j == i or abs(i - j) >= window
        }
        same = corr.pop(i)
        matched.append(same > max(corr.values()))
    return np.mean(matched)


@pytest.mark.parametrize("noise", [0.5, 1.5])
def test_time_segment_matching_equals_the_definition(noise, monkeypatch):
    monkeypatch.setattr("mvica.metrics._SEGMENT_ROWS", 17)
    rng = np.random.default_rng(0)
    S = rng.laplace(size=(70, 2))
    A, B = S + noise * rng.standard_normal((2, 70, 2)) * [1, 3]
    expected = brute_force_matching(A, B, 4)
    assert 0 < expected < 1
    assert time_segment_matching(A, B, 4) == expected
    assert time_segment_matching(1e-13 * A + 1e-13, B * [1, 1e6], 4) == expected


def test_time_segment_matching_levels():
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((2, 400, 3))
    assert time_segment_matching(A, A, 9) == 1
    assert time_segment_matching(A, B, 9) < 0.03
    assert time_segment_matching(np.ones((50, 2)), np.ones((50, 2)), 3) == 0


def test_time_segment_matching_ignores_overlapping_segments():
    # Shifted by two samples, a segment is equal to its overlapping neighbour, which does not count.
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((620, 5))
    slow = np.array([np.convolve(column, np.hanning(20), mode="valid") for column in noise.T]).T
    assert time_segment_matching(slow[2:], slow[:-2], 20) == 1


@pytest.mark.parametrize("window", [0, 5, 2.0])
def test_time_segment_matching_refuses_windows(window):
    with pytest.raises(ValueError, match=r"window=.* with 13 samples"):
        time_segment_matching(np.ones((13, 2)), np.ones((13, 2)), window)
    with pytest.raises(ValueError, match=r"\(13, 2\) and S_b \(12, 2\)"):
        time_segment_matching(np.ones((13, 2)), np.ones((12, 2)), 2)
