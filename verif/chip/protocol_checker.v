// The rules of a chip's ports, beside the chip in every bench of it. A broken rule is printed with its time and counted;
// rules of both sides are here, so a bench that drives the chip wrongly is found too. Nothing counts before the first reset.

// One handshake. NAME: of the channel; FROM_CHIP: the chip drives `valid`, which is low in reset from its second cycle on.
module handshake_checker #(
    parameter NAME = "",
    parameter FROM_CHIP = 0,
    parameter WIDTH = 1
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             valid,
    input  wire             ready,
    input  wire [WIDTH-1:0] payload,
    output reg  [31:0]      violations
);
    reg was_reset, in_reset, waiting;
    reg [WIDTH-1:0] offered;

    initial begin
        violations = 0;
        was_reset = 0;
        in_reset = 0;
        waiting = 0;
    end

    task violation(input [8*48-1:0] rule);
        begin
            $display("protocol, %0s at %0t: %0s", NAME, $realtime, rule);
            violations = violations + 1;
        end
    endtask

    always @(posedge clk) begin
        was_reset <= was_reset | rst === 1'b1;
        in_reset <= rst;
        waiting <= !rst && valid === 1'b1 && ready === 1'b0;
        offered <= payload;
        if (rst) begin
            if (FROM_CHIP && in_reset && valid !== 1'b0) violation("valid in reset");
        end else if (was_reset) begin
            if ((valid ^ ready) === 1'bx) violation("valid or ready is unknown");
            if (valid === 1'b1 && (^payload) === 1'bx) violation("the payload of a valid is unknown");
            if (waiting && valid !== 1'b1) violation("valid fell before ready");
            if (waiting && valid === 1'b1 && payload !== offered) violation("the payload changed before ready");
        end
    end
endmodule

// All ports of a chip of SEQUENCES slots, and what holds between them: answers follow accesses; a packet of records is of
// one slot, and whole before another one or the end of the run, and the record of a step that commits nothing is a packet
// of its own. Where there are several slots, `irq` says nothing of the one whose records come.
module protocol_checker #(
    parameter SEQUENCES = 1
) (
    input  wire        clk,
    input  wire        rst,
    input  wire [7:0]  s_axil_awaddr,
    input  wire [2:0]  s_axil_awprot,
    input  wire        s_axil_awvalid,
    input  wire        s_axil_awready,
    input  wire [31:0] s_axil_wdata,
    input  wire [3:0]  s_axil_wstrb,
    input  wire        s_axil_wvalid,
    input  wire        s_axil_wready,
    input  wire [1:0]  s_axil_bresp,
    input  wire        s_axil_bvalid,
    input  wire        s_axil_bready,
    input  wire [7:0]  s_axil_araddr,
    input  wire [2:0]  s_axil_arprot,
    input  wire        s_axil_arvalid,
    input  wire        s_axil_arready,
    input  wire [31:0] s_axil_rdata,
    input  wire [1:0]  s_axil_rresp,
    input  wire        s_axil_rvalid,
    input  wire        s_axil_rready,
    input  wire [31:0] s_axis_tdata,
    input  wire [7:0]  s_axis_tid,
    input  wire        s_axis_tvalid,
    input  wire        s_axis_tready,
    input  wire        s_axis_tlast,
    input  wire [63:0] m_axis_tdata,
    input  wire [7:0]  m_axis_tid,
    input  wire        m_axis_tvalid,
    input  wire        m_axis_tready,
    input  wire        m_axis_tlast,
    input  wire        irq,
    output wire [31:0] violations
);
    localparam OKAY = 2'd0, SLVERR = 2'd2, NO_POSITION = 16'hFFFF;

    wire [31:0] aw, w, b, ar, r, s, m;
    handshake_checker #("AW", 0, 11) check_aw (
        clk, rst, s_axil_awvalid, s_axil_awready, {s_axil_awaddr, s_axil_awprot}, aw);
    handshake_checker #("W", 0, 36) check_w (
        clk, rst, s_axil_wvalid, s_axil_wready, {s_axil_wdata, s_axil_wstrb}, w);
    handshake_checker #("B", 1, 2) check_b (clk, rst, s_axil_bvalid, s_axil_bready, s_axil_bresp, b);
    handshake_checker #("AR", 0, 11) check_ar (
        clk, rst, s_axil_arvalid, s_axil_arready, {s_axil_araddr, s_axil_arprot}, ar);
    handshake_checker #("R", 1, 34) check_r (
        clk, rst, s_axil_rvalid, s_axil_rready, {s_axil_rdata, s_axil_rresp}, r);
    handshake_checker #("s_axis", 0, 41) check_s (
        clk, rst, s_axis_tvalid, s_axis_tready, {s_axis_tdata, s_axis_tid, s_axis_tlast}, s);
    handshake_checker #("m_axis", 1, 73) check_m (
        clk, rst, m_axis_tvalid, m_axis_tready, {m_axis_tdata, m_axis_tid, m_axis_tlast}, m);

    reg [31:0] between;
    assign violations = aw + w + b + ar + r + s + m + between;
    initial begin
        between = 0;
        was_reset = 0;
    end

    task violation(input [8*64-1:0] rule);
        begin
            $display("protocol at %0t: %0s", $realtime, rule);
            between = between + 1;
        end
    endtask

    reg [7:0] addresses, values, reads;  // accepted and not answered
    reg open;  // a packet of records has begun
    reg [7:0] slot;  // whose it is
    reg was_reset;
    wire answered = s_axil_bvalid & s_axil_bready;
    wire taken = m_axis_tvalid & m_axis_tready;
    always @(posedge clk)
        if (rst) begin
            addresses <= 0;
            values <= 0;
            reads <= 0;
            open <= 0;
            was_reset <= 1;
        end else if (was_reset) begin
            addresses <= addresses + (s_axil_awvalid & s_axil_awready) - answered;
            values <= values + (s_axil_wvalid & s_axil_wready) - answered;
            reads <= reads + (s_axil_arvalid & s_axil_arready) - (s_axil_rvalid & s_axil_rready);
            if (taken) open <= !m_axis_tlast;
            if (taken) slot <= m_axis_tid;

            if (irq === 1'bx) violation("irq is unknown");
            if (s_axil_bvalid && (addresses == 0 || values == 0)) violation("B without an address and a value");
            if (s_axil_rvalid && reads == 0) violation("R without an address");
            if (s_axil_bvalid && s_axil_bresp != OKAY && s_axil_bresp != SLVERR) violation("B is no OKAY and no SLVERR");
            if (s_axil_rvalid && s_axil_rresp != OKAY && s_axil_rresp != SLVERR) violation("R is no OKAY and no SLVERR");
            if (SEQUENCES == 1 && m_axis_tvalid && irq) violation("a record after the end of the run");
            if (SEQUENCES == 1 && open && irq) violation("the run ended within a packet");
            if (m_axis_tvalid && m_axis_tid >= SEQUENCES) violation("a record of a slot that there is not");
            if (m_axis_tvalid && open && m_axis_tid != slot) violation("a packet with records of two slots");
            if (taken && m_axis_tdata[39:24] == NO_POSITION && (open || !m_axis_tlast))
                violation("a record without a position in a packet with others");
        end
endmodule
