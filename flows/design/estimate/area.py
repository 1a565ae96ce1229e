"""Area of a chip by part, in mm2, and what lies between its dies."""

from math import ceil

from hardloom.flows.assumptions.assumptions import Assumptions, parse, read_data
from hardloom.flows.design.estimate.at_once import AtOnce
from hardloom.flows.design.estimate.workload import Workload
from hardloom.golden.quantization.format_names import CODE_BITS
from hardloom.golden.shape import DenseShape, ExpertsShape, ModelShape

__all__ = [
    "areas",
    "around_bits",
    "attention_bits",
    "between_dies",
    "emitted_bits",
    "gate_um2_5nm",
    "node_link_mm2",
    "sram_mm2",
    "storage_bits",
    "unit_gate_mm2",
]

PARTS = {
    "attention arrays": ("qkv", "q", "kv", "o"),
    "expert arrays": ("gate_up", "down", "shared_gate_up", "shared_down", "dense_gate_up", "dense_down"),
    "router and head arrays": ("router", "head"),
}
"""Kinds of matrix by part of the chip."""


def storage_bits(shape: ModelShape, work: Workload, a: Assumptions) -> float:
    """SRAM bits of all layers: keys and values, and what waits for them.

    A whole-sequence pass keeps two sequences a layer (one arrives while one is read), queries and residuals of one.
    With a cache, every layer engine works on a sequence of its own, and each layer keeps keys and values of them all.
    """
    attention, layers = shape.layers[0].attention, len(shape.layers)
    held = 2 if work.positions_per_forward >= work.length else layers
    key_values = held * work.length * 2 * attention.key_value_width * a["key_value_bits"]
    waiting = min(work.length, 2 * work.positions_per_forward)
    queue = waiting * (attention.query_width * a["key_value_bits"] + shape.hidden_size * a["residual_bits"])
    return layers * key_values + layers * queue


def emitted_bits(shape: ModelShape, work: Workload, at_once: AtOnce, a: Assumptions) -> float:
    """SRAM bits of the chip as emitted, all of a length: what attention holds, tokens around experts, and slots."""
    position = attention_bits(shape, at_once, a)
    slot = 2 * (shape.vocab_size - 1).bit_length() + a["residual_bits"]  # token; token and how sure it is
    waiting = sum(waiting_bits(shape.hidden_size, layer.mlp, at_once, a) for layer in shape.layers)
    return work.length * (len(shape.layers) * position + at_once.sequences * slot) + waiting


def waiting_bits(hidden: int, mlp: DenseShape | ExpertsShape, at_once: AtOnce, a: Assumptions) -> float:
    """Bits of the queues of a layer's second half, of tokens as they enter it, and around its experts."""
    queues, activation, residual = at_once.queues, a["key_value_bits"], a["residual_bits"]
    found = queues.residual * hidden * residual
    if not isinstance(mlp, ExpertsShape):
        return found
    found += queues.routing * hidden * activation
    if at_once.expert_groups > 1:
        found += at_once.expert_groups * queues.sums * hidden * a["group_sum_bits"]
    packets, results = around_bits(hidden, mlp, a)
    return found + mlp.num_experts * (queues.packets * packets + queues.results * results)


def around_bits(hidden: int, mlp: ExpertsShape, a: Assumptions) -> tuple[float, float]:
    """Bits of the packets into both arrays of an expert, and of the sums that they give, of one token."""
    packets = (hidden + mlp.intermediate_size) * a["key_value_bits"]
    return packets, (2 * mlp.intermediate_size + hidden) * a["array_sum_bits"]


def attention_bits(shape: ModelShape, at_once: AtOnce, a: Assumptions) -> float:
    """Bits a position of a layer's attention: queries and residuals of the passes that it holds, keys and values of
    these or of every slot, with their scales, the largest so far where it goes by blocks, and scores of two passes."""
    attention, word, scale = shape.layers[0].attention, a["key_value_bits"], a["head_scale_bits"]
    heads = attention.key_value_width / attention.head_dim
    passes = attention.query_width * word + attention.num_heads * scale + shape.hidden_size * a["residual_bits"]
    kept = 2 * (attention.key_value_width * word + heads * scale)
    kept += 0 if attention.block_length is None else heads * scale * (1 + at_once.cache)
    return at_once.passes * passes + at_once.kept * kept + 2 * at_once.pairs * a["score_bits"]


def areas(
    shape: ModelShape,
    arrays: dict[str, float],
    macs: float,
    bits: float,
    units: float,
    a: Assumptions,
    adapters: float = 0.0,
) -> dict[str, float]:
    """mm2 by part, without what lies between dies.

    arrays: mm2 of all arrays of each kind; macs: multipliers a layer; bits: of SRAM; units: gates of all other units;
    adapters: mm2 of LoRA adapters, where there are any.
    """
    smallest, timed = unit_gate_mm2(a), unit_gate_mm2(a) * a["unit_timed"]
    found = {part: sum(arrays.get(kind, 0.0) for kind in kinds) for part, kinds in PARTS.items()}
    entries = shape.embedding_weights * CODE_BITS[shape.formats["embedding"]] / 4
    found["embedding"] = smallest * entries * a["embedding_gates_per_weight"]
    found["attention"] = timed * macs * len(shape.layers) * a["mac_gates"]
    found["other units"] = timed * units
    found["buffers"] = sram_mm2(bits, a)
    if adapters:
        found["adapters"] = adapters
    share = a["floorplan_overhead"]
    found["overhead"] = sum(found.values()) * share / (1 - share)
    return found


def sram_mm2(bits: float, a: Assumptions) -> float:
    """mm2 of so many bits of SRAM."""
    return bits * a["sram_bitcell_um2"] / a["sram_efficiency"] * 1e-6


def unit_gate_mm2(a: Assumptions) -> float:
    """mm2 of die that a gate of all but arrays takes: of a real library's cells, and what stays empty between them."""
    return a["gate_um2"] * a["unit_library"] / a["utilisation"] * 1e-6


def gate_um2_5nm() -> float:
    """um2 of a gate at the node of what is scaled from 5 nm."""
    return parse(read_data("nodes")["5nm"])["gate_um2"].value


def node_link_mm2(a: Assumptions) -> float:
    """mm2 a die-to-die link: analogue circuits shrink with the square root of the gate."""
    return a["link_mm2"] * (a["gate_um2"] / gate_um2_5nm()) ** 0.5


def between_dies(area: float, positions_per_s: float, shape: ModelShape, a: Assumptions) -> tuple[int, int]:
    """Dies at the reticle limit, and links: a packet of residuals crosses from die to die for every position."""
    bytes_per_s = positions_per_s * shape.hidden_size * a["residual_bits"] / 8
    links_each = ceil(bytes_per_s / (a["link_gbyte_per_s"] * 1e9))
    dies = ceil(area / a["reticle_mm2"])
    while dies > 1:
        links = 2 * links_each * (dies - 1)
        needed = ceil((area + links * node_link_mm2(a)) / a["reticle_mm2"])
        if needed <= dies:
            return dies, links
        dies = needed
    return 1, 0
