"""The HNLPU paper's design (arXiv 2508.16151v2) from its own parameters, with its arrays or with ours."""

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.design.estimate.chip import Chip
from hardloom.flows.design.estimate.choices import Choice, array_mm2, choose, same_arrays
from hardloom.golden.errors import UserError
from hardloom.golden.shape import ModelShape

__all__ = ["hnlpu_chip"]

GRID = 4  # rows and columns of chips
FAMILY, MODEL = "gpt-oss", "gpt-oss-120b"


def exchanged_elements(shape: ModelShape) -> float:
    """Elements that the busiest link, one of a column, carries a token and layer (section 5.1, figure 10, appendix A).

    Partial sums of q, k and v and those of the attention's mix, a column's share of the heads each; the softmax's
    maximum and sum a head; the o matrix's share gathered; and the experts' partial sums of the whole hidden vector.
    """
    attention = shape.layers[0].attention
    heads = (attention.query_width + 2 * attention.key_value_width) / GRID
    mix = attention.query_width / GRID
    softmax = 2 * attention.num_heads / GRID
    output = shape.hidden_size / GRID
    return heads + mix + softmax + output + shape.hidden_size


def hnlpu_chip(shape: ModelShape, a: Assumptions, styles: tuple[str, ...], like: Chip | None) -> Chip:
    """Sixteen chips; a token leaves when the links have carried it through every layer.

    styles: of arrays to put in place of the published ones, the smallest that keep up with the links, or those of
    `like`; none to leave the published ones.
    """
    if shape.family != FAMILY:
        raise UserError(f"--design hnlpu: the paper's design is of {MODEL}; give --like {MODEL}, or --design hardloom")
    bytes_ = exchanged_elements(shape) * len(shape.layers) * a["exchange_bytes"]
    clock = a["clock_ghz"] * 1e9
    links_cycles = bytes_ / (a["link_gbyte_per_s"] * 1e9) * clock
    cycles = links_cycles / a["communication_share"]
    chips = int(a["chips"])
    arrays_mm2: float = published_arrays(shape, a)
    choices: tuple[Choice, ...] = ()
    if styles:
        budget = cycles * a["busy_share"]
        choices = choose(shape.kinds(), budget, a, styles) if like is None else same_arrays(like.choices, a)
        arrays_mm2 = own_arrays(choices, a)
    area = {
        "arrays": arrays_mm2,
        "attention": chips * a["vector_unit_mm2"],
        "buffers": chips * a["buffer_mm2"],
        "interconnect": chips * (a["interconnect_mm2"] + a["hbm_phy_mm2"]),
    }
    power = {"arrays": chips * a["array_w"], "attention, buffers, interconnect": chips * a["other_w"]}
    per_s = clock / cycles
    return Chip(choices, cycles, per_s, per_s, area, power, chips, 0, a.range("hbm_usd"))


def published_arrays(shape: ModelShape, a: Assumptions) -> float:
    """mm2 of Metal-Embedding: 0.95 of the bit cells that would hold the weights in four bits."""
    return shape.hardwired * 4 * a["sram_bitcell_um2"] * a["metal_embedding_over_bitcells"] * 1e-6


def own_arrays(choices: tuple[Choice, ...], a: Assumptions) -> float:
    """mm2 of our arrays."""
    return sum(array_mm2(choice, a) for choice in choices)
