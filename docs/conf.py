"""How the site is built: `tox -e docs`, or `sphinx-build -W docs build/docs`.

No framework is needed: the classes of both are imported with empty stand-ins for torch, TensorFlow
and Keras, which is enough to read their signatures and docstrings.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

from sphinx.ext.autodoc.mock import mock

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

with mock(["keras", "optree", "tensorflow", "torch"]):
    import keras
    import tensorflow

    keras.backend = SimpleNamespace(backend=lambda: "tensorflow")
    tensorflow.Tensor = object  # `tf.Tensor | None` is evaluated on import
    import distil

    for name in distil.__all__:
        getattr(distil, name)

project = "distil"
author = project_copyright = "The distil authors"
version = release = distil.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["*.py"]
myst_heading_anchors = 3

# Docstrings name things in single backticks: a link where the name has an entry, code elsewhere.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_numpy_docstring = False

html_theme = "pydata_sphinx_theme"
html_title = f"distil {version}"
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": False, "show_prev_next": False}
