"""Toggle counts of a simulation from SAIF (IEEE 1801, annex on the Switching Activity Interchange Format)."""

import re

__all__ = ["toggles"]

TOKEN = re.compile(r'"[^"]*"|[()]|[^\s()"]+')


def toggles(text: str, instance: str) -> dict[str, int]:
    """Toggles of the nets right in the instance of that name, by net (`name[bit]` of a vector).

    Raises ValueError where there is no such instance.
    """
    names: list[str] = []
    tokens = TOKEN.findall(text)
    found: dict[str, int] = {}
    seen, net = False, ""
    for place, token in enumerate(tokens):
        if token == "(":
            word = tokens[place + 1]
            if word == "INSTANCE":
                named = tokens[place + 2]
                names.append(named if named not in "()" else "")
                seen = seen or names[-1] == instance
            else:
                names.append("")
                if tokens[place + 2] == "(":
                    net = word
                elif word == "TC" and innermost(names) == instance:
                    found[net.replace("\\", "")] = int(tokens[place + 2])
        elif token == ")":
            names.pop()
    if not seen:
        raise ValueError(f"no instance {instance}")
    return found


def innermost(names: list[str]) -> str:
    """The innermost named instance."""
    return next((name for name in reversed(names) if name), "")
