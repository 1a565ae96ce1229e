"""From logits to committed tokens: schedule, confidence, ties."""
