"""A sampler's text and the values of its parameters as a program."""

import ast
from collections.abc import Mapping
from typing import Protocol

from hardloom.golden.errors import UserError
from hardloom.golden.samplers.language.assembly import FIRST_VARIABLE, Assembly, Constant
from hardloom.golden.samplers.language.constants import Constants
from hardloom.golden.samplers.language.source import WORD, Number, Refused, Source, Unmet
from hardloom.golden.samplers.language.statements import RESERVED, Statements
from hardloom.golden.samplers.machine import SUPPRESSED, HeadWord, Op, Program
from hardloom.golden.samplers.manner import AMOUNT_FRAC

__all__ = ["Vocabulary", "compiled"]


MOST = (1 << 16) - 1
"""Of a temperature and of guidance, as words of the head; and a vicinity of all positions."""


class Vocabulary(Protocol):
    """What a sampler knows of a model; `golden.shape.ModelShape` is one."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def mask_token(self) -> int: ...

    @property
    def token_ids(self) -> int: ...

    @property
    def bidirectional(self) -> bool: ...

    @property
    def max_position_embeddings(self) -> int: ...

    @property
    def eos_token_ids(self) -> tuple[int, ...]: ...

    @property
    def delete_token_id(self) -> int | None: ...

    @property
    def split_token_id(self) -> int | None: ...


def compiled(source: Source, gen_length: int, given: Mapping[str, Number], model: Vocabulary) -> Program:
    """The program of a sampler for answers of `gen_length` tokens; given: values in place of defaults.

    Raises `UserError` for a text that is not of the language, for values that are not of their parameter's kind, and
    where one of the sampler's own requirements does not hold.
    """
    names: dict[str, Number | None] = {
        "gen_length": gen_length,
        "mask": model.mask_token,
        "eos": model.eos_token_ids[0] if model.eos_token_ids else None,
        "delete_token_id": model.delete_token_id,
        "split_token_id": model.split_token_id,
        "max_position_embeddings": model.max_position_embeddings,
        "none": WORD,
    }
    work = Statements(Assembly(), Constants(names), model.eos_token_ids)
    try:
        set_parameters(source, names, given, work.constants, model.vocab_size)
        suppress(source.name, work, model.eos_token_ids)
        tell_head(source.name, work)
        tell_vicinity(source.name, work, model)
        work.program(source.body)
    except Refused as error:
        raise UserError(f"{source.label}:{error.line}: {error}") from None
    except Unmet as error:
        raise UserError(f"sampler {source.name}: {error}") from None
    except RecursionError:
        raise UserError(f"{source.label}: expressions are nested too deep; use names for their parts") from None
    if not any(line.op is Op.PREDICT for line in work.code.lines):
        raise UserError(f"{source.label}: nothing is ever predicted; call predict(masked) or predict(everything)")
    variables = FIRST_VARIABLE + len(work.variables) - 2
    return Program.of(source.name, work.code.finish(variables, work.lowest, source.label))


def suppress(name: str, work: Statements, ends: tuple[int, ...]) -> None:
    """What the parameter `suppress_eos` asks for."""
    if work.constants.names["suppress_eos"]:
        if not 0 < len(ends) <= SUPPRESSED:
            raise UserError(f"sampler {name}: suppress_eos wants 1 to {SUPPRESSED} eos, not {len(ends)}; leave it out")
        work.suppress(ends)


def tell_head(sampler: str, work: Statements) -> None:
    """What the parameters `temperature`, `seed`, `guidance` and those of credit ask for."""
    amounts = "temperature", "guidance", "credit", "credit_decay", "credit_power"
    known = {name: work.constants.names[name] or 0 for name in ("seed", *amounts)}
    scaled = {name: min(round(known[name] * 2**AMOUNT_FRAC), MOST) for name in amounts}
    for name in ("temperature", "guidance", "credit"):
        if known[name] and not scaled[name]:
            least = 2**-AMOUNT_FRAC
            raise UserError(
                f"sampler {sampler}: {name} is {known[name]}, too little to tell; give 0, or {least} or more"
            )
    if scaled["guidance"]:
        work.code.emit(Op.HEAD, Constant(scaled["guidance"]), imm=HeadWord.GUIDANCE)
    if scaled["temperature"]:
        work.code.emit(Op.HEAD, Constant(scaled["temperature"]), imm=HeadWord.TEMPERATURE)
        work.code.emit(Op.HEAD, Constant(int(known["seed"])), imm=HeadWord.SEED)
    if scaled["credit"]:
        for word in (HeadWord.CREDIT, HeadWord.CREDIT_DECAY, HeadWord.CREDIT_POWER):
            work.code.emit(Op.HEAD, Constant(scaled[word.name.lower()]), imm=word)


def tell_vicinity(name: str, work: Statements, model: Vocabulary) -> None:
    """What the parameter `vicinity` asks for."""
    vicinity = int(work.constants.names["vicinity"] or 0)
    if vicinity >= MOST:
        return
    if not model.bidirectional:
        raise UserError(
            f"sampler {name}: vicinity is of models in which all positions see each other, and attention of this one "
            "goes by blocks; leave it out"
        )
    work.code.emit(Op.HEAD, Constant(vicinity), imm=HeadWord.VICINITY)


def set_parameters(
    source: Source, names: dict[str, Number | None], given: Mapping[str, Number], constants: Constants, vocab_size: int
) -> None:
    """Give the parameters their values, in order: a default may be made from those before it."""
    for one in source.parameters:
        if one.name in RESERVED or one.name in names:
            raise UserError(f"{source.label}:{one.line}: {one.name} has a meaning already; choose another name")
        value = given.get(one.name)
        if value is None and one.default is not None:
            value = constants.value(one.default)
            if value is None:
                raise UserError(
                    f"{source.label}:{one.line}: the default of {one.name}, {one.default_text:.40}, is not known "
                    "beforehand; write one that is"
                )
        if value is None:
            raise UserError(f"sampler {source.name}: {one.name} has no value; give it {one.kind.values}")
        try:
            one.check(value, source.name, vocab_size)
        except UserError as error:
            if one.name in given or isinstance(one.default, ast.Constant):
                raise
            raise UserError(f"{error}, or change what its default follows from, {one.default_text}") from None
        names[one.name] = value
