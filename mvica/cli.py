"""The `mvica` command: recordings on disk to a folder with model, tables, pictures and report."""

import argparse
import shlex
import signal
import sys
import warnings
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from mvica._result_folder import OutputError, result_folder
from mvica._version import __version__
from mvica.causal.options import EPILOG, SUMMARY, add_options, estimator_of
from mvica.meg import camcan_command

METHODS = {"multiview_ica": "MultiViewICA", "permica": "PermICA", "groupica": "GroupICA"}
DEFAULT_COMPONENTS = 20
SOLVER_OPTIONS = ("reduction", "density", "noise", "max_iter", "tol")
DESCRIPTION = """\
Find the sources that several recordings have in common. Each recording (a subject, a session) is a
view: a table of samples by features. Every view has the same samples; features may differ."""
FIT_EPILOG = """\
files:
  .csv .tsv .txt   numbers, samples in rows; a header line is recognised
  .npy .npz .mat   one 2D array, samples by features; FILE:NAME chooses among several arrays
  .fif .fif.gz     Raw, Epochs (averaged by condition) or Evoked, with MNE-Python installed
  A folder stands for the recordings in it, a pattern in quotes for the files that match it.
  When a file is wrong, its name and what is wrong with it are printed and nothing is written.

evoked responses:
  By default a .fif file is one view and its conditions lie end to end in time; all files need the
  same conditions on the same time axis. With --views conditions every condition is a view of its
  own: the way to compare the averages in one file, which share one time axis. Files with time axes
  of their own cannot be fitted together: run the command on each.
  Magnetometers and gradiometers are each divided by their standard deviation.

examples:
  mvica fit sub1.csv sub2.csv sub3.csv --n-components 5 -o result
  mvica fit recordings/ --n-components 10 --sfreq 250 -o result
  mvica fit study.mat:left study.mat:right --n-components 5 -o result
  mvica fit ann-ave.fif --views conditions --picks mag --n-components 5 -o result

The folder written with -o holds report.html (start there), model.npz, sources.csv, sources.npy,
views.csv, components.csv, mixings.csv and the pictures of the report."""


class CommandError(Exception):
    """Something that the user can put right; shown in one line."""


def main(argv=None):
    """Run the command.

    Parameters
    ----------
    argv : sequence of str or None, default=None
        Arguments; None takes those of the process.

    Returns
    -------
    status : int
        0, 2 for a problem with files or options, 130 after Ctrl-C, 143 when told to end.
    """
    argv = sys.argv[1:] if argv is None else [str(argument) for argument in argv]
    options = _parser().parse_args(argv)
    options.command_line = shlex.join(["mvica", *argv])
    signals = []
    try:
        with _noted_signals(signals):
            options.run(options, signals)
    except BaseException as error:
        if signals or isinstance(error, KeyboardInterrupt):
            # Whatever the error is: an import that is broken off may turn it into another.
            print("mvica: interrupted, nothing was written", file=sys.stderr)
            return 128 + (signals[0] if signals else signal.SIGINT)
        if isinstance(error, (CommandError, OutputError)):
            print(f"mvica: error: {_one_line(error)}", file=sys.stderr)
            return 2
        raise
    print(f"report: {_one_line(Path(options.output, 'report.html'))}")
    return 0


# Arguments ---------------------------------------------------------------------------------------


