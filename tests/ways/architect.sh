# An architect: what a chip of a published model would be, and which hardware is the smallest that is fast enough.
hardloom estimate --like "$LIKE" --tornado tornado.png
hardloom explore $EXPLORED --tokens-per-second 200 --plot front.png --front front.json
hardloom report "$CKPT" -o report.html
test -s tornado.png && test -s front.png && test -s front.json && test -s report.html
