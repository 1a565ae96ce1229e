"""`hardloom sample --sampler` and `--list-samplers`: a sampler as the command line asks for it, and what there are."""

from collections.abc import Iterator, Mapping, Sequence

from hardloom.flows.console.report import Part, table
from hardloom.golden.errors import UserError
from hardloom.golden.samplers.sampling import SAMPLERS, Sampling, read_sampler

__all__ = ["asked_sampling", "sampler_parts"]


def asked_sampling(
    sampler: str | None, gen_length: int, options: Mapping[str, object], settings: Sequence[str], causal: bool = False
) -> Sampling:
    """What `--sampler`, `--gen-length`, options that are called as parameters (None: not given) and `--set` ask for.

    Without `sampler` it is `threshold` where that option is given, else `llada`. A `causal` model is read out by
    `left_to_right`, and by no other of the library. Raises `UserError` as `Sampling.read` does, which knows the
    sampler's parameters, and for a setting that is none.
    """
    if causal and sampler in {*SAMPLERS} - {"left_to_right"}:
        raise UserError(
            f"--sampler: {sampler} fills masks in any order, of which a causal model sees none; give left_to_right"
        )
    texts = {name: str(value) for name, value in options.items() if value is not None}
    if sampler is None:
        sampler = "left_to_right" if causal else "threshold" if "threshold" in texts else "llada"
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name:
            raise UserError(f"--set: {setting!r} is not NAME=VALUE; write it like threshold=0.9")
        if name in texts:
            raise UserError(f"--set: {setting!r} gives {name} a second time; give each parameter once")
        texts[name] = text
    return Sampling.read(sampler, gen_length, texts)


def sampler_parts() -> Iterator[Part]:
    """A table of the library."""
    rows = []
    for name in SAMPLERS:
        source = read_sampler(name)
        parameters = [f"{one.name}={one.default_text}" for one in source.parameters]
        rows.append((name, source.summary, "\n".join(parameters)))
    columns = ("sampler", "what it does", "parameters and defaults")
    yield table(columns, rows, "samplers; --set NAME=VALUE sets a parameter", left=columns)
