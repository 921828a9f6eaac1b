"""Ongoing activity and sensor noise of simulated MEG and EEG, shaped in the frequency domain."""

import numpy as np

CUTOFF, STEEPNESS = 45.0, 12  # hertz, order of the low-pass that everything passes
MARGIN = 200  # samples drawn and cut away, because the discrete transform is circular
DIPOLES_AT_ONCE = 25  # bounds the memory of long recordings


def brain_noise(rng, subject, gains, n_segments, n_times, sfreq):
    """Draw the activity of a subject's noise dipoles on the channels.

    Parameters
    ----------
    rng : numpy.random.Generator
    subject : Subject
    gains : ndarray of shape (n_channels, n_noise_dipoles)
        Field of each noise dipole.
    n_segments, n_times : int
        Independent stretches, and their length in samples.
    sfreq : float
        Samples per second.

    Returns
    -------
    noise : ndarray of shape (n_segments, n_channels, n_times)
        Dipoles have unit variance.
    """
    noise = np.zeros((n_segments, len(gains), n_times))
    freqs = _frequencies(n_times, sfreq)
    for start in range(0, gains.shape[1], DIPOLES_AT_ONCE):
        chosen = slice(start, start + DIPOLES_AT_ONCE)
        spectra = _brain_spectra(
            freqs, subject.noise_exponents[chosen], subject.noise_bumps[chosen]
        )
        for s in range(n_segments):
            noise[s] += gains[:, chosen] @ _shaped(rng, spectra, n_times)
    return noise


def sensor_noise(rng, stds, n_segments, n_times, sfreq):
    """Draw low-passed white noise on channels.

    Parameters
    ----------
    rng : numpy.random.Generator
    stds : ndarray of shape (n_channels,)
        Standard deviation of each channel, after the low-pass.
    n_segments, n_times : int
    sfreq : float

    Returns
    -------
    noise : ndarray of shape (n_segments, n_channels, n_times)
    """
    spectra = np.tile(_low_pass(_frequencies(n_times, sfreq)), (len(stds), 1))
    return np.array([stds[:, None] * _shaped(rng, spectra, n_times) for _ in range(n_segments)])


def trial_std(noise, n_times):
    """Compute the standard deviation of channels within trials, pooled over trials.

    Parameters
    ----------
    noise : ndarray of shape (n_segments, n_channels, n)
    n_times : int
        Length of a trial; longer segments are cut.

    Returns
    -------
    stds : ndarray of shape (n_channels,)
    """
    n_trials = noise.shape[-1] // n_times
    trials = noise[..., : n_trials * n_times].reshape(*noise.shape[:2], n_trials, n_times)
    return np.sqrt(trials.var(axis=-1).mean(axis=(0, 2)))


def _frequencies(n_times, sfreq):
    return np.fft.rfftfreq(n_times + MARGIN, 1 / sfreq)


def _low_pass(freqs):
    return 1 / (1 + (freqs / CUTOFF) ** STEEPNESS)


def _brain_spectra(freqs, exponents, bumps):
    """Amplitude spectra (n_dipoles, n_freqs): 1/f, a 10 Hz rhythm, nothing at zero."""
    f = freqs[1:]
    spectra = np.zeros((len(exponents), len(freqs)))
    spectra[:, 1:] = f ** (-exponents[:, None] / 2)
    spectra[:, 1:] *= 1 + bumps[:, None] * np.exp(-((f - 10) ** 2) / (2 * 1.2**2))
    return spectra * _low_pass(freqs) * np.where(freqs < 0.3, 0.3, 1.0)


def _shaped(rng, spectra, n_times):
    """Noise (k, n_times) of unit variance with amplitude spectra (k, n_freqs)."""
    N = n_times + MARGIN
    white = rng.normal(size=(*spectra.shape, 2)).view(complex)[..., 0]
    signals = np.fft.irfft(spectra * white, n=N, axis=-1)
    power = 4 * spectra**2
    power[:, 0] /= 4  # real, and there once
    if N % 2 == 0:
        power[:, -1] /= 4
    signals *= N / np.sqrt(power.sum(axis=1))[:, None]
    first = MARGIN // 2
    return signals[:, first : first + n_times]
