"""Faults planted into the text of stream units, and which of them their benches do not see."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from hardloom.gen.text.verilog import to_verilog
from hardloom.verif.faults.tie_bench import Copy, outputs
from hardloom.verif.faults.tie_rules import TieUnit
from hardloom.verif.streams.bench import Case

__all__ = ["Fault", "unseen", "unseen_ties"]

Fault = tuple[str, str, str, str]
"""Case of a bench, text that stands in its unit, and what of it is changed into what."""


def broken(text: str, line: str, old: str, new: str) -> str:
    """`text` with the fault, at the first `line` in it."""
    at = text.index(line)
    assert line.count(old) == 1
    return text[:at] + line.replace(old, new) + text[at + len(line) :]


def unseen(faults: Sequence[Fault], cases: Sequence[Case], kinds: Sequence[str], folder: Path) -> list[Fault]:
    """Faults with which a unit passes its bench, of stimuli of these kinds; the units as they are must."""
    known, right = {case.name: case for case in cases}, dict[str, Copy]()
    for name in dict.fromkeys(name for name, *_ in faults):
        generator = torch.Generator().manual_seed(1)
        unit, played = known[name].component(), [known[name].stimulus(generator, kind) for kind in kinds]
        right[name] = Copy(f"right_{name}", name, to_verilog(unit, name), unit, played)
    copies = [
        replace(right[name], name=f"broken_{number}", text=broken(right[name].text, *fault))
        for number, (name, *fault) in enumerate(faults)
    ]
    same = outputs([*right.values(), *copies], folder)
    assert all(all(same[copy.name]) for copy in right.values())
    return [fault for number, fault in enumerate(faults) if all(same[f"broken_{number}"])]


def unseen_ties(unit: TieUnit, folder: Path) -> list[str]:
    """Comparisons that take equality too and pass the stimulus made for each; the unit as it is must pass all."""
    generator = torch.Generator().manual_seed(3)
    text, played = to_verilog(unit.component, unit.name), [rule.stimulus(generator) for rule in unit.rules]
    copies = [Copy("right", unit.name, text, unit.component, played)]
    copies += [
        Copy(f"broken_{number}", unit.name, rule.broken(text), unit.component, played)
        for number, rule in enumerate(unit.rules)
    ]
    right, *broken = outputs(copies, folder).values()
    assert all(right)
    return [rule.name for number, (rule, found) in enumerate(zip(unit.rules, broken, strict=True)) if found[number]]
