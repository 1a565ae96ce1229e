"""The pictures that commands write."""
