"""Prints the dependencies of pyproject.toml and of its named extras, one a line: `requirements.py pyproject.toml fast`.

So that the image has a layer of dependencies, which stays when only the code changes.
"""

import sys
import tomllib
from pathlib import Path

file, *extras = sys.argv[1:]
project = tomllib.loads(Path(file).read_text())["project"]
groups = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
sys.stdout.writelines(f"{requirement}\n" for group in groups for requirement in group)
