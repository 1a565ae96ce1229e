"""The register map that a host sees, of the table from which hardware and drivers are made."""

from hardloom.flows.export.registers import fixed_values
from hardloom.flows.report.section import Section
from hardloom.flows.report.subject import Subject
from hardloom.gen.design.axi_ports import commit_record
from hardloom.gen.design.registers import ErrorCode, registers_of

__all__ = ["registers"]

TITLE = "Register map"


def registers(subject: Subject) -> Section:
    """The section."""
    if subject.build is None or not subject.is_chip:
        return Section("registers", TITLE, missing=subject.no_chip)
    held = {
        "registers": sorted(registers_of(subject.build.hardware.adapter_rank), key=lambda register: register.address),
        "fixed": fixed_values(subject.build),
        "errors": [code for code in ErrorCode if code],
        "record": [(name, part.offset + part.width - 1, part.offset) for name, part in commit_record()],
    }
    return Section("registers", TITLE, (subject.command("export", "--to", "DIR"),), held)
