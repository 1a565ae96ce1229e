"""Benches of hardwired arrays: small ones, tiles at real width, a whole expert; and their table view."""
