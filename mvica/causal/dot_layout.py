"""Where Graphviz draws the variables and edges of a graph."""

import numpy as np

POINTS = 72  # of Graphviz in an inch
ARROW = 10 / POINTS  # length in inches of its arrowhead of size 1


def dot_layout(order, edges, *, box, tip):
    """Place variables in layers with the program dot, causes left of effects.

    Parameters
    ----------
    order : sequence of int, shape (p,)
        Variables, in the order in which dot sees them.
    edges : sequence of (cause, effect)
    box : (width, height)
        Of a variable, where layers and neighbours of a layer are 1 apart.
    tip : float
        Length of an arrowhead.

    Returns
    -------
    position : ndarray of shape (p, 2)
        Centre of each variable.
    curves : list of ndarray of shape (3 k + 1, 2)
        Bezier points of each edge, from the right side of the cause to the arrowhead at the left
        side of the effect.

    Raises
    ------
    ImportError
        If the Python package graphviz is not installed.
    RuntimeError
        If the program dot is not installed.
    """
    try:
        import graphviz
    except ImportError as error:
        raise ImportError(
            'layout="dot" needs the Python package graphviz: pip install "mvica[graph]"'
        ) from error
    try:
        plain = graphviz.pipe_string(
            "dot", "plain", input_string=_source(order, edges, box, tip), encoding="utf-8"
        )
    except graphviz.ExecutableNotFound as error:
        raise RuntimeError(
            'layout="dot" needs the program dot of Graphviz, which pip does not install: "apt '
            'install graphviz", "brew install graphviz", "conda install graphviz", or '
            'https://graphviz.org/download. layout="layers" needs nothing.'
        ) from error
    return _read(plain, len(order), edges)


def _source(order, edges, box, tip):
    """Text in the dot language, in which one unit is an inch."""
    width, height = box
    lines = [
        "digraph {",
        f"rankdir=LR; ranksep={1 - width:.3f}; nodesep={1 - height:.3f};",
        f"node [shape=box, fixedsize=true, width={width:.3f}, height={height:.3f}];",
        f"edge [tailport=e, headport=w, arrowsize={tip / ARROW:.3f}];",
    ]
    lines += [f"n{j};" for j in order]
    lines += [f"n{cause} -> n{effect};" for cause, effect in edges]
    return "\n".join([*lines, "}"])


def _read(plain, p, edges):
    """Positions and curves from what dot wrote."""
    position, found = np.zeros((p, 2)), {}
    for line in filter(str.strip, plain.splitlines()):
        kind, *words = line.split()
        if kind == "node":
            position[int(words[0][1:])] = float(words[1]), float(words[2])
        elif kind == "edge":
            n = int(words[2])
            points = np.array(words[3 : 3 + 2 * n], dtype=float).reshape(n, 2)
            found[int(words[0][1:]), int(words[1][1:])] = points
    corner = position.min(axis=0)
    return position - corner, [found[tuple(edge)] - corner for edge in edges]
