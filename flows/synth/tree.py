"""A synthesized hierarchy as a tree of gates, for pictures."""

from hardloom.flows.pictures.treemap import SMALLEST, Node, gathered
from hardloom.flows.synth.hierarchy import Hierarchy
from hardloom.flows.synth.modules import is_container

__all__ = ["module_tree"]


def module_tree(hierarchy: Hierarchy, module: str, prefix: str, count: int = 1, around: str = "") -> Node:
    """A module and what is in it, `count` times, in gates (GE); containers alone are opened.

    prefix: of the build's modules; around: the module that it is in, whose name is not said again.
    """
    total = hierarchy.total(module)["ge"] * count
    name = module.removeprefix(f"{prefix}_").removeprefix("wired_").removeprefix(f"{around}_")
    name = name if count == 1 else f"{count} x {name}"
    own = hierarchy.modules.get(module)
    if own is None:
        return Node(name, 0.0, module)
    if module != hierarchy.top and not is_container(module, prefix):
        return Node(name, total, module)
    within = module.removeprefix(f"{prefix}_")
    parts = [module_tree(hierarchy, inner, prefix, count * n, within) for inner, n in own.instances.items()]
    parts.append(Node("connections", own.ge * count, module))
    return Node(name, total, module, gathered(parts, SMALLEST * hierarchy.total(hierarchy.top)["ge"]))
