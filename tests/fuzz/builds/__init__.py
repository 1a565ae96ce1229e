"""Build folders that were damaged or forged: generated again, proven, read by every command that opens a build."""
