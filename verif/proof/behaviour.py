"""What an array must do, as plain Verilog for a proof: `y = W @ x`, and a driver that sends packets to the array.

Nothing here knows how an array is built, but for the order in which a style adds: a proof that two orders of many
additions agree is hard for a solver, so the partial sums stand in the array's own order. Every order is W @ x.
"""

from collections.abc import Callable, Iterator

from hardloom.gen.arrays import ArrayPlan

__all__ = ["ORDERS", "behaviour_verilog", "driver_verilog", "miter_verilog"]

STREAM = ("in_valid", "in_ready", "in_data", "in_scale", "in_last", "out_valid", "out_data", "out_scale", "out_last")


def behaviour_verilog(plan: ArrayPlan) -> str:
    """Module `behaviour`: `y` [banks * rows * acc_width] of `x`, all inputs; `legal` when none is the least integer."""
    inputs, width, bits = plan.inputs, plan.acc_width, plan.activation.width
    rows = [(bank, row) for bank in range(plan.banks) for row in range(plan.rows)]
    lines = [f"module behaviour (input [{bits * inputs - 1}:0] x, output [{len(rows) * width - 1}:0] y, output legal);"]
    for number, (bank, row) in enumerate(rows):
        lines.append(f"    // bank {bank}, row {row}")
        weights = plan.matrices[bank][row].tolist()
        terms = ORDERS[plan.style.name](plan, weights, number)
        total = f"{width}'sd0"
        for i, weight in enumerate(weights):
            lines.append(f"    wire [{bits - 1}:0] z{number}_{i} = {'-' if weight < 0 else ''}{element(plan, i)};")
        for step, term in enumerate(terms):
            lines.append(f"    wire signed [{width - 1}:0] sum{number}_{step} = {total}{term};")
            total = f"sum{number}_{step}"
        lines.append(f"    assign y[{(number + 1) * width - 1}:{number * width}] = {total};")
    illegal = " | ".join(f"{element(plan, i)} == {bits}'d{1 << (bits - 1)}" for i in range(inputs))
    return "\n".join([*lines, f"    assign legal = !({illegal});", "endmodule\n"])


def element(plan: ArrayPlan, i: int) -> str:
    """Input `i` in a vector `x`."""
    bits = plan.activation.width
    return f"x[{bits * (i + 1) - 1}:{bits * i}]"


def products(plan: ArrayPlan, weights: list[int], number: int) -> Iterator[str]:
    """Weight times input, an input at a time."""
    for i, weight in enumerate(weights):
        if weight:
            yield f" {'-' if weight < 0 else '+'} {plan.acc_width}'sd{abs(weight)} * $signed({element(plan, i)})"


def planes(plan: ArrayPlan, weights: list[int], number: int) -> Iterator[str]:
    """Magnitude times a bit of the input or of its negative: a bit plane and a part of the inputs at a time, the sign
    bit minus."""
    parts = plan.slices // plan.form.fold
    for plane in range(plan.activation.width):
        for part in range(parts):
            some = [(i, abs(w) << plane) for i, w in enumerate(weights) if w and i % parts == part]
            words = [f"(z{number}_{i}[{plane}] ? {plan.acc_width}'sd{w} : {plan.acc_width}'sd0)" for i, w in some]
            if words:
                yield f" {'-' if plane == plan.activation.width - 1 else '+'} ({' + '.join(words)})"


ORDERS: dict[str, Callable[[ArrayPlan, list[int], int], Iterator[str]]] = {
    "metal": planes,
    "packed": planes,
    "rom": products,
    "shared": products,
    "cell": products,
}
"""By style: the terms of a row in the order in which it adds them, from weights and the row's number."""


def driver_verilog(plan: ArrayPlan) -> str:
    """Module `driver`: the array, two packets `before` and `x` sent to it without a pause, results always taken.

    At the end `y` [beats_out * banks * lanes * acc_width] holds the beats of the second; `done`: these were all that
    came, each with its packet's scale and the mark of the last where it belongs.
    """
    bits, scale = plan.activation.width, plan.activation.scale_width
    vector, beat, result = bits * plan.inputs, bits * plan.lanes, plan.banks * plan.lanes * plan.acc_width
    whole, beats_in, beats_out = result * plan.beats_out, plan.beats_in, plan.beats_out
    pins = ", ".join(f".{port}({port})" for port in STREAM)
    taken = f"{{out_data, y[{whole - 1}:{result}]}}" if beats_out > 1 else "out_data"
    return f"""module driver (
    input clk, input rst, input [{vector - 1}:0] before, input [{vector - 1}:0] x,
    output reg [{whole - 1}:0] y, output done
);
    wire in_ready, out_valid, out_last;
    wire [{result - 1}:0] out_data;
    wire [{scale - 1}:0] out_scale;
    reg [15:0] sent, got;
    reg sound;
    wire in_valid = !rst & (sent < {2 * beats_in});
    wire [{beat - 1}:0] in_data = {{x, before}} >> (sent * {beat});
    wire [{scale - 1}:0] in_scale = sent < {beats_in} ? {scale}'d5 : {scale}'d10;
    wire in_last = sent == {beats_in - 1} | sent == {2 * beats_in - 1};
    {plan.name} array (.clk(clk), .rst(rst), .test_enable(1'b0), .out_ready(1'b1), {pins});
    always @(posedge clk)
        if (rst) begin
            sent <= 16'd0;
            got <= 16'd0;
            sound <= 1'b1;
        end else begin
            if (in_valid & in_ready) sent <= sent + 16'd1;
            if (out_valid) begin
                got <= got + 16'd1;
                y <= {taken};
                sound <= sound & out_scale == (got < {beats_out} ? {scale}'d5 : {scale}'d10)
                    & out_last == (got == {beats_out - 1} | got == {2 * beats_out - 1});
            end
        end
    assign done = sound & got == {2 * beats_out};
endmodule
"""


def miter_verilog(plan: ArrayPlan, registers: int) -> str:
    """Module `miter`: the driver, unrolled into a function of its inputs and `registers` bits, against the behaviour.

    `same` [banks * rows] says which results agree, `legal` that no input is the least.
    """
    vector, width, rows = plan.activation.width * plan.inputs, plan.acc_width, plan.banks * plan.rows
    whole = plan.banks * plan.lanes * plan.beats_out * width
    lines = [
        f"module miter (input [{vector - 1}:0] before, input [{vector - 1}:0] x, input [{registers - 1}:0] registers,",
        f"    output [{rows - 1}:0] same, output done, output legal);",
        f"    wire [{whole - 1}:0] got;",
        f"    wire [{rows * width - 1}:0] want;",
        "    wire legal_before, legal_x;",
        "    unrolled array (.before(before), .x(x), .registers(registers), .y(got), .done(done));",
        "    behaviour other (.x(before), .y(), .legal(legal_before));",
        "    behaviour behaviour (.x(x), .y(want), .legal(legal_x));",
        "    assign legal = legal_before & legal_x;",
    ]
    for number in range(rows):
        bank, row = divmod(number, plan.rows)
        place = (row // plan.lanes * plan.banks + bank) * plan.lanes + row % plan.lanes
        pair = (f"{name}[{at * width} +: {width}]" for name, at in (("got", place), ("want", number)))
        lines.append(f"    assign same[{number}] = {' == '.join(pair)};")
    return "\n".join([*lines, "endmodule\n"])
