"""HTML pages in one file: text, tables, pictures; all words escaped, nothing from outside."""

import base64
from html import escape

CSS = """
:root { color-scheme: light;
  --ink: #1a2230; --soft: #5a6575; --line: #d9dee6; --accent: #08306b; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #f4f6f9;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
main, header { max-width: 1100px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 32px; }
h1 { font-size: 1.7rem; margin: 0; }
h2 { font-size: 1.2rem; margin: 0 0 12px; color: var(--accent); }
header p { color: var(--soft); margin: 4px 0 0; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 16px 0 20px; }
a { color: var(--accent); }
section { background: #fff; border: 1px solid var(--line); border-radius: 8px;
  padding: 20px 24px; margin: 0 0 20px; }
p { margin: 0 0 12px; max-width: 75ch; }
.scroll { overflow-x: auto; margin: 0 0 12px; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; max-width: 44ch; overflow-wrap: break-word; }
th { color: var(--soft); font-weight: 600; }
td.number, th.number { text-align: right; white-space: nowrap; }
figure { margin: 0 0 16px; }
img { max-width: 100%; height: auto; display: block; margin: 0 auto; }
figcaption { color: var(--soft); font-size: 0.9rem; max-width: 85ch; margin-top: 6px; }
pre { background: #f4f6f9; border: 1px solid var(--line); border-radius: 6px; padding: 12px 14px;
  font-size: 0.85rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.facts { display: flex; flex-wrap: wrap; gap: 10px 28px; margin: 0 0 14px; }
.facts div { min-width: 90px; }
.facts b { display: block; font-size: 1.4rem; font-weight: 600; }
.facts span { color: var(--soft); font-size: 0.85rem; }
.good { border-left: 4px solid #2a7f4f; padding-left: 12px; }
.warning { border-left: 4px solid #c4511b; padding-left: 12px; }
@media print { body { background: #fff; } section { break-inside: avoid; border: 0; } }
"""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{css}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p>{subtitle}</p>
<nav>{links}</nav>
</header>
<main>
{sections}
</main>
</body>
</html>
"""


def render_page(title, subtitle, sections):
    """Put sections into one page.

    Parameters
    ----------
    title, subtitle : str
        Plain text.
    sections : sequence of (str, str)
        Heading, plain text, and content, HTML made by the functions below.

    Returns
    -------
    html : str
        A whole document that loads nothing from anywhere.

    Examples
    --------
    >>> page = render_page("Fit", "two views", [("Data", paragraph("a < b"))])
    >>> "<p>a &lt; b</p>" in page
    True
    """
    links, blocks = [], []
    for i, (heading, content) in enumerate(sections):
        links.append(f'<a href="#s{i}">{escape(heading)}</a>')
        blocks.append(f'<section id="s{i}">\n<h2>{escape(heading)}</h2>\n{content}\n</section>')
    return PAGE.format(
        title=escape(title),
        subtitle=escape(subtitle),
        css=CSS,
        links="".join(links),
        sections="\n".join(blocks),
    )


def paragraph(text, *, kind=None):
    """Make a paragraph of plain text; `kind` is None, ``"good"`` or ``"warning"``."""
    attribute = f' class="{kind}"' if kind else ""
    return f"<p{attribute}>{escape(str(text))}</p>"


def facts(pairs):
    """Make a row of large figures: (value, what it is) pairs of plain text."""
    cells = [f"<div><b>{escape(str(b))}</b><span>{escape(str(s))}</span></div>" for b, s in pairs]
    return f'<div class="facts">{"".join(cells)}</div>'


def table(columns, rows):
    """Make a table; numbers stand right.

    Parameters
    ----------
    columns : sequence of str
        Headings.
    rows : sequence of sequence
        Cells: text, numbers, or None for an empty one. Floats show three decimals or digits.

    Returns
    -------
    html : str

    Examples
    --------
    >>> "0.123" in table(["view", "noise"], [["ann", 0.123456]])
    True
    """
    rows = [list(row) for row in rows]
    numeric = [
        all(row[i] is None or _is_number(row[i]) for row in rows) and bool(rows)
        for i in range(len(columns))
    ]
    head = "".join(
        f'<th class="number">{escape(str(c))}</th>' if right else f"<th>{escape(str(c))}</th>"
        for c, right in zip(columns, numeric, strict=True)
    )
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in rows)
    return (
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody>\n</table></div>"
    )


def picture(png, caption):
    """Embed a PNG picture (bytes) with a caption of plain text, also read out instead of it."""
    data = base64.b64encode(png).decode("ascii")
    text = escape(caption)
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{text}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def code(text):
    """Make a block of code of plain text."""
    return f"<pre><code>{escape(text)}</code></pre>"


def _is_number(value):
    return hasattr(value, "__float__") and not isinstance(value, (str, bool))


def _cell(value):
    if value is None:
        return "<td></td>"
    if not _is_number(value):
        return f"<td>{escape(str(value))}</td>"
    return f'<td class="number">{_number(value)}</td>'


def _number(value):
    if hasattr(value, "__index__"):
        return str(value)
    if value != value:
        return "n/a"
    return f"{value:.3f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.3g}"
