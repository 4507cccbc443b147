"""The fast import of jsonschema."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mlwb.core.imports import without_iri_grammar


def _python(source: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_grammar_is_not_compiled_and_schemas_still_validate() -> None:
    """Inside the block jsonschema comes without the grammar, and works."""
    source = (
        "import sys\n"
        "from mlwb.core.imports import without_iri_grammar\n"
        "with without_iri_grammar():\n"
        "    import jsonschema\n"
        "schema = {'type': 'string', 'format': 'date-time', 'minLength': 3}\n"
        "checker = jsonschema.Draft202012Validator(schema)\n"
        "print('rfc3987_syntax' in sys.modules, checker.is_valid('abc'), checker.is_valid('a'))"
    )
    assert _python(source) == "False True False"


def test_block_that_raises_leaves_imports_as_they_were() -> None:
    """The module is barred for the block only, also when the block ends badly."""
    before = sys.modules.get("rfc3987_syntax", "absent")
    with pytest.raises(KeyError), without_iri_grammar():
        raise KeyError
    assert sys.modules.get("rfc3987_syntax", "absent") is before
