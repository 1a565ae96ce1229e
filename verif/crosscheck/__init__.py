"""A second reader, independent of `verif.extract`: cells cut out of a build, parsed by pyverilog and computed."""
