"""The command `mvica camcan`: a published protocol on a copy of the Cam-CAN data."""

import inspect

PROTOCOL_NAMES = ("multiview_ica", "shica", "avica", "mvicad", "mvicad2", "limvam")
SUMMARY = """\
Run a published analysis on your copy of the Cam-CAN MEG data, and write a folder with report,
model and tables. Nothing is downloaded; reports name no participant."""
EPILOG = """\
protocols:
  multiview_ica   average responses, 200 people: sources in order of time, maps, dipoles
  shica           three stimuli in two halves, 100 people: do the halves agree?
  avica           the same data: noise levels, stability when people are drawn anew
  mvicad          average response, all people: delays against age
  mvicad2         two batches of trials, 100 people: dilations and shifts against age
  limvam          envelopes of ten parcels in the sensorimotor task: which drives which. Needs the
                  parcels' time courses; see --parcels

example:
  mvica camcan /data/camcan --protocol mvicad --kind sss_transdef --modality vis -o result"""


def add_options(parser):
    """Add the arguments of the command.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument("path", metavar="PATH", help="folder that contains cc700/")
    parser.add_argument("--protocol", choices=PROTOCOL_NAMES, required=True, help="analysis")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="folder to write")
    data = parser.add_argument_group("data")
    data.add_argument(
        "--task", choices=("passive", "smt"), help="(passive; smt for the protocol limvam)"
    )
    data.add_argument(
        "--kind",
        choices=("raw", "sss", "sss_movecomp", "sss_transdef", "epochs"),
        default="sss_transdef",
        help="which recordings (%(default)s)",
    )
    data.add_argument("--layout", default="auto", help="release005, release004, custom (auto)")
    data.add_argument(
        "--check", choices=("fast", "header", "full"), default="header", help="(%(default)s)"
    )
    data.add_argument("--sfreq", type=float, default=1000, metavar="HZ", help="0: any (1000)")
    data.add_argument("--min-trials", type=int, default=40, metavar="N", help="(%(default)s)")
    data.add_argument("--modality", choices=("audio", "vis", "audiovis"), help="(audio)")
    data.add_argument("--n-subjects", type=int, metavar="M", help="people drawn at random")
    data.add_argument(
        "--parcels",
        metavar="PATTERN",
        help="for limvam: .npy files below PATH with the time courses of the parcels, (epochs,"
        " parcels, times), and the identifier in their path",
    )
    fit = parser.add_argument_group("fitting")
    fit.add_argument("-n", "--n-components", type=int, metavar="K", help="(the published number)")
    fit.add_argument("--no-dipoles", action="store_true", help="fit no dipoles")
    fit.add_argument("--n-jobs", type=int, default=1, metavar="N", help="processes (%(default)s)")
    fit.add_argument(
        "--random-state", type=int, default=0, metavar="SEED", help="seed (%(default)s)"
    )


def run(options, folder):
    """Run the protocol and write its results.

    Parameters
    ----------
    options : argparse.Namespace
    folder : Path
        Where to write.

    Returns
    -------
    lines : list of str
        What to print.

    Raises
    ------
    ValueError, FileNotFoundError
        If the copy, its recordings or an option do not fit.
    """
    if options.protocol == "limvam":
        return _run_limvam(options, folder)
    from mvica.data_fetchers import fetch_camcan
    from mvica.meg.camcan_protocols import PROTOCOLS

    camcan = fetch_camcan(
        options.path,
        options.task or "passive",
        kind=options.kind,
        layout=options.layout,
        check=options.check,
        sfreq=options.sfreq or None,
        min_trials=options.min_trials,
        n_jobs=options.n_jobs,
    )
    function = PROTOCOLS[options.protocol]
    result = function(camcan, **_settings(options, function))
    _write(result, folder, dipoles=not options.no_dipoles)
    m = len(result.group.subjects_)
    return [repr(camcan), f"{options.protocol}: {m} subjects", *result.notes]


def _settings(options, function):
    """Give the options that the protocol takes and the user gave; refuse the others."""
    names = inspect.signature(function).parameters
    given = {
        "modality": options.modality,
        "n_subjects": options.n_subjects,
        "n_components": options.n_components,
    }
    given = {name: value for name, value in given.items() if value is not None}
    unused = [name for name in given if name not in names]
    if unused:
        flag = unused[0].replace("_", "-")
        raise ValueError(f"--{flag} is not for --protocol {options.protocol}")
    if "dipoles" in names:
        given["dipoles"] = not options.no_dipoles
    given |= {"random_state": options.random_state, "n_jobs": options.n_jobs}
    return given


def _write(result, folder, *, dipoles):
    from mvica import report as html
    from mvica.meg.group_folder import write_group, write_rows

    page = result.group.report(None, ages=result.ages, dipoles=dipoles)
    text = "".join(html.paragraph(note) for note in result.notes)
    text += html.table(result.header, result.rows)
    page.add_html(text, title=f"Outcome of {result.name}", section="Protocol")
    page.save(folder / "report.html", open_browser=False, overwrite=True, verbose="ERROR")
    write_group(result.group, folder, ages=result.ages)
    write_rows(folder / "measures.csv", result.header, result.rows)


def _run_limvam(options, folder):
    from mvica import report as html
    from mvica.meg.camcan_causal import read_parcels, run_limvam
    from mvica.meg.group_folder import write_rows

    if options.parcels is None:
        raise ValueError(
            "--protocol limvam works on time courses of cortical parcels: make them with"
            " mvica.meg.camcan_causal.parcel_courses, which needs FreeSurfer surfaces and"
            " coregistrations, save them as .npy, and name them with --parcels PATTERN"
        )
    if options.n_components is not None or options.modality is not None:
        raise ValueError("--n-components and --modality are not for --protocol limvam")
    subjects, courses = read_parcels(options.path, options.parcels)
    result = run_limvam(courses, n_subjects=options.n_subjects, random_state=options.random_state)
    write_rows(folder / "measures.csv", result.header, result.rows)
    sections = [
        ("Data", html.paragraph(result.note)),
        ("Strongest effects", html.table(result.header, result.rows)),
    ]
    subtitle = f"{result.n_subjects} of {len(subjects)} subjects"
    page = html.render_page("Causal order of cortical envelopes", subtitle, sections)
    (folder / "report.html").write_text(page, encoding="utf-8")
    return [result.note]
