"""The site is made of the pages without a warning, and the pages of commands and functions are what the code says."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

from docs.reference import api, cli, notebook
from docs.site_links import on_page_markdown
from tests import ROOT


def test_the_page_of_commands_is_the_code_s():
    assert cli.PAGE.read_text() == cli.page(), "run `make reference`"


def test_the_page_of_functions_is_the_code_s():
    assert api.PAGE.read_text() == api.page(), "run `make reference`"


def test_the_notebook_runs_and_prints_what_it_shows():
    assert notebook.PAGE.read_text() == notebook.page(), "run `python -m docs.reference notebook`"


def test_the_site_is_made_without_a_warning_and_loads_nothing(tmp_path: Path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert (ran.returncode, ran.stderr) == (0, "")
    page = (tmp_path / "site" / "howto.html").read_text()
    loaded = [word for word in page.split() if word.startswith(('src="http', 'href="http')) and ".css" in word]
    assert "Your checkpoint" in page and loaded == [] and "fonts.googleapis" not in page


def test_every_page_is_in_the_table_of_contents():
    def named(part: object) -> list[str]:
        if isinstance(part, str):
            return [part]
        return [name for one in (part.values() if isinstance(part, dict) else part) for name in named(one)]

    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} | {"decisions/"}
    assert sorted(named(nav)) == sorted(pages)


class Page:
    """Of mkdocs, as far as the hook looks at it."""

    def __init__(self, path: str) -> None:
        self.file = self
        self.src_uri = path


def test_links_out_of_the_documentation_are_words_on_the_site():
    text = "[the list](../gen/arrays/styles.py), [styles.py](../gen/arrays/styles.py) and [chip](chip.md#clock)"
    seen = on_page_markdown(text, Page("arrays.md"))
    assert seen == "the list (`gen/arrays/styles.py`), `gen/arrays/styles.py` and [chip](chip.md#clock)"
    assert on_page_markdown("[chip](../chip.md)", Page("decisions/0001.md")) == "[chip](../chip.md)"
