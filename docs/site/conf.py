"""How the documentation is built: `make docs`."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "backburner"
author = "backburner contributors"
project_copyright = "backburner contributors"
version = release = version_of("backburner")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "files", "names", "typed_dicts"]
exclude_patterns = ["site"]
nitpicky = True
# `--json` is no dash.
smartquotes = False

# ---- Markdown ------------------------------------------------------------------------------------------------------

myst_heading_anchors = 4
# A page is read where it stands too, so it says nothing that only this builder understands but where it must.
myst_enable_extensions: set[str] = set()

# ---- what docstrings say -------------------------------------------------------------------------------------------

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "undoc-members": True}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

# ---- pages ---------------------------------------------------------------------------------------------------------

html_theme = "furo"
html_title = f"backburner {release}"
html_copy_source = False
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"

# ---- names that lead nowhere, and may ------------------------------------------------------------------------------

nitpick_ignore_regex = [
    # Type variables.
    (r"py:.*", r"(.*\.)?[A-Z]"),
    # Other packages'.
    ("py:class", "UnsetType|CollectorRegistry|TracerProvider|MeterProvider|TextMapPropagator"),
    # What decorators and sinks answer: to be used at once, not to be named.
    ("py:class", r"Scheduled|On|Callback|PostgresNotify|RedisStream|Webhook|(.*\.)?Log"),
    # The first line of an error's docstring is its message, written for a terminal.
    ("py:obj", "async with bb:|backburner db upgrade"),
]
