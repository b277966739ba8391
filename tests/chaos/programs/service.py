"""What `backburner run` is given: an engine as a module's name."""

from __future__ import annotations

import os
from pathlib import Path

from tests.chaos.programs.jobs import Plant

bb = Plant(Path(os.environ["CHAOS_FOLDER"]), grace=0).bb
