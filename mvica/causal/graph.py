"""The fitted graph in other forms: a table of edges, networkx, the dot language."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

COLUMNS = (
    "cause",
    "effect",
    "strength",
    "standardised",
    "mean",
    "sd",
    "low",
    "high",
    "agreement",
    "views",
    "total_effect",
    "pvalue",
)


class GraphMethods:
    """Exports of a fitted causal estimator."""

    def edge_records(self, threshold=0.0):
        """List the edges, those with the largest standardised strength first.

        Parameters
        ----------
        threshold : float, default=0.0
            Least absolute median strength over views; 0 lists every edge fitted in some view.

        Returns
        -------
        edges : list of dict
            With `cause` and `effect` (names), `strength` (median over views), `standardised` (the
            same in standard deviations of the effect for one of the cause), `mean`, `sd`, `low` and
            `high` (least and largest view), `agreement` (share of views with the sign of the
            median), `views` (in how many it was fitted), `total_effect` (median) and `pvalue` (of
            no effect in any view, before pruning).
        """
        check_is_fitted(self)
        B, names = self.adjacency_matrices_, self.variable_names_
        standardised = B * self.scale_[:, None, :] / self.scale_[:, :, None]
        edges = []
        for i, j in np.argwhere((B != 0).any(axis=0)):
            own, median = B[:, i, j], self.adjacency_matrix_[i, j]
            if abs(median) < threshold:
                continue
            edges.append(
                {
                    "cause": names[j],
                    "effect": names[i],
                    "strength": float(median),
                    "standardised": float(np.median(standardised[:, i, j])),
                    "mean": float(own.mean()),
                    "sd": float(own.std()),
                    "low": float(own.min()),
                    "high": float(own.max()),
                    "agreement": float(np.mean(np.sign(own) == np.sign(median))),
                    "views": int(np.sum(own != 0)),
                    "total_effect": float(np.median(self.total_effects_[:, i, j])),
                    "pvalue": float(self.edge_pvalues_[i, j]),
                }
            )
        return sorted(edges, key=lambda edge: -abs(edge["standardised"]))

    def edge_table(self, threshold=0.0):
        """Return the edges as a dataframe, strongest first.

        Parameters
        ----------
        threshold : float, default=0.0
            Least absolute median strength over views.

        Returns
        -------
        table : pandas.DataFrame
            The columns of `edge_records`.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError('edge_table needs pandas: pip install "mvica[graph]"') from error
        return pd.DataFrame.from_records(self.edge_records(threshold), columns=COLUMNS)

    def to_networkx(self, threshold=0.0, view=None):
        """Return the graph as a `networkx.DiGraph`.

        Parameters
        ----------
        threshold : float, default=0.0
            Least absolute strength.
        view : int, default=None
            The graph of one view, with its strengths and standard errors; None takes medians.

        Returns
        -------
        graph : networkx.DiGraph
            Nodes are variables, with their `position` in the order where views share it. Edges have
            `weight` and `pvalue`; the median graph adds `weights` (one a view), that of a view
            `se`.

        Raises
        ------
        ImportError
            If networkx is not installed.
        """
        check_is_fitted(self)
        try:
            import networkx as nx
        except ImportError as error:
            raise ImportError('to_networkx needs networkx: pip install "mvica[graph]"') from error
        B = self.adjacency_matrix_ if view is None else self.adjacency_matrices_[view]
        graph, names = nx.DiGraph(), self.variable_names_
        order = self.causal_order_
        for j, name in enumerate(names):
            graph.add_node(name)
            if order.ndim == 1:
                graph.nodes[name]["position"] = int(np.flatnonzero(order == j)[0])
        for i, j in np.argwhere((B != 0) & (np.abs(B) >= threshold)):
            more = (
                {"weights": self.adjacency_matrices_[:, i, j].tolist()}
                if view is None
                else {"se": float(self.adjacency_se_[view, i, j])}
            )
            graph.add_edge(
                names[j],
                names[i],
                weight=float(B[i, j]),
                pvalue=float(self.edge_pvalues_[i, j]),
                **more,
            )
        return graph

    def to_dot(self, threshold=0.0, view=None):
        """Return the graph in the dot language of Graphviz, as text.

        Parameters
        ----------
        threshold : float, default=0.0
            Least absolute strength.
        view : int, default=None
            The graph of one view; None takes medians over views.

        Returns
        -------
        dot : str
        """
        check_is_fitted(self)
        B = self.adjacency_matrix_ if view is None else self.adjacency_matrices_[view]
        names = [_quoted(name) for name in self.variable_names_]
        largest = np.abs(B).max() or 1.0
        lines = ["digraph causes {", "  rankdir=LR;", "  node [shape=box, style=rounded];"]
        lines += [f"  {name};" for name in names]
        for i, j in np.argwhere((B != 0) & (np.abs(B) >= threshold)):
            colour = "#b2182b" if B[i, j] > 0 else "#2166ac"
            width = 0.5 + 3.5 * abs(B[i, j]) / largest
            lines.append(
                f'  {names[j]} -> {names[i]} [label="{B[i, j]:.2f}", penwidth={width:.2f}, '
                f'color="{colour}"];'
            )
        return "\n".join([*lines, "}"])

    def plot_graph(self, threshold=None, *, layout="layers", fig=None):
        """Draw the graph: see `mvica.causal.plotting.plot_graph`.

        Parameters
        ----------
        threshold : float, default=None
            Least absolute median strength shown; None shows the strongest edges.
        layout : {"layers", "dot"}, default="layers"
            Who places variables and lines; "dot" needs Graphviz.
        fig : matplotlib Figure or SubFigure, default=None
            Where to draw.

        Returns
        -------
        fig : matplotlib Figure or SubFigure
        """
        from mvica.causal.plotting import plot_graph

        return plot_graph(self, threshold, layout=layout, fig=fig)


def _quoted(name):
    return '"' + str(name).replace("\\", "\\\\").replace('"', '\\"') + '"'
