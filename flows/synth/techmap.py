"""Verilog by which Yosys maps to cells that neither `dfflibmap` nor ABC knows: adders, latches, clock gates."""

from hardloom.flows.synth.library.library import Library

__all__ = ["CONSTANT", "ONE_BIT", "RIPPLE", "full_adder_verilog", "techmap_verilog"]

RIPPLE = r"""
(* techmap_celltype = "$alu" *)
module map_alu (A, B, CI, BI, X, Y, CO);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  input CI, BI;
  output [Y_WIDTH-1:0] X, Y, CO;
  wire [Y_WIDTH-1:0] AA, BX, BB;
  generate  // a constant 0 comes without bits
    if (A_WIDTH == 0) assign AA = 0;
    else \$pos #(.A_SIGNED(A_SIGNED), .A_WIDTH(A_WIDTH), .Y_WIDTH(Y_WIDTH)) extend_a (.A(A), .Y(AA));
    if (B_WIDTH == 0) assign BX = 0;
    else \$pos #(.A_SIGNED(B_SIGNED), .A_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)) extend_b (.A(B), .Y(BX));
  endgenerate
  assign BB = BX ^ {Y_WIDTH{BI}};
  assign X = AA ^ BB;
  genvar i;
  generate
    for (i = 0; i < Y_WIDTH; i = i + 1) begin : bits
      if (i == 0) \$fa #(.WIDTH(1)) u (.A(AA[i]), .B(BB[i]), .C(CI), .X(CO[i]), .Y(Y[i]));
      else        \$fa #(.WIDTH(1)) u (.A(AA[i]), .B(BB[i]), .C(CO[i-1]), .X(CO[i]), .Y(Y[i]));
    end
  endgenerate
endmodule
"""
"""Adders whose carry ripples through full adders: the smallest there are."""

ONE_BIT = r"""
(* techmap_celltype = "$fa" *)
module map_fa_bits (A, B, C, X, Y);
  parameter WIDTH = 1;
  input [WIDTH-1:0] A, B, C;
  output [WIDTH-1:0] X, Y;
  wire _TECHMAP_FAIL_ = WIDTH == 1;
  genvar i;
  generate
    for (i = 0; i < WIDTH; i = i + 1) begin : bits
      \$fa #(.WIDTH(1)) u (.A(A[i]), .B(B[i]), .C(C[i]), .X(X[i]), .Y(Y[i]));
    end
  endgenerate
endmodule
"""
"""Full adders of several bits to those of one."""

CONSTANT = r"""
(* techmap_celltype = "$fa" *)
module map_fa_constant (input A, B, C, output X, Y);
  parameter WIDTH = 1;
  parameter _TECHMAP_CONSTMSK_A_ = 0;
  parameter _TECHMAP_CONSTMSK_B_ = 0;
  parameter _TECHMAP_CONSTMSK_C_ = 0;
  wire _TECHMAP_FAIL_ = !(_TECHMAP_CONSTMSK_A_ | _TECHMAP_CONSTMSK_B_ | _TECHMAP_CONSTMSK_C_);
  assign X = (A & B) | (A & C) | (B & C), Y = A ^ B ^ C;
endmodule
"""
"""Full adders with an input that does not change to gates, which shrink to half adders, inverters and wires."""

FULL_ADDER = """
(* techmap_celltype = "$fa" *)
module map_full_adder (input A, B, C, output X, Y);
  parameter WIDTH = 1;
{body}
endmodule
"""

LATCH = """
(* techmap_celltype = "$_DLATCH_{polarity}_" *)
module map_latch_{polarity} (input E, D, output Q);
{body}
endmodule
"""

CLOCK_GATE = """
(* techmap_celltype = "hardloom_clock_gate" *)
module map_clock_gate (input clk, enable, test_enable, output gated);
  {cell} u (.{clock}(clk), {enables}, .{output}(gated));
endmodule
"""


def full_adder_verilog(library: Library) -> str:
    """Maps `$fa` to the library's full adder, and is empty where there is none."""
    adder = library.full_adder
    if adder is None:
        return ""
    pins = [f".{pin}({wire})" for pin, wire in zip(adder.inputs, "ABC", strict=True)]
    lines = []
    for role, pin in sorted(adder.outputs.items()):
        wire = "X" if role.startswith("carry") else "Y"
        if role.endswith("_n"):
            lines.append(f"  wire {wire}_n; assign {wire} = ~{wire}_n;")
            wire += "_n"
        pins.append(f".{pin}({wire})")
    return FULL_ADDER.format(body="\n".join([*lines, f"  {adder.cell} u ({', '.join(pins)});"]))


def techmap_verilog(library: Library) -> str:
    """Maps latches and `hardloom_clock_gate` to cells of the library, as far as it has them."""
    parts = []
    for polarity in "PN":
        if (latch := library.latch) is not None:
            enable = "E" if (polarity == "N") == latch.inverted else "~E"
            output, invert = ("q_n", "  wire q_n; assign Q = ~q_n;\n") if latch.output_n else ("Q", "")
            body = f"{invert}  {latch.cell} u (.{latch.enable}({enable}), .{latch.data}(D), .{latch.output}({output}));"
            parts.append(LATCH.format(polarity=polarity, body=body))
    if gate := library.clock_gate:
        both = f".{gate.enable}(enable), .{gate.test}(test_enable)"
        enables = both if gate.test else f".{gate.enable}(enable | test_enable)"
        parts.append(CLOCK_GATE.format(cell=gate.cell, clock=gate.clock, enables=enables, output=gate.output))
    return "".join(parts)
