"""A unit's cases, one file a unit: geometry, stimulus, expected packets."""
