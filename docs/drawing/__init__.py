"""`make drawing`: the rooms of the house and the imports between them, as docs/images/rooms.svg and the table of
docs/architecture.md; a test fails when they are not what the code says."""
