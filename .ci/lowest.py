"""Print the lowest versions that pyproject.toml allows, as pip takes them: python .ci/lowest.py"""

import re
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
for requirement in [*project["dependencies"], *extras["slurm"], *extras["sweep"], *extras["test"]]:
    if found := re.fullmatch(r"([\w\[\]-]+)>=([\w.]+)", requirement):
        print(f"{found[1]}=={found[2]}")
