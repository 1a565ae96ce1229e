"""`hardloom layout`: an emitted tile placed, routed, drawn, checked and timed, on sky130_fd_sc_hd."""
