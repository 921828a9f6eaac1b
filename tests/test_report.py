import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from mvica import report

EVIL = "<script>alert('x')</script> & \"quotes\" {braces} </title>"
VOID = {"meta", "img", "br", "hr"}


class Reader(HTMLParser):
    """Checks that tags are balanced; collects text, cells and addresses."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text, self.addresses, self.ids = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href"):
                self.addresses.append(value)
            if name == "id":
                self.ids.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(html):
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def page():
    content = (
        report.paragraph(EVIL, kind="warning")
        + report.facts([(3, EVIL), (EVIL, "b")])
        + report.table([EVIL, "n"], [[EVIL, 1], ["b", 2.5]])
        + report.code(EVIL)
        + report.picture(b"\x89PNG\r\n\x1a\n", EVIL)
    )
    return report.render_page(EVIL, EVIL, [(EVIL, content), ("Second", "")])


def test_every_word_is_escaped_and_shown_as_it_is():
    reader = read(page())
    assert "script" not in reader.tags
    text = "".join(reader.text)
    assert text.count(EVIL) == 12  # five in the frame of the page, seven in the content


def test_the_page_loads_nothing_from_outside():
    html = page()
    for address in read(html).addresses:
        assert address.startswith(("data:image/png;base64,", "#"))
    assert "default-src 'none'" in html
    assert not re.search(r"(https?:)?//|@import|url\(", html)


def test_links_lead_to_the_sections():
    reader = read(page())
    assert [a[1:] for a in reader.addresses if a.startswith("#")] == reader.ids == ["s0", "s1"]


def test_pictures_are_embedded():
    png = bytes(range(256))
    (address,) = read(report.picture(png, "caption")).addresses
    assert base64.b64decode(address.partition(",")[2]) == png


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (3, '<td class="number">3</td>'),
        (np.int64(12345678), '<td class="number">12345678</td>'),
        (0.123456, '<td class="number">0.123</td>'),
        (np.float32(0.5), '<td class="number">0.500</td>'),
        (3e-13, '<td class="number">3e-13</td>'),
        (1234567.0, '<td class="number">1.23e+06</td>'),
        (float("nan"), '<td class="number">n/a</td>'),
        (None, "<td></td>"),
        (True, "<td>True</td>"),
        ("a<b", "<td>a&lt;b</td>"),
    ],
)
def test_cells(value, cell):
    assert cell in report.table(["x"], [[value]])


def test_columns_of_numbers_stand_right_with_their_heading():
    html = report.table(["name", "value"], [["a", 1], ["b", None]])
    assert "<th>name</th>" in html
    assert '<th class="number">value</th>' in html
