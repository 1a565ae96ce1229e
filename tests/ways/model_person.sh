# Who trains models: what few bits cost a checkpoint, which words it needs, and what it says in integers.
hardloom info "$CKPT"
hardloom calibrate "$CKPT" --tokens "$TOKENS" -o numerics.json
hardloom sensitivity "$CKPT" --tokens "$TOKENS" --plot sensitivity.png
hardloom quantize "$CKPT" -o quantized --numerics numerics.json
hardloom sample quantized --engine golden --prompt-tokens 3,9,4 --gen-length 8 --trace
