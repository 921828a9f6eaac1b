import itertools

import pytest


def _visible_texts(fig):
    """Texts that are really drawn, with their boxes in pixels."""
    from matplotlib import text
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    plain, drawn = text.Text.draw, {}

    def draw(self, renderer, *args, **kwargs):
        if self.get_visible() and self.get_text().strip():
            drawn[id(self)] = (self.get_text(), self.get_window_extent(renderer))
        return plain(self, renderer, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text.Text, "draw", draw)
        FigureCanvasAgg(fig).draw()  # settles the layout, then draws
    return list(drawn.values())


def _overlapping(fig):
    """Pairs of texts of which more than a sliver lies on the other, or that leave the figure."""
    pairs = []
    boxes = _visible_texts(fig)
    for (a, x), (b, y) in itertools.combinations(boxes, 2):
        wide = min(x.x1, y.x1) - max(x.x0, y.x0)
        high = min(x.y1, y.y1) - max(x.y0, y.y0)
        if wide > 1.5 and high > 1.5:
            pairs.append((a, b))
    size = fig.bbox
    pairs += [
        (words, "outside")
        for words, box in boxes
        if box.x0 < -1 or box.y0 < -1 or box.x1 > size.x1 + 1 or box.y1 > size.y1 + 1
    ]
    return pairs


@pytest.fixture(scope="session")
def visible_texts():
    """Function: the texts that a figure really draws, with their boxes."""
    return _visible_texts


@pytest.fixture(scope="session")
def overlapping():
    """Function: pairs of texts that lie on each other, and texts that leave the figure."""
    return _overlapping
