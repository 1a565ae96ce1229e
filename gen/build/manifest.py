"""What a build says of itself, `manifest.json`: what it was made from, its array units, the hash of every file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from hardloom.gen.arrays import ArrayPlan
from hardloom.gen.build.dropped import Dropped, check_dropped
from hardloom.gen.build.memories import MemoryFacts
from hardloom.gen.build.names import check_files
from hardloom.gen.build.seal import SEAL
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.matrices import ArrayUnit, array_units
from hardloom.gen.text.prefix import check_prefix, prefixed
from hardloom.golden.checkpoints.families import shape_of

__all__ = ["ArrayFacts", "Manifest"]


@dataclass(frozen=True)
class ArrayFacts(ArrayUnit):
    """An array unit as it was built.

    Attributes
    ----------
    rows, inputs: of one bank. weights: of all banks, zeros included.
    acc_width: bits of a result. cycles_per_packet: from one packet to the next when nobody waits.
    slices, style: as in the hardware configuration.
    module_prefix: of its module, as of all.
    """

    rows: int
    inputs: int
    weights: int
    acc_width: int
    cycles_per_packet: int
    slices: int
    style: str
    module_prefix: str

    @property
    def module(self) -> str:
        return prefixed(super().module, self.module_prefix)

    @classmethod
    def of(cls, unit: ArrayUnit, plan: ArrayPlan, module_prefix: str) -> ArrayFacts:
        return cls(
            **vars(unit),
            rows=plan.rows,
            inputs=plan.inputs,
            weights=plan.weights,
            acc_width=plan.acc_width,
            cycles_per_packet=plan.cycles_per_packet,
            slices=plan.slices,
            style=plan.style.name,
            module_prefix=module_prefix,
        )

    @classmethod
    def from_json(cls, unit: ArrayUnit, values: dict[str, Any], module_prefix: str) -> ArrayFacts:
        """Of `unit`, from what `to_json` gave. Raises KeyError or ValueError where it is something else."""
        known = vars(unit) | {"module_prefix": module_prefix}
        made = {field.name: values[field.name] for field in fields(cls) if field.name not in known}
        for name, value in made.items():
            if not (isinstance(value, str) if name == "style" else type(value) is int and value > 0):
                raise ValueError(f"{name} of {unit.module} is {value!r:.40}")
        facts = cls(**known, **made)
        if facts.to_json() != values:
            raise ValueError(f"the facts of {unit.module} are those of another array")
        return facts

    def to_json(self) -> dict[str, Any]:
        facts = asdict(self)
        names = {"module": self.module, "name": self.name, "prefix": self.prefix}
        facts["matrices"] = [*self.matrices]
        return names | {key: facts[key] for key in facts if key not in ("layer", "expert", "tile", "module_prefix")}


@dataclass(frozen=True)
class Manifest:
    """One build.

    Attributes
    ----------
    tool_version: of hardloom. key: hash of everything that the build depends on.
    model: fields of the model's `config.json`. quantization: format of each kind of matrix. hardware: what was built.
    module_prefix: of the names of all modules (`gen.text.prefix`). top: top module; None where the build holds chosen
        arrays alone.
    arrays: every array unit, in order. memories: every geometry of memories.
    weights_hardwired: of arrays and embedding.
    files: SHA-256 by name. dropped: those of them whose text was proven as it was written, and is gone.
    """

    tool_version: str
    key: str
    model: dict[str, Any]
    quantization: dict[str, str]
    hardware: HardwareConfig
    module_prefix: str
    top: str | None
    arrays: tuple[ArrayFacts, ...]
    memories: tuple[MemoryFacts, ...]
    weights_hardwired: int
    files: dict[str, str]
    dropped: dict[str, Dropped]

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Manifest:
        """From what `to_json` gave.

        Raises KeyError, TypeError, ValueError, AttributeError or UserError where it is something else.
        """
        if strange := sorted(values.keys() - {SEAL, *(field.name for field in fields(cls))}):
            raise ValueError(f"{strange[0]!r:.40} is no field of it")
        check_prefix(prefix := values["module_prefix"])
        hardware = HardwareConfig.from_json_dict(values["hardware"])
        units = array_units(shape_of(values["model"]), hardware.head_tiles)
        known = {prefixed(unit.module, prefix): unit for unit in units}
        made = {
            "hardware": hardware,
            "arrays": tuple(ArrayFacts.from_json(known[facts["module"]], facts, prefix) for facts in values["arrays"]),
            "memories": tuple(MemoryFacts.from_json(facts, prefix) for facts in values["memories"]),
            "files": check_files(values["files"]),
            "dropped": check_dropped(values.get("dropped", {}), values["files"]),
        }
        for name, wanted in (("tool_version", str), ("key", str), ("quantization", dict), ("weights_hardwired", int)):
            if type(values[name]) is not wanted:
                raise ValueError(f"{name} is {values[name]!r:.40}")
        if not isinstance(values["top"], str | None):
            raise ValueError(f"top is {values['top']!r:.40}")
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name not in made} | made)

    def to_json(self) -> dict[str, Any]:
        return {
            **vars(self),
            "hardware": self.hardware.to_json_dict(),
            "arrays": [facts.to_json() for facts in self.arrays],
            "memories": [facts.to_json() for facts in self.memories],
            "files": dict(sorted(self.files.items())),
            "dropped": {name: self.dropped[name].to_json() for name in sorted(self.dropped)},
        }
