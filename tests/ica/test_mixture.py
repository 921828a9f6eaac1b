"""Source densities: posteriors against quadrature, extreme values, learned weights."""

import numpy as np
import pytest
from scipy.stats import norm

from mvica.ica import Mixture
from mvica.ica.mixture import (
    ATOMS,
    MIXTURES,
    PRIOR_SAMPLES,
    adapt_weights,
    invert_posterior,
    source_densities,
)

SKEWED = Mixture([2.0, 1.0], [0.5, 2.0], [0.0, 1.5])
DENSITIES = {**MIXTURES, "skewed": SKEWED}


def density_of(mixture, s):
    return sum(
        w * norm.pdf(s, mean, np.sqrt(variance))
        for w, variance, mean in zip(mixture.weights, mixture.variances, mixture.means, strict=True)
    )


def integral(mixture, y, u, power):
    """Of s^power times the density of s and of the noisy value y, by the trapezoidal rule."""
    s = y + np.sqrt(u) * np.linspace(-12, 12, 4001)
    return np.trapezoid(s**power * density_of(mixture, s) * norm.pdf(y, s, np.sqrt(u)), s)


def posterior_at(mixture, y, u):
    """Mean, variance and minus log density of y, from the package."""
    densities = source_densities(mixture, 1)
    means, sums = densities.posterior(np.array([[float(y)]]), np.array([float(u)]))
    return means[0, 0], sums[0, 1], sums[0, 0]


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("u", [0.02, 2.0])
@pytest.mark.parametrize("y", [-2.5, 0.4])
def test_posterior_against_quadrature(name, u, y):
    mixture = DENSITIES[name]
    evidence = integral(mixture, y, u, 0)
    mean = integral(mixture, y, u, 1) / evidence
    variance = integral(mixture, y, u, 2) / evidence - mean**2
    found = posterior_at(mixture, y, u)
    np.testing.assert_allclose(found, [mean, variance, -np.log(evidence)], atol=1e-8)


def test_variance_counts_the_spread_of_the_component_means():
    """Published values; without that term the variances would be .17532 and .1618."""
    mean, variance, _ = posterior_at("paper", 3.0, 0.2)
    assert (round(mean, 5), round(variance, 5)) == (2.62977, 0.18374)
    assert round(posterior_at("heavy", 1.5, 0.2)[1], 4) == 0.2037


@pytest.mark.parametrize("name", DENSITIES)
def test_posterior_follows_from_the_smoothed_density(name):
    """Tweedie: mean ``y - u f'``, variance ``u (1 - u f'')``."""
    y, u, h = 0.7, 0.4, 1e-3
    low, here, high = (posterior_at(DENSITIES[name], y + d, u)[2] for d in (-h, 0, h))
    mean, variance, _ = posterior_at(DENSITIES[name], y, u)
    assert mean == pytest.approx(y - u * (high - low) / (2 * h), abs=1e-6)
    assert variance == pytest.approx(u * (1 - u * (high - 2 * here + low) / h**2), abs=1e-5)


@pytest.mark.parametrize("n", [1, 255, 256, 257, 3000])
def test_sums_are_means_over_samples(n):
    rng = np.random.default_rng(0)
    Y, u = rng.laplace(size=(3, n)), np.array([0.1, 1.0, 5.0])
    densities = source_densities("adaptive", 3)
    means, sums = densities.posterior(Y, u)
    for a in range(3):
        one = [
            densities.reported([a], np.ones((1, 1))).posterior(Y[a : a + 1, [t]], u[[a]])
            for t in range(n)
        ]
        np.testing.assert_allclose(means[a], [m[0, 0] for m, _ in one], rtol=1e-13)
        expected = np.mean([s[0] for _, s in one], axis=0)
        np.testing.assert_allclose(sums[a], expected, rtol=1e-12, atol=1e-14)


def test_may_overwrite_its_input():
    Y, u = np.random.default_rng(0).standard_normal((2, 500)), np.array([0.5, 0.1])
    densities = source_densities("heavy", 2)
    apart, sums = densities.posterior(Y, u)
    inside, same = densities.posterior(Y, u, out=Y)
    assert inside is Y
    np.testing.assert_array_equal(inside, apart)
    np.testing.assert_array_equal(same, sums)


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("size", [1e3, 1e8])
def test_outliers_do_not_underflow(name, size):
    mixture, u = DENSITIES[name], 0.5
    widest = np.argmax(mixture.variances + 1e-9 * mixture.means)
    for y in (size, -size):
        mean, variance, value = posterior_at(mixture, y, u)
        away = np.abs(y - mixture.means).min()
        shrink = mixture.variances[widest] / (mixture.variances[widest] + u)
        assert mean == pytest.approx(shrink * y, rel=1e-2)
        assert 0 <= variance < 1
        assert value == pytest.approx(away**2 / (2 * (mixture.variances[widest] + u)), rel=1e-2)


def test_no_noise_leaves_the_value():
    Y = np.random.default_rng(0).standard_normal((2, 100))
    for name in MIXTURES:
        means, sums = source_densities(name, 2).posterior(Y, np.zeros(2))
        np.testing.assert_allclose(means, Y, atol=1e-14)
        np.testing.assert_allclose(sums[:, 1], 0, atol=1e-14)