def _parser():
    parser = argparse.ArgumentParser(prog="mvica", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"mvica {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    fit = commands.add_parser(
        "fit",
        help="fit recordings on disk and write a report",
        description="Fit recordings on disk and write model, tables, pictures and a report.",
        epilog=FIT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    fit.set_defaults(run=_run_fit)
    fit.add_argument(
        "paths", nargs="+", metavar="PATH", help="file, folder or pattern; one file is one view"
    )
    fit.add_argument("-o", "--output", required=True, metavar="OUT", help="folder to write")
    _add_reading_options(fit.add_argument_group("reading"))
    _add_fit_options(fit.add_argument_group("fitting"))
    demo = commands.add_parser(
        "demo",
        help="fit a simulated group and write a report",
        description="Fit a simulated MEG group of 20 people, with delays, and write a report.",
    )
    demo.set_defaults(run=_run_demo)
    demo.add_argument("-o", "--output", default="mvica-demo", metavar="OUT", help="folder to write")
    causal = commands.add_parser(
        "causal",
        help="find the causal order of the variables of several recordings",
        description=SUMMARY,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    causal.set_defaults(run=_run_causal)
    causal.add_argument(
        "paths", nargs="+", metavar="PATH", help="file, folder or pattern; one file is one view"
    )
    causal.add_argument("-o", "--output", required=True, metavar="OUT", help="folder to write")
    _add_reading_options(causal.add_argument_group("reading"))
    add_options(causal.add_argument_group("causal discovery"))
    camcan = commands.add_parser(
        "camcan",
        help="run a published analysis on a copy of the Cam-CAN MEG data",
        description=camcan_command.SUMMARY,
        epilog=camcan_command.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    camcan.set_defaults(run=_run_camcan)
    camcan_command.add_options(camcan)
    for command in (fit, demo, causal, camcan):
        command.add_argument(
            "--force", action="store_true", help="replace OUT if it holds a former result"
        )
        command.add_argument("-v", "--verbose", action="store_true", help="show progress")
    return parser


def _add_reading_options(group):
    group.add_argument(
        "--views",
        choices=("files", "conditions"),
        default="files",
        help="one view a file (default), or one a condition of the .fif files",
    )
    group.add_argument(
        "--picks",
        metavar="A,B",
        type=_names,
        help="columns or channels to keep, by name; for .fif also types: meg, mag, grad, eeg, ... "
        "(default: all columns; of .fif files MEG, else EEG)",
    )
    group.add_argument(
        "--exclude", metavar="A,B", type=_names, help="columns or channels to leave out"
    )
    group.add_argument(
        "--transpose", action="store_true", help="arrays and tables have features in rows"
    )
    group.add_argument(
        "--sfreq",
        type=float,
        metavar="HZ",
        help="samples per second, for a time axis in seconds; .fif files know theirs",
    )


def _add_fit_options(group):
    group.add_argument("--method", choices=METHODS, default="multiview_ica", help="(%(default)s)")
    group.add_argument(
        "-n",
        "--n-components",
        type=int,
        metavar="K",
        help=f"number of components (all that the data allow, {DEFAULT_COMPONENTS} at most)",
    )
    group.add_argument(
        "--reduction",
        choices=("mcca", "pca", "grouppca", "srm"),
        help="how views are reduced to K dimensions: mcca keeps what they share (default), pca "
        "what is strong, safer when few samples or slow signals let views agree by chance",
    )
    group.add_argument(
        "--density",
        choices=("logcosh", "sub", "extended"),
        help="sources are bursting (logcosh, default), oscillating (sub), or either (extended)",
    )
    group.add_argument("--noise", type=float, help="noise variance of the model (1)")
    group.add_argument("--max-iter", type=int, metavar="N", help="most iterations")
    group.add_argument("--tol", type=float, help="gradient at which to stop")
    group.add_argument(
        "--random-state", type=int, default=0, metavar="SEED", help="seed (%(default)s)"
    )


def _names(text):
    return [name.strip() for name in text.split(",") if name.strip()]


# Commands ----------------------------------------------------------------------------------------


def _run_fit(options, signals):
    _need_matplotlib()
    with result_folder(options.output, force=options.force) as folder:
        _say(options, "reading")
        recordings, reading = _read(options)
        recipe = _recipe(options, reading)
        _write_results(options, recordings, folder, signals, recipe=recipe)


def _read(options):
    """Read the recordings; return them, and the arguments that read them again."""
    if options.sfreq is not None and not 0 < options.sfreq < float("inf"):
        raise CommandError(f"--sfreq {options.sfreq:g}: expected a positive number")
    from mvica.io import RecordingError, read_recordings

    names = ("views", "picks", "exclude", "transpose", "sfreq")
    reading = {name: getattr(options, name) for name in names}
    try:
        return read_recordings(options.paths, **reading), reading
    except RecordingError as error:
        raise CommandError(str(error)) from error


def _run_causal(options, signals):
    _need_matplotlib()
    with result_folder(options.output, force=options.force) as folder:
        from mvica.causal import job

        _say(options, "reading")
        recordings, reading = _read(options)
        sizes = f"{len(recordings)} views, {len(recordings[0].data)} samples"
        print(f"{sizes}, {recordings[0].data.shape[1]} variables")
        _say(options, "fitting")
        try:
            fit = job.fit_recordings(
                estimator_of(options),
                recordings,
                n_boot=options.bootstrap,
                block=options.block,
                random_state=options.random_state,
                verbose=int(options.verbose),
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        if signals:
            raise KeyboardInterrupt
        for message in fit.messages:
            print(f"mvica: warning: {_one_line(message)}", file=sys.stderr)
        print(_one_line(job.headline(fit)))
        _say(options, "writing")
        job.write_tables(fit, folder)
        pictures = job.draw_pictures(fit, folder)
        recipe = _recipe(options, reading, "disturbances = model.disturbances")
        job.write_report(
            fit,
            pictures,
            folder / "report.html",
            command=options.command_line,
            recipe=recipe,
        )


def _run_demo(options, signals):
    _need_matplotlib()
    if find_spec("mne") is None:
        raise CommandError('the demonstration needs MNE-Python: pip install "mvica[meg]"')
    with result_folder(options.output, force=options.force) as folder:
        from mvica import _demo

        _say(options, "fitting")
        try:
            study, group = _demo.fit_demo(verbose=int(options.verbose))
        except ImportError as error:  # an MNE without the table of sensors
            raise CommandError(str(error)) from error
        if signals:  # the solver caught it, to return its best iterate
            raise KeyboardInterrupt
        print(f"{study!r}")
        _say(options, "writing")
        print(_demo.write_demo(study, group, folder))


def _run_camcan(options, signals):
    _need_matplotlib()
    if find_spec("mne") is None:
        raise CommandError('Cam-CAN recordings need MNE-Python: pip install "mvica[meg]"')
    with result_folder(options.output, force=options.force) as folder:
        _say(options, "reading and fitting")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            try:
                lines = camcan_command.run(options, folder)
            except (ValueError, FileNotFoundError, ImportError) as error:
                raise CommandError(str(error)) from error
        if signals:
            raise KeyboardInterrupt
        for warning in caught:
            if issubclass(warning.category, UserWarning):
                print(f"mvica: warning: {_one_line(warning.message)}", file=sys.stderr)
        for line in lines:
            print(_one_line(line))


def _write_results(options, recordings, folder, signals, *, recipe):
    """Fit, then write everything into `folder`."""
    from mvica import _fit_report, _job

    sizes = ", ".join(sorted({str(r.data.shape[1]) for r in recordings}, key=int))
    print(f"{len(recordings)} views, {len(recordings[0].data)} samples, features a view: {sizes}")
    _say(options, "fitting")
    try:
        fit = _job.fit_recordings(_estimator(options, recordings), recordings)
    except _job.FitError as error:
        raise CommandError(str(error)) from error
    if signals:  # the solver caught it, to return its best iterate
        raise KeyboardInterrupt
    for message in fit.messages:
        print(f"mvica: warning: {_one_line(message)}", file=sys.stderr)
    print(_fit_report.convergence_line(fit))
    print(_fit_report.headline(fit))
    _say(options, "writing")
    _job.write_tables(fit, folder)
    pictures = _job.draw_pictures(fit, folder)
    _fit_report.write_report(
        fit,
        pictures,
        folder / "report.html",
        command=options.command_line,
        recipe=recipe,
    )


def _estimator(options, recordings):
    import mvica

    name = METHODS[options.method]
    estimator = getattr(mvica, name)()
    n_components = options.n_components
    if n_components is None and min(r.data.shape[1] for r in recordings) > DEFAULT_COMPONENTS:
        n_components = DEFAULT_COMPONENTS
    params = {"n_components": n_components, "random_state": options.random_state}
    params["verbose"] = int(options.verbose)
    for option in SOLVER_OPTIONS:
        value = getattr(options, option)
        if value is not None and option not in estimator.get_params():
            flag = option.replace("_", "-")
            raise CommandError(f"--{flag} is not for --method {options.method}")
        if value is not None:
            params[option] = value
    return estimator.set_params(**params)


def _recipe(options, reading, result="sources = model.transform"):
    """Python code that reads the same recordings."""
    changed = {key: value for key, value in reading.items() if value not in ("files", None, False)}
    arguments = "".join(f", {name}={value!r}" for name, value in changed.items())
    return (
        "from mvica import load\n"
        "from mvica.io import read_recordings\n\n"
        f"recordings = read_recordings({options.paths!r}{arguments})\n"
        f"model = load({_model_path(options)})\n"
        f"{result}([recording.data for recording in recordings])"
    )


def _model_path(options):
    return repr(str(Path(options.output, "model.npz")))


# Terminal ----------------------------------------------------------------------------------------


@contextmanager
def _noted_signals(signals):
    """Put Ctrl-C and requests to end into `signals`, also where a solver catches the first.

    Both unwind like an error, so that drafts are removed.
    """

    def note(number, _):
        signals.append(number)
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    try:
        former = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: signals do not come here
        yield
        return
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _need_matplotlib():
    if find_spec("matplotlib") is None:
        raise CommandError('pictures need Matplotlib: pip install "mvica[plot]"')


def _say(options, step):
    if options.verbose:
        print(f"mvica: {step}", file=sys.stderr)


def _one_line(text):
    """Text in one line that any terminal can show: odd characters of file names are spelt out."""
    plain = " ".join(str(text).split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in plain)


if __name__ == "__main__":
    sys.exit(main())
