"""The commands on designs: what a whole chip would be, and which one to build."""

from pathlib import Path
from typing import Annotated

import typer

from hardloom.flows.cli.options import MOST, Json, folder, given_file, parse_formats, parse_queues, positive, text
from hardloom.flows.cli.outputs import FRONT, HARDWARE, PICTURE
from hardloom.flows.console.report import show
from hardloom.golden.errors import UserError
from hardloom.golden.shape import MOST_RANK

__all__ = ["commands"]

commands = typer.Typer()

Checkpoint = Annotated[
    Path | None, typer.Argument(parser=folder, help="Folder of a checkpoint; its config.json is enough.")
]
Like = Annotated[str | None, typer.Option(parser=text, help="A published architecture by name, like llada-moe-7b.")]
Node = Annotated[str, typer.Option(parser=text, help="5nm, 7nm, 28nm or 130nm.")]
Sampler = Annotated[str | None, typer.Option(parser=text, help="whole, cached, block or autoregressive.")]
PromptLength = Annotated[int | None, typer.Option(min=1, max=MOST, help="Tokens of a prompt.")]
GenLength = Annotated[int | None, typer.Option(min=1, max=MOST, help="Tokens generated.")]
TokensPerForward = Annotated[float | None, typer.Option(parser=positive, help="Tokens that a forward pass commits.")]
ExpertImbalance = Annotated[
    float | None, typer.Option(parser=positive, help="Load of the busiest expert over the mean, 1 at least.")
]
ExpertGroups = Annotated[int, typer.Option(min=1, max=MOST, help="Groups of experts that work side by side, likewise.")]
Routers = Annotated[int, typer.Option(min=1, max=MOST, help="Routers of a layer, likewise.")]
QueueDepths = Annotated[
    str | None, typer.Option(parser=text, help="Tokens that wait around the experts: residual=64,routing=8.")
]
HeadTiles = Annotated[int, typer.Option(min=1, max=MOST, help="Parts of the head that drain side by side.")]
Sequences = Annotated[int, typer.Option(min=1, max=256, help="Sequences in flight, of the chip as emitted.")]
Temperature = Annotated[bool, typer.Option("--temperature", help="Noise on logits, of the chip as emitted.")]
AdapterRank = Annotated[int, typer.Option(min=0, max=MOST_RANK, help="LoRA adapters beside q, k, v and o; 0: none.")]
Styles = Annotated[str | None, typer.Option(parser=text, help="Array styles to choose from, like metal,rom.")]


Formats = Annotated[
    str | None,
    typer.Option(
        parser=text,
        help="Other weight formats than `hardloom quantize` takes, by kind of matrix: head=mxfp4,down=mxfp6.",
    ),
]


def chosen_styles(styles: str | None) -> tuple[str, ...]:
    """All that are priced, unless some are named."""
    from hardloom.flows.design.estimate.arrays import PRICED_STYLES

    return PRICED_STYLES if styles is None else tuple(styles.split(","))


def check_alone(context: typer.Context, name: str, *beside: str) -> None:
    """Raise UserError where an option is given that is neither called `name` nor one of those called `beside`."""
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        if parameter.name not in (name, *beside) and source is not None and source.name == "COMMANDLINE":
            raise UserError(f"--{name}: goes without {parameter.opts[0]}; leave that out")


