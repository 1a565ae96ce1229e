"""The table of the rooms in docs/architecture.md."""

from docs.drawing.rooms import ROOT, Floor, purpose

__all__ = ["PAGE", "page"]

PAGE = ROOT / "docs" / "architecture.md"


def table(floors: list[Floor]) -> str:
    """One Markdown table: a line for each floor, followed by its rooms and the rooms that each imports."""
    lines = ["| | holds | imports of its floor | of floors below |", "| --- | --- | --- | --- |"]
    for floor in floors:
        counts = f"{len(floor.rooms)} rooms, {len(floor.arrows)} arrows" if floor.rooms else ""
        lines.append(f"| **[{floor.name}](../{floor.name}/)** | {floor.purpose} | {counts} | |")
        for room, uses in floor.rooms.items():
            by_floor = {f.name: sorted(u.split(".")[1] for u in uses if u.split(".")[0] == f.name) for f in floors}
            own = ", ".join(by_floor.pop(floor.name))
            below = "; ".join(f"{name}: {', '.join(used)}" for name, used in by_floor.items() if used)
            folder = room.replace(".", "/")
            lines.append(f"| [{folder}](../{folder}/) | {purpose(room)} | {own} | {below} |")
        if floor.shelf:
            files = ", ".join(f"[{file.split('.')[1]}.py](../{file.replace('.', '/')}.py)" for file in floor.shelf)
            lines.append(f"| {files} | Beside the rooms, for all of them. | | |")
    return "\n".join(lines)


START, END = "<!-- rooms: made by `make drawing` -->\n\n", "\n\n<!-- end of rooms -->"


def page(text: str, floors: list[Floor]) -> str:
    """The page `text` with its table of rooms made anew."""
    before, rest = text.split(START)
    return before + START + table(floors) + END + rest.split(END)[1]
