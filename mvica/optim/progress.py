"""Progress of long fits, shown when asked."""

from contextlib import contextmanager


@contextmanager
def progress_bar(label, max_iter, verbose):
    """Give a solver's callback that shows a bar, or None when `verbose` is 0.

    Parameters
    ----------
    label : str
        What is being fitted.
    max_iter : int
        Most iterations.
    verbose : int or bool
        0 shows nothing.

    Yields
    ------
    callback : callable or None
        ``callback(n_iter, value, gradient_norm)``.
    """
    if not verbose:
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=max_iter, desc=label, unit="it") as bar:

        def callback(n_iter, value, gradient_norm):
            bar.set_postfix(
                objective=f"{value:.6g}", gradient=f"{gradient_norm:.1e}", refresh=False
            )
            bar.update()

        yield callback
