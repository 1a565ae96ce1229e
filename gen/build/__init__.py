"""The build folder of `hardloom generate`: arrays on all cores, resumable, with a manifest."""
