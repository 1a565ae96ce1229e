"""What did not fit its word: said by every command that runs integers, an error where a calibration promised none."""

from collections.abc import Mapping

from hardloom.flows.console.report import notice
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.quantized import QuantizedCheckpoint

__all__ = ["broken_promise", "counted_by_chip", "report_saturated", "saturated_in_words"]


def saturated_in_words(saturated: Mapping[str, int]) -> str:
    """How many values, by the counts of their sites."""
    if not saturated:
        return "no value saturated"
    worst = max(saturated, key=lambda site: saturated[site])
    return f"{sum(saturated.values()):,} values did not fit their word, {saturated[worst]:,} of them at {worst}"


def counted_by_chip(sums: int) -> dict[str, int]:
    """Counts by site where register SATURATIONS says so many."""
    return {"the sums of the residual stream": sums} if sums else {}


def broken_promise(checkpoint: QuantizedCheckpoint | None, saturated: Mapping[str, int]) -> str | None:
    """The error that saturations are where the contract of `checkpoint` was calibrated; None where there is none.

    checkpoint: None for one that was quantized on the way, without a calibration.
    """
    if not saturated or checkpoint is None or not checkpoint.is_calibrated:
        return None
    return (
        f"{checkpoint.path}: {saturated_in_words(saturated)}, and its calibration promised none; calibrate on text "
        "like this one"
    )


def report_saturated(checkpoint: QuantizedCheckpoint | None, saturated: Mapping[str, int]) -> None:
    """Say what saturated on standard error. Raises `UserError` for a `broken_promise`."""
    if broken := broken_promise(checkpoint, saturated):
        raise UserError(broken)
    if saturated:
        notice(f"{saturated_in_words(saturated)}; `hardloom calibrate` finds a contract that holds them")
