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
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
nitpicky = False
