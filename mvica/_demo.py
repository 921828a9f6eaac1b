"""The study of `mvica demo`: a simulated MEG group, fitted with delays, next to the truth."""

import numpy as np
from threadpoolctl import threadpool_limits

from mvica.metrics import match_sources

N_SUBJECTS = 20
N_COMPONENTS = 12  # some more than the eight sources, for what subjects share besides
N_PRINCIPAL = 60  # of each subject's 306 channels
MAX_DELAY = 12  # samples at 500 Hz
ONE_THREAD = threadpool_limits.wrap(limits=1, user_api="blas")  # matrices are small: more is slower
CLEAR = 0.9  # correlation with a true source above which it counts as found

RECIPE = f"""\
from mvica import MVICAD
from mvica.datasets import make_meg_group
from mvica.meg import MEGGroup

study = make_meg_group({N_SUBJECTS}, random_state=0)
model = MVICAD({N_COMPONENTS}, max_delay={MAX_DELAY}, reduction="mcca", random_state=0)
group = MEGGroup(model, picks="meg", n_components={N_PRINCIPAL}).fit(study.data)
group.report("report.html", ages=study.ages)"""


@ONE_THREAD
def fit_demo(random_state=0, verbose=0):
    """Simulate the group of the demonstration and fit it.

    Parameters
    ----------
    random_state : int, default=0
        Seed of the simulation.
    verbose : int, default=0
        1 shows progress.

    Returns
    -------
    study : SimulatedGroup
    group : MEGGroup
        Fitted.
    """
    from mvica import MVICAD
    from mvica.datasets import make_meg_group
    from mvica.meg import MEGGroup

    study = make_meg_group(N_SUBJECTS, random_state=random_state)
    model = MVICAD(
        N_COMPONENTS, max_delay=MAX_DELAY, reduction="mcca", random_state=0, verbose=verbose
    )
    group = MEGGroup(model, picks="meg", n_components=N_PRINCIPAL)
    return study, group.fit(study.data)


def recovery(study, group):
    """Compare the fitted sources with the true ones.

    Parameters
    ----------
    study : SimulatedGroup
    group : MEGGroup

    Returns
    -------
    header : list of str
    rows : list of list
        For each true source: its name, the component that matches it best, their correlation, and
        the correlation over subjects and the root mean square difference in milliseconds of
        estimated delays and true latencies.
    """
    match = match_sources(group.sources_, study.template)
    n = len(study.times)
    peaks = study.times[np.abs(study.template).argmax(axis=0) % n]
    true = study.dilations * peaks + study.delays
    rows = []
    for j, c in enumerate(match.permutation):
        found = group.delays_[:, c] - group.delays_[:, c].mean()
        late = true[:, j] - true[:, j].mean()
        correlation = np.corrcoef(found, late)[0, 1] if found.std() > 0 else np.nan
        error = 1e3 * np.sqrt(np.mean((found - late) ** 2))
        similar = abs(float(match.correlations[j]))
        rows.append([study.names[j], f"component {c}", similar, float(correlation), float(error)])
    header = ["true source", "component", "correlation", "latency correlation", "latency error ms"]
    return header, rows


@ONE_THREAD
def write_demo(study, group, folder):
    """Write the report, the model and the tables of the demonstration.

    Parameters
    ----------
    study : SimulatedGroup
    group : MEGGroup
    folder : Path

    Returns
    -------
    line : str
        How many sources were found.
    """
    from mvica import report as html
    from mvica.meg.group_folder import write_group, write_rows

    header, rows = recovery(study, group)
    n_clear = sum(row[2] > CLEAR for row in rows)
    line = f"{n_clear} of {len(rows)} true sources found with a correlation above {CLEAR:g}"
    page = group.report(None, ages=study.ages)
    words = (
        "The data are simulated, so the true sources are known: each is compared with the component"
        " that matches it best. Latencies of its peak differ between subjects, with age and at"
        " random; the delays of the fit are compared with them. aud_P50m is weak on purpose, and"
        f" vis_M75 so short that it overlaps with the next response. {line}."
    )
    page.add_html(
        html.paragraph(words) + html.table(header, rows), title="Known truth", section="Truth"
    )
    page.add_code(RECIPE, title="The same in Python", language="python", section="Truth")
    page.save(folder / "report.html", open_browser=False, overwrite=True, verbose="ERROR")
    write_group(group, folder, ages=study.ages)
    write_rows(folder / "measures.csv", header, rows)
    return line
