"""Verilog by which Yosys maps to cells that neither `dfflibmap` nor ABC knows: adders, latches, clock gates."""

from flows.synth.liberty import Adder, Library

__all__ = ["RIPPLE", "techmap_verilog"]

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
  \$pos #(.A_SIGNED(A_SIGNED), .A_WIDTH(A_WIDTH), .Y_WIDTH(Y_WIDTH)) extend_a (.A(A), .Y(AA));
  \$pos #(.A_SIGNED(B_SIGNED), .A_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)) extend_b (.A(B), .Y(BX));
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

FULL_ADDER = r"""
(* techmap_celltype = "$fa" *)
module map_fa (A, B, C, X, Y);
  parameter WIDTH = 1;
  parameter [WIDTH-1:0] _TECHMAP_CONSTMSK_A_ = 0;
  parameter [WIDTH-1:0] _TECHMAP_CONSTMSK_B_ = 0;
  parameter [WIDTH-1:0] _TECHMAP_CONSTMSK_C_ = 0;
  parameter [WIDTH-1:0] _TECHMAP_CONSTVAL_A_ = 0;
  parameter [WIDTH-1:0] _TECHMAP_CONSTVAL_B_ = 0;
  parameter [WIDTH-1:0] _TECHMAP_CONSTVAL_C_ = 0;
  localparam [WIDTH-1:0] ZERO_A = _TECHMAP_CONSTMSK_A_ & ~_TECHMAP_CONSTVAL_A_;
  localparam [WIDTH-1:0] ZERO_B = _TECHMAP_CONSTMSK_B_ & ~_TECHMAP_CONSTVAL_B_;
  localparam [WIDTH-1:0] ZERO_C = _TECHMAP_CONSTMSK_C_ & ~_TECHMAP_CONSTVAL_C_;
  localparam [WIDTH-1:0] KNOWN = _TECHMAP_CONSTMSK_A_ | _TECHMAP_CONSTMSK_B_ | _TECHMAP_CONSTMSK_C_;
  localparam [WIDTH-1:0] TWO = (_TECHMAP_CONSTMSK_A_ & _TECHMAP_CONSTMSK_B_)
    | (_TECHMAP_CONSTMSK_A_ & _TECHMAP_CONSTMSK_C_) | (_TECHMAP_CONSTMSK_B_ & _TECHMAP_CONSTMSK_C_);
  input [WIDTH-1:0] A, B, C;
  output [WIDTH-1:0] X, Y;
  genvar i;
  generate
    for (i = 0; i < WIDTH; i = i + 1) begin : bits
      wire a = A[i], b = B[i], c = C[i], x, y;
      assign X[i] = x, Y[i] = y;
      if (!KNOWN[i]) begin
FULL
      end else if (HALVES && !TWO[i] && (ZERO_A[i] | ZERO_B[i] | ZERO_C[i])) begin
        wire d = ZERO_A[i] ? c : a;
        wire e = ZERO_B[i] ? c : b;
HALF
      end else begin
        assign y = a ^ b ^ c;
        assign x = (a & b) | (a & c) | (b & c);
      end
    end
  endgenerate
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
module map_clock_gate (input clk, enable, output gated);
  {cell} u (.{clock}(clk), .{enable}(enable), {test}.{output}(gated));
endmodule
"""


def _adder(adder: Adder, inputs: str) -> str:
    """Instance of an adder with the wires `inputs`, and its outputs x (carry) and y (sum) the right way up."""
    pins = [f".{pin}({wire})" for pin, wire in zip(adder.inputs, inputs, strict=True)]
    lines = []
    for role, pin in sorted(adder.outputs.items()):
        wire = "x" if role.startswith("carry") else "y"
        if role.endswith("_n"):
            lines.append(f"        wire {wire}_n; assign {wire} = ~{wire}_n;")
            wire += "_n"
        pins.append(f".{pin}({wire})")
    return "\n".join([*lines, f"        {adder.cell} u ({', '.join(pins)});"])


def techmap_verilog(library: Library) -> str:
    """Maps `$fa`, latches and `hardloom_clock_gate` to cells of the library, as far as it has them."""
    full, half, parts = library.adder(3), library.adder(2), []
    if full:
        text = FULL_ADDER.replace("HALVES", str(int(half is not None))).replace("FULL", _adder(full, "abc"))
        parts.append(text.replace("HALF\n", _adder(half, "de") + "\n" if half else ""))
    for polarity in "PN":
        if (latch := library.latch) is not None:
            enable = "E" if (polarity == "N") == latch.inverted else "~E"
            output, invert = ("q_n", "  wire q_n; assign Q = ~q_n;\n") if latch.output_n else ("Q", "")
            body = f"{invert}  {latch.cell} u (.{latch.enable}({enable}), .{latch.data}(D), .{latch.output}({output}));"
            parts.append(LATCH.format(polarity=polarity, body=body))
    if gate := library.clock_gate:
        test = f".{gate.test}(1'b0), " if gate.test else ""
        names = {"cell": gate.cell, "clock": gate.clock, "enable": gate.enable, "output": gate.output}
        parts.append(CLOCK_GATE.format(**names, test=test))
    return "".join(parts)
