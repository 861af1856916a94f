"""A present-day vmagent: it writes zstd without asking. Otherwise as `vmagent.py`."""

import pathlib
import runpy

from support_debian import use_next

use_next("victoria-metrics", "vmagent")
runpy.run_path(str(pathlib.Path(__file__).with_name("vmagent.py")), run_name="__main__")