@commands.command()
def estimate(
    context: typer.Context,
    ckpt: Checkpoint = None,
    like: Like = None,
    node: Node = "5nm",
    design: Annotated[
        str | None, typer.Option(parser=text, help="hardloom, or hnlpu: the design of that paper.")
    ] = None,
    arrays: Annotated[
        str | None, typer.Option(parser=text, help="With design hnlpu: hnlpu's arrays, or hardloom's.")
    ] = None,
    sampler: Sampler = None,
    tokens_per_second: Annotated[float | None, typer.Option(parser=positive, help="Throughput to design for.")] = None,
    prompt_length: PromptLength = None,
    gen_length: GenLength = None,
    tokens_per_forward: TokensPerForward = None,
    expert_imbalance: ExpertImbalance = None,
    styles: Styles = None,
    formats: Formats = None,
    head_lanes: Annotated[int, typer.Option(min=1, max=MOST, help="Heads at once, of the chip as emitted.")] = 1,
    query_lanes: Annotated[int, typer.Option(min=1, max=MOST, help="Queries of each head at once, likewise.")] = 1,
    head_tiles: HeadTiles = 1,
    expert_groups: ExpertGroups = 1,
    routers: Routers = 1,
    queues: QueueDepths = None,
    sequences: Sequences = 1,
    temperature: Temperature = False,
    adapter_rank: AdapterRank = 0,
    tornado: Annotated[
        Path | None, typer.Option(parser=PICTURE.path, help="Sensitivity plot to write, PNG or SVG.")
    ] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Table of published systems beside ours.")] = False,
    as_json: Json = False,
) -> None:
    """What a whole chip would be: area, dies, tokens a second and a joule, masks, cost, carbon; docs/estimate.md.

    Example: hardloom estimate --like llada-moe-7b --node 5nm --tornado build/tornado.png
    """
    from hardloom.flows.design.estimate.at_once import AtOnce
    from hardloom.flows.design.estimate.report import comparison_parts, estimate_parts, report, report_comparison
    from hardloom.flows.design.estimate.request import Request

    if compare:
        check_alone(context, "compare", "node", "as_json")
        systems = report_comparison(node)
        show(systems, as_json, comparison_parts(systems), width=160)
        return
    lengths = (prompt_length, gen_length, tokens_per_forward, expert_imbalance)
    depths = parse_queues(queues)
    at_once = AtOnce(
        head_lanes,
        query_lanes,
        expert_groups,
        sequences,
        head_tiles,
        routers,
        depths,
        temperature=temperature,
        adapter_rank=adapter_rank,
    )
    chosen = chosen_styles(styles), parse_formats(formats), at_once
    request = Request(node, design, arrays, sampler, tokens_per_second, *lengths, *chosen)
    found = report(like, ckpt, request, tornado)
    show(found, as_json, estimate_parts(found))


@commands.command()
def explore(
    ckpt: Checkpoint = None,
    like: Like = None,
    tokens_per_second: Annotated[float, typer.Option(parser=positive, help="Throughput to reach.")] = 100.0,
    node: Node = "5nm",
    objective: Annotated[str, typer.Option(parser=text, help="What to minimise: area or energy.")] = "area",
    out: Annotated[
        Path | None, typer.Option("-o", "--output", parser=HARDWARE.path, help="Hardware file for `hardloom generate`.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(parser=PICTURE.path, help="Picture of the Pareto front to write, PNG or SVG.")
    ] = None,
    front: Annotated[Path | None, typer.Option(parser=FRONT.path, help="JSON of the Pareto front to write.")] = None,
    fit: Annotated[Path | None, typer.Option(parser=given_file, help="Cost model from `hardloom bench tiles`.")] = None,
    sampler: Sampler = None,
    prompt_length: PromptLength = None,
    gen_length: GenLength = None,
    tokens_per_forward: TokensPerForward = None,
    expert_imbalance: ExpertImbalance = None,
    styles: Styles = None,
    formats: Formats = None,
    head_tiles: HeadTiles = 1,
    expert_groups: ExpertGroups = 1,
    routers: Routers = 1,
    queues: QueueDepths = None,
    sequences: Sequences = 1,
    temperature: Temperature = False,
    adapter_rank: AdapterRank = 0,
    as_json: Json = False,
) -> None:
    """Choose style and slices by kind of array, lanes of streams and attention, for a throughput at the least area.

    Example: hardloom explore --like llada-moe-7b --tokens-per-second 200 --node 5nm -o build/hardware.json
    """
    from hardloom.flows.design.estimate.at_once import AtOnce
    from hardloom.flows.design.estimate.request import Request
    from hardloom.flows.design.explore.report import (
        Outputs,
        check_outputs,
        exploration_parts,
        search_space,
        write_outputs,
    )
    from hardloom.flows.design.explore.report import explore as search

    lengths = (prompt_length, gen_length, tokens_per_forward, expert_imbalance)
    chosen = chosen_styles(styles), parse_formats(formats)
    request = Request(node, "hardloom", None, sampler, tokens_per_second, *lengths, *chosen)
    units = AtOnce(
        *(1, 1, expert_groups, sequences, head_tiles, routers, parse_queues(queues)),
        temperature=temperature,
        adapter_rank=adapter_rank,
    )
    space = search_space(like, ckpt, request, fit, units)
    outputs = Outputs(out, plot, front)
    check_outputs(space, outputs)
    found = search(space, tokens_per_second, objective)
    write_outputs(found, outputs)
    show(found, as_json, exploration_parts(found))
