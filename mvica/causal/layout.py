"""Where to draw the variables and edges of a graph: layers from left to right, few crossings."""

from itertools import pairwise

import numpy as np

SWEEPS = 24


def layered_layout(rank, edges):
    """Place variables in layers, causes left of effects, and route long edges between them.

    Parameters
    ----------
    rank : sequence of int, shape (p,)
        Place of each variable in a causal order.
    edges : sequence of (cause, effect)

    Returns
    -------
    position : ndarray of shape (p, 2)
        Layer and height of each variable.
    routes : list of ndarray of shape (k, 2)
        Points that each edge passes, from cause to effect.
    """
    layer = _longest_paths(rank, edges)
    layers = [[] for _ in range(max(layer, default=0) + 1)]
    for j in np.argsort(rank):
        layers[layer[j]].append(int(j))
    chains, neighbours = [], {}
    for number, (cause, effect) in enumerate(edges):
        between = range(layer[cause] + 1, layer[effect])
        stops = [(number, level) for level in between]
        for level, stop in zip(between, stops, strict=True):
            layers[level].append(stop)
        chain = [cause, *stops, effect]
        chains.append(chain)
        for a, b in pairwise(chain):
            neighbours.setdefault(a, []).append(b)
            neighbours.setdefault(b, []).append(a)
    height = _heights(layers, neighbours)
    level = {node: k for k, nodes in enumerate(layers) for node in nodes}
    place = {node: (level[node], height[node]) for node in level}
    position = np.array([place[j] for j in range(len(rank))], dtype=float)
    return position, [np.array([place[node] for node in chain], dtype=float) for chain in chains]


def _longest_paths(rank, edges):
    """Layer of each variable: the longest path that leads to it, along edges forward in rank."""
    layer = [0] * len(rank)
    for cause, effect in sorted(edges, key=lambda edge: rank[edge[0]]):
        if rank[cause] < rank[effect]:
            layer[effect] = max(layer[effect], layer[cause] + 1)
    return layer


def _heights(layers, neighbours):
    """Order each layer by the mean height of its neighbours, back and forth."""
    height = {}
    for nodes in layers:
        _spread(nodes, height)
    for sweep in range(SWEEPS):
        for nodes in layers if sweep % 2 == 0 else reversed(layers):
            nodes.sort(key=lambda node: _mean_height(node, neighbours, height))
            _spread(nodes, height)
    return height


def _mean_height(node, neighbours, height):
    heights = [height[other] for other in neighbours.get(node, [node])]
    return sum(heights) / len(heights)


def _spread(nodes, height):
    for k, node in enumerate(nodes):
        height[node] = k - (len(nodes) - 1) / 2