@pytest.mark.parametrize("name", DENSITIES)
def test_densities_have_zero_mean_and_unit_variance(name):
    mixture = DENSITIES[name]
    s = np.linspace(-40, 40, 40_001)
    moments = [np.trapezoid(s**k * density_of(mixture, s), s) for k in range(3)]
    np.testing.assert_allclose(moments, [1, 0, 1], atol=1e-8)


def test_kurtosis_of_the_named_densities():
    def kurtosis(mixture):
        s = np.linspace(-40, 40, 40_001)
        return np.trapezoid(s**4 * density_of(mixture, s), s) - 3

    assert kurtosis(MIXTURES["paper"]) == pytest.approx(0.75)
    assert kurtosis(MIXTURES["heavy"]) > 3
    assert kurtosis(MIXTURES["gaussian"]) == pytest.approx(0, abs=1e-8)
    assert kurtosis(MIXTURES["sub"]) == pytest.approx(-1.125)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 1], [1.0]), r"shapes \(2,\), \(1,\)"),
        (([1, 1], [1.0, 2.0], [0.0]), r"\(1,\)"),
        (([1, 0], [1.0, 2.0]), "must be positive"),
        (([1, 1], [1.0, -2.0]), "must be positive"),
        (([1, 1], [1.0, np.inf]), "finite"),
    ],
)
def test_impossible_mixtures_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Mixture(*arguments)


@pytest.mark.parametrize("name", DENSITIES)
def test_density_without_noise_has_its_derivatives(name):
    density = source_densities(DENSITIES[name], 1).as_density()
    y, h = np.linspace(-3, 3, 13)[None], 1e-5
    np.testing.assert_allclose(
        density.value(y), -np.log(density_of(DENSITIES[name], y)), atol=1e-12
    )
    slope = (density.value(y + h) - density.value(y - h)) / (2 * h)
    np.testing.assert_allclose(density.score(y), slope, atol=1e-8)
    bend = (density.score(y + h) - density.score(y - h)) / (2 * h)
    np.testing.assert_allclose(density.score_derivative(y), bend, atol=1e-7)


def draws(n=4000):
    rng = np.random.default_rng(0)
    kinds = [rng.laplace(size=n), rng.standard_normal(n), rng.uniform(-1, 1, n)]
    return np.array([S / S.std() for S in kinds])


def test_learned_weights_of_many_samples_fit_every_kind_of_source():
    S, u = draws(40_000), np.full(3, 0.05)
    Y = S + np.sqrt(u[:, None]) * np.random.default_rng(1).standard_normal(S.shape)
    start = source_densities("adaptive", 3)
    found = adapt_weights(start, Y, u)
    before, after = (d.posterior(Y, u)[1][:, 0] for d in (start, found))
    assert np.all(after < before)
    heavy, gaussian, sub = (
        source_densities(name, 3).posterior(Y, u)[1][:, 0] for name in ("heavy", "gaussian", "sub")
    )
    assert after[0] < heavy[0] + 1e-3
    assert after[1] < gaussian[1] + 1e-3
    assert after[2] < sub[2] + 1e-3
    power = found.variances + found.means**2
    np.testing.assert_allclose(found.weights.sum(axis=1), 1)
    np.testing.assert_allclose((found.weights * power).sum(axis=1), 1)
    np.testing.assert_allclose((found.weights * found.means).sum(axis=1), 0, atol=1e-14)


def penalised(densities, Y, u):
    """Minus log-likelihood per sample, with what the samples seen beforehand say of the weights."""
    prior = PRIOR_SAMPLES / Y.shape[1] * ATOMS.weights @ np.log(densities.weights[0])
    return densities.posterior(Y, u)[1][0, 0] - prior


def test_learned_weights_are_a_maximum():
    """Moving weight in any direction that keeps mass and variance gains next to nothing."""
    Y, u = draws()[:1], np.array([0.1])
    found = adapt_weights(source_densities("adaptive", 1), Y, u)
    value = penalised(found, Y, u)
    power = (found.variances + found.means**2)[0]
    basis = np.linalg.svd(np.stack([np.ones(6), power]))[2][2:]
    for direction in np.concatenate([basis, -basis]):
        weights = found.weights + 1e-3 * direction
        if np.all(weights > 0):
            moved = type(found)(weights, found.variances, found.means)
            assert penalised(moved, Y, u) > value - 5e-5


def test_few_samples_move_the_weights_little():
    Y, u = draws()[2:], np.array([0.05])
    start = source_densities("adaptive", 1)
    moves = [
        np.abs(adapt_weights(start, np.ascontiguousarray(Y[:, :n]), u).weights - start.weights)
        for n in (20, 4000)
    ]
    assert moves[0].max() < 0.5 * moves[1].max()


def test_scaling_twice_changes_nothing():
    mixture = Mixture([3, 1, 2], [0.2, 5, 1 / 3], means=[1, -2, 1 / 7])
    again = Mixture(mixture.weights, mixture.variances, mixture.means)
    for name in ("weights", "variances", "means"):
        assert np.array_equal(getattr(mixture, name), getattr(again, name))


@pytest.mark.parametrize("name", ["heavy", "sub", "adaptive", "gaussian"])
def test_posterior_means_are_inverted(name):
    Y, u = 3 * np.random.default_rng(0).standard_normal((2, 50)), np.array([0.01, 3.0])
    densities = source_densities(name, 2)
    S, _ = densities.posterior(Y, u)
    np.testing.assert_allclose(invert_posterior(S, densities, u), Y, atol=1e-9)
