"""Options of `mvica causal`: what the command line takes, and the estimator that it asks for."""

METHODS = {
    "gaussian": "GaussianLiMVAM",
    "direct": "DirectLiMVAM",
    "pairwise": "PairwiseLiMVAM",
    "ica": "ICALiMVAM",
}
PRUNINGS = ("none", "wald", "bic", "bic_view", "alasso")
SUMMARY = """\
Find the causal order of variables that were recorded together in several views (subjects,
sessions), and the strengths of the effects in each view. All files have the same columns, and row
k of all files is the same moment."""
EPILOG = """\
The order is identified by what the views share, not by non-Gaussianity: the same stimulus or task,
sample by sample. Effects are instantaneous.

examples:
  mvica causal sub1.csv sub2.csv sub3.csv -o graph
  mvica causal subjects/ --exogenous task --prune wald --bootstrap 200 --block 10 -o graph

The folder written with -o holds report.html (start there), edges.csv, strengths.csv (each view),
order.csv, graph.dot, model.npz and the pictures of the report."""


def add_options(group):
    """Add the options of the fit to an argument group."""
    group.add_argument(
        "--method",
        choices=METHODS,
        default="gaussian",
        help="order of highest likelihood (gaussian, default), one root after another (direct, "
        "pairwise), or by shared components (ica)",
    )
    group.add_argument(
        "--own-orders", action="store_true", help="views may have orders of their own; --method ica"
    )
    group.add_argument(
        "--prune", choices=PRUNINGS, default="none", help="which edges to keep (%(default)s: all)"
    )
    group.add_argument(
        "--alpha", type=float, default=0.05, help="level of --prune wald (%(default)s)"
    )
    group.add_argument("--exogenous", metavar="A,B", type=_names, help="variables without causes")
    group.add_argument("--sinks", metavar="A,B", type=_names, help="variables without effects")
    for name, what in (("required", "that exist"), ("forbidden", "that do not exist")):
        group.add_argument(
            f"--{name}", metavar="A:B,..", type=_pairs, help=f"effects of A on B {what}"
        )
    group.add_argument(
        "--bootstrap", type=int, default=0, metavar="N", help="refits to resampled rows (0)"
    )
    group.add_argument("--block", type=int, metavar="L", help="consecutive rows drawn together (1)")
    group.add_argument(
        "--random-state", type=int, default=0, metavar="SEED", help="seed (%(default)s)"
    )


def estimator_of(options):
    """Make the estimator that the options ask for.

    Raises
    ------
    ValueError
        If options do not go together.
    """
    import mvica
    from mvica.causal import PriorKnowledge

    estimator = getattr(mvica, METHODS[options.method])()
    prune = None if options.prune == "none" else options.prune
    settings = {"prune": prune, "alpha": options.alpha}
    known = {
        name: tuple(getattr(options, name) or ())
        for name in ("exogenous", "sinks", "required", "forbidden")
    }
    if any(known.values()):
        settings["prior_knowledge"] = PriorKnowledge(**known)
    if options.own_orders and options.method != "ica":
        raise ValueError("--own-orders is for --method ica")
    if options.method == "ica":
        settings["shared_order"] = not options.own_orders
    if "random_state" in estimator.get_params():
        settings["random_state"] = options.random_state
    return estimator.set_params(**settings)


def _names(text):
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _pairs(text):
    """Pairs of names from ``A:B,C:D``."""
    pairs = tuple(tuple(part.strip() for part in name.split(":")) for name in _names(text))
    if not pairs or any(len(pair) != 2 or not all(pair) for pair in pairs):
        raise ValueError(f"{text!r}: expected CAUSE:EFFECT, and commas between pairs")
    return pairs
