"""A present-day vmagent: it writes zstd without asking. Otherwise as `vmagent.py`."""

import pathlib
import runpy

import support  # noqa: F401  Named after this scenario, before the other one runs: the folder is its own.
from support_debian import use_next

use_next("victoria-metrics", "vmagent")
runpy.run_path(str(pathlib.Path(__file__).with_name("vmagent.py")), run_name="__main__")
