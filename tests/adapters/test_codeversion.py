"""The code version names exactly the sources that run."""

from __future__ import annotations

from pathlib import Path

from bot.adapters.codeversion import code_version, digest_of


def package(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_a_changed_line_is_another_version(tmp_path: Path):
    before = digest_of(package(tmp_path, a="x = 1\n", b="y = 2\n"))
    assert digest_of(package(tmp_path, a="x = 1\n")) == before
    assert digest_of(package(tmp_path, a="x = 2\n")) != before


def test_a_renamed_file_is_another_version_and_leftovers_are_not(tmp_path: Path):
    before = digest_of(package(tmp_path, a="x = 1\n"))
    (tmp_path / "a.pyc").write_bytes(b"compiled")
    assert digest_of(tmp_path) == before
    (tmp_path / "a.py").rename(tmp_path / "c.py")
    assert digest_of(tmp_path) != before


def test_it_names_the_release_and_a_digest():
    release, digest = code_version().split("+")
    assert release[0].isdigit()
    assert len(digest) == 12
