"""Standard cells: the embedded library, Liberty files of users, their functions and models."""
