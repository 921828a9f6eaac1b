"""The one place that knows how work runs over views: threads or processes, BLAS held to one."""

from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from threadpoolctl import threadpool_limits
from tqdm import tqdm


def map_views(function, items, n_jobs=None):
    """Apply a function to each item and return the results in order.

    Parameters
    ----------
    function : callable
        Called with one item. It should spend its time in code that releases the interpreter's
        lock: BLAS, LAPACK, compiled kernels, file reads.
    items : iterable
        The items, for instance the views.
    n_jobs : int, default=None
        Number of threads, in joblib's convention: None is 1 outside a `joblib.parallel_config`
        context, -1 is all cores. With more than one, BLAS uses one thread inside each, so that
        the cores are not asked for twice.

    Returns
    -------
    results : list
        `function(item)` for each item.

    Examples
    --------
    >>> from mvica.parallel import map_views
    >>> map_views(abs, [-1, 2, -3], n_jobs=2)
    [1, 2, 3]
    """
    if effective_n_jobs(n_jobs) == 1:
        return [function(item) for item in items]
    with threadpool_limits(limits=1, user_api="blas"):
        return Parallel(n_jobs=n_jobs, prefer="threads")(delayed(function)(item) for item in items)


def map_processes(function, items, n_jobs=None):
    """Apply a function to each item in other processes, and yield the results in order.

    For work that holds the interpreter's lock or changes global state such as warning filters:
    reading files with MNE.

    Parameters
    ----------
    function : callable
        Called with one item; it, the items and the results travel between processes.
    items : iterable
        The items, for instance the files of the subjects.
    n_jobs : int, default=None
        Number of processes, in joblib's convention: None is 1 outside a `joblib.parallel_config`
        context, -1 is all cores. With 1, all is done here. With more, BLAS uses one thread in each.

    Yields
    ------
    result : object
        `function(item)` for each item, as soon as it and those before it are done.

    Examples
    --------
    >>> from mvica.parallel import map_processes
    >>> list(map_processes(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    if effective_n_jobs(n_jobs) == 1:
        yield from map(function, items)
        return
    with parallel_config(backend="loky", inner_max_num_threads=1):
        results = Parallel(n_jobs=n_jobs, return_as="generator")
        yield from results(delayed(function)(item) for item in items)


def map_fits(function, items, *, n_jobs=None, label="fits", verbose=0):
    """Apply a function to each item in processes and return the results in order.

    Parameters
    ----------
    function : callable
        Called with one item; it and its results must be picklable. Arrays that it holds are shared
        with the processes by memory mapping where they are large.
    items : sequence
        The items, for instance seeds or splits.
    n_jobs : int, default=None
        Number of processes, in joblib's convention: None is 1 outside a `joblib.parallel_config`
        context, which also can name another backend, -1 is all cores.
    label : str, default="fits"
        What the progress bar says.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    results : list
        `function(item)` for each item.

    Examples
    --------
    >>> from mvica.parallel import map_fits
    >>> map_fits(abs, [-1, 2, -3])
    [1, 2, 3]
    """
    results = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(function)(item) for item in items
    )
    return list(tqdm(results, total=len(items), desc=label, disable=not verbose))
