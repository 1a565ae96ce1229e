// Table view of a ROM, for simulation: its words are read from FILE, each in as many bytes as hold it, the highest first.
module rom_table #(
    parameter FILE = "",
    parameter INDEX_WIDTH = 1,
    parameter DEPTH = 1,
    parameter WIDTH = 1
) (
    input  wire [INDEX_WIDTH-1:0] index,
    output wire [WIDTH-1:0]       data
);
    reg [WIDTH-1:0] words [0:DEPTH-1];
    integer file, count;
    initial begin
        file = $fopen(FILE, "rb");
        count = $fread(words, file);
        if (count != DEPTH * ((WIDTH + 7) / 8)) begin
            $display("table %0s: holds another geometry", FILE);
            $finish;
        end
        $fclose(file);
    end
    assign data = index < DEPTH ? words[index] : {WIDTH{1'b0}};
endmodule
