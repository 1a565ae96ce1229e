"""`hardloom export`: a build as what an RTL engineer's flow takes, in a folder that needs nothing of ours."""
