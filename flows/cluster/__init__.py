"""`--cluster`: work over machines, by the workers of a Dask scheduler."""
