"""PriorKnowledge: what is known of the graph before the data are seen."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class PriorKnowledge:
    """Edges and orders that are known, by index or name of the variables.

    Parameters
    ----------
    required : sequence of (cause, effect), default=()
        Direct effects that exist: never pruned, and they fix the order of the two.
    forbidden : sequence of (cause, effect), default=()
        Direct effects that do not exist. The order stays free.
    exogenous : sequence of variables, default=()
        Variables without causes among the others.
    sinks : sequence of variables, default=()
        Variables without effects on the others.
    tiers : sequence of sequence of variables, default=()
        Groups in causal order: no variable acts on one of an earlier group. Variables in no group
        are free.
    before : sequence of (first, second), default=()
        Partial order: `first` comes before `second`, with or without an effect.

    Examples
    --------
    >>> from mvica.causal import PriorKnowledge
    >>> known = PriorKnowledge(exogenous=["task"], forbidden=[("left", "right")])
    >>> rules = known.resolve(("left", "right", "task"))
    >>> bool(rules.before[2, 0]), bool(rules.allowed[1, 0])
    (True, False)
    """

    required: tuple = ()
    forbidden: tuple = ()
    exogenous: tuple = ()
    sinks: tuple = ()
    tiers: tuple = ()
    before: tuple = ()

    def resolve(self, names):
        """Turn the knowledge into matrices.

        Parameters
        ----------
        names : sequence of str
            Names of the p variables.

        Returns
        -------
        rules : Rules

        Raises
        ------
        ValueError
            If a variable is unknown, or the knowledge contradicts itself.
        """
        p = len(names)
        before, allowed = np.zeros((p, p), bool), ~np.eye(p, dtype=bool)
        required = np.zeros((p, p), bool)
        for cause, effect in _pairs(self.required, names, "required"):
            before[cause, effect] = required[effect, cause] = True
        for first, second in _pairs(self.before, names, "before"):
            before[first, second] = True
        for cause, effect in _pairs(self.forbidden, names, "forbidden"):
            allowed[effect, cause] = False
        exogenous = [_index(variable, names, "exogenous") for variable in self.exogenous]
        sinks = [_index(variable, names, "sinks") for variable in self.sinks]
        allowed[exogenous] = False
        allowed[:, sinks] = False
        tiers = [[_index(variable, names, "tiers") for variable in tier] for tier in self.tiers]
        for k, tier in enumerate(tiers):
            for later in (b for group in tiers[k + 1 :] for b in group):
                before[tier, later] = True
        for variable in exogenous:
            before[variable, [j for j in range(p) if j not in exogenous]] = True
        for variable in sinks:
            before[[j for j in range(p) if j not in sinks], variable] = True
        return _consistent(before, allowed, required, names)


@dataclass(frozen=True)
class Rules:
    """Prior knowledge as matrices.

    Attributes
    ----------
    before : ndarray of bool, shape (p, p)
        ``before[a, b]``: a comes before b; transitively closed.
    allowed : ndarray of bool, shape (p, p)
        ``allowed[i, j]``: j may act on i directly.
    required : ndarray of bool, shape (p, p)
        ``required[i, j]``: j acts on i directly.
    """

    before: np.ndarray
    allowed: np.ndarray
    required: np.ndarray


def resolve_knowledge(knowledge, names):
    """Return the `Rules` of a `PriorKnowledge`, of a matrix, or of None.

    A matrix K of shape (p, p) speaks of paths: ``K[i, j]`` is 1 where a directed path leads from
    variable j to variable i, 0 where there is none, -1 where nothing is known.

    Raises
    ------
    ValueError
        If the knowledge is not understood or contradicts itself.
    """
    p = len(names)
    if knowledge is None:
        knowledge = PriorKnowledge()
    if isinstance(knowledge, PriorKnowledge):
        return knowledge.resolve(names)
    K = np.asarray(knowledge)
    if K.shape != (p, p) or not np.isin(K, (-1, 0, 1)).all():
        raise ValueError(
            f"prior_knowledge has shape {K.shape}, expected a PriorKnowledge, or a matrix of shape "
            f"({p}, {p}) of 1 (path from column to row), 0 (none) and -1 (unknown)."
        )
    off = ~np.eye(p, dtype=bool)
    none = (K == 0) & off
    # Without a path from j to i, i can come first, unless there is no path back either.
    before = ((K == 1).T | (none & (K.T != 0))) & off
    return _consistent(before, ~none & off, np.zeros((p, p), bool), names)


def _consistent(before, allowed, required, names):
    closed = before.copy()
    for k in range(len(names)):
        closed |= closed[:, k, None] & closed[k]
    on_cycle = np.flatnonzero(np.diag(closed))
    if len(on_cycle):
        listed = ", ".join(str(names[k]) for k in on_cycle)
        raise ValueError(f"prior_knowledge orders these variables in a cycle: {listed}.")
    impossible = np.argwhere(required & ~allowed)
    if len(impossible):
        effect, cause = impossible[0]
        raise ValueError(
            f"prior_knowledge both requires and forbids the effect of {names[cause]} on "
            f"{names[effect]}."
        )
    return Rules(closed, allowed & ~closed, required)


def _pairs(pairs, names, what):
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2:
            raise ValueError(f"prior_knowledge {what}={pair!r}: expected pairs (cause, effect).")
        first, second = (_index(variable, names, what) for variable in pair)
        if first == second:
            raise ValueError(f"prior_knowledge {what}: {pair!r} names one variable twice.")
        yield first, second


def _index(variable, names, what):
    if isinstance(variable, str):
        if variable in names:
            return list(names).index(variable)
        raise ValueError(f"prior_knowledge {what}: no variable {variable!r}; there are {names}.")
    index = int(variable)
    if not 0 <= index < len(names):
        raise ValueError(
            f"prior_knowledge {what}: no variable {index}; there are {len(names)} variables."
        )
    return index
