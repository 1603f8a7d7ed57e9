"""Sphinx's configuration: ``sphinx-build -W -b html docs build/html``."""

from __future__ import annotations

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "_ext"), os.path.dirname(HERE)]

import isolatedunit  # noqa: E402 - from beside this folder, or from where it is installed

project = "isolatedunit"
author = "the isolatedunit developers"
copyright = "the isolatedunit developers"  # noqa: A001 - Sphinx's name for it
version = release = isolatedunit.__version__

extensions = ["sphinx.ext.autodoc", "layers_table", "option_table"]
exclude_patterns = ["_ext", "_build"]
html_theme = "furo"
html_title = f"isolatedunit {release}"
html_show_sourcelink = False
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
default_role = "py:obj"  # a name in a docstring leads to its description
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r"(collections|datetime|logging|threading)\..*|timedelta"),
    # type variables, types of mappings of options, which look like their classes, and what no user makes
    ("py:class", r"T|Opts|Told|dict\[str|\w*OptionValues|isolatedunit\..*\.(_Ahead|Leaving|Session|Tracker|T|T_co)"),
    # docstrings also name what only readers of the source look for
    ("py:obj", r".*"),
]
