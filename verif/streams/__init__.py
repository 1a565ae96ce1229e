"""The one bench of every stream unit: packets in and out, stalls, resets, throughput."""
