"""What an array costs: gates and energy from its plan, fitted to synthesized tiles (docs/explore.md)."""
