"""The base of all units: an Amaranth component whose ports are those of the signature that it is made with."""

from typing import TYPE_CHECKING, Any

from amaranth.lib import wiring

__all__ = ["Component"]


class Component(wiring.Component):
    """An Amaranth component; its ports are attributes that a type checker takes as they come.

    Widths and numbers of lanes are parameters, so members are given to `__init__`, where no checker sees them.
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
