"""Planted faults: a moved wire, a flipped bit, a tie decided the other way; every one must make a check fail."""

from hardloom.verif.faults.campaign import KINDS, Campaign, plant

__all__ = ["KINDS", "Campaign", "plant"]
