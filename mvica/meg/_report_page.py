"""Pieces of the report's page: how tables and figures look, on wide screens and on phones."""

import io
import re
from html import escape

from mvica import report

DPI = 110
CSS = """
.mvica { overflow-x: auto; }
.mvica table { font-size: 0.9rem; font-variant-numeric: tabular-nums; margin-bottom: 0.5rem; }
.mvica th, .mvica td { padding: 3px 12px; border-bottom: 1px solid #d9dee6; white-space: nowrap; }
.mvica .number { text-align: right; }
.mvica .facts { display: flex; flex-wrap: wrap; gap: 8px 28px; margin-bottom: 12px; }
.mvica .facts b { display: block; font-size: 1.4rem; font-weight: 600; }
.mvica .facts span { color: #5a6575; font-size: 0.85rem; }
.mvica p { max-width: 80ch; }
.mvica .warning { border-left: 4px solid #c4511b; padding-left: 12px; }
.mvica .good { border-left: 4px solid #2a7f4f; padding-left: 12px; }
.mvica pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.mvica figure { margin: 0; }
.mvica figure img, .mvica figure svg { display: block; max-width: 100%; height: auto;
  margin: 0 auto; }
.mvica figcaption { color: #5a6575; font-size: 0.9rem; text-align: center; }
@media (max-width: 700px) {
  #toc { display: none; }
  #content { width: 100%; margin-left: 0; }
  .mvica figure img, .mvica figure svg { max-width: none; width: 640px; }
}
"""


def add_html(page, title, section, html, tag="table"):
    """Add a piece of HTML to a section of an mne.Report, with its style."""
    page.add_html(f'<div class="mvica">{html}</div>', title, tags=(tag,), section=section)


def add_figure(page, figure, title, section, image_format, caption=""):
    """Add a figure, "svg" or "png", without the date that Matplotlib would write into it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=image_format, dpi=DPI, metadata=_no_date(image_format))
    if image_format == "png":
        html = report.picture(buffer.getvalue(), caption or title)
    else:
        html = f"<figure>{_inline(buffer.getvalue().decode(), title)}"
        html += f"<figcaption>{escape(caption)}</figcaption></figure>"
    add_html(page, title, section, html, tag="figure")


def _no_date(image_format):
    return {"Date": None} if image_format == "svg" else None


def _inline(svg, title):
    """Part of an SVG file that goes into a page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)
