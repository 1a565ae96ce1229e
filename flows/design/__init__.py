"""Before there is a build: what arrays cost, what a chip would be, which lanes and slices to take."""
