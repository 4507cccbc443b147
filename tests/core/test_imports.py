"""The fast import of jsonschema, and the import of what users wrote."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlwb.core.imports import import_source, without_iri_grammar


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


def test_file_is_imported_once_for_each_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same object while the file stays, another after an edit, the first again when undone.

    Also where Python keeps bytecode, which an edit of the same size in the same second would pass.
    """
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "mine.py"
    path.write_text("VALUE = [1]")
    first = import_source(str(path))
    assert import_source(str(path)) is first
    path.write_text("VALUE = [2]")
    second = import_source(str(path))
    assert (first.VALUE, second.VALUE) == ([1], [2])
    path.write_text("VALUE = [1]")
    assert import_source(str(path)) is first
    assert second.__file__ == str(path)


def test_file_that_raises_leaves_nothing_behind(tmp_path: Path) -> None:
    """It is tried again the next time, not found half imported."""
    path = tmp_path / "broken.py"
    path.write_text("HALF = 1\nraise RuntimeError('no')")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no"):
            import_source(str(path))
    assert not [name for name in sys.modules if name.startswith("mlwb_user_broken")]


def test_module_is_imported_by_name() -> None:
    """As Python does; a file that is not there is an OSError."""
    assert import_source("json.decoder") is sys.modules["json.decoder"]
    with pytest.raises(FileNotFoundError):
        import_source("no_such_file.py")
