"""The command line: it reads the environment, prints, and ends with an exit code.

Belongs here: options, progress, text for terminals, the map from errors to exit codes.
Does not belong here: anything another program could want as a function.

Exit codes: 0 ok, 1 a gate said no, 2 usage or parameters, 3 data, 4 model, 5 artifact,
6 evidence, 7 a notebook run or a server broke.
"""

from mlwb.cli._app import main

__all__ = ["main"]
