"""A hook of mkdocs: what a page says of a file of the repository is its path on the site, which has no such page."""

import re
from typing import Any

__all__ = ["on_page_markdown"]

OUTSIDE = re.compile(r"\[([^\]]*)\]\((?:\.\./)+([^)]*)\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The text of a page, its links out of `docs` made into words."""
    depth = page.file.src_uri.count("/") + 1

    def plain(link: re.Match[str]) -> str:
        if link[0].split("(", 1)[1].count("../") < depth:
            return link[0]
        label, path = link[1], link[2].partition("#")[0]
        return f"`{path}`" if label.strip("`").strip("/") in (path, path.rpartition("/")[2]) else f"{label} (`{path}`)"

    return OUTSIDE.sub(plain, markdown)
