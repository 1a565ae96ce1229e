"""States of the sampler from START to its program's first instruction: lengths, prompt, registers, masks written."""

from amaranth.hdl import Module, Mux, Signal, Value

from hardloom.gen.design.registers import ErrorCode
from hardloom.gen.units.sampler_run import Run
from hardloom.golden.samplers.machine import POSITIONS, PROMPT_LENGTH, REGISTERS

__all__ = ["add_checks"]


def add_checks(
    m: Module, run: Run, prompt: dict[str, Value], words: Value, max_positions: int, mask_token_id: int
) -> None:
    """States CHECK to FILL, which FETCH follows, within the FSM of `gen.units.sampler.Sampler`.

    prompt: `received`, `whole` and `bad_token` of the slot, as in `gen.units.sampler_slot.Slot`; words: so many of the
    memory of programs have been written, from the first on.
    """
    held, total = run.held, Signal(17)
    m.d.comb += total.eq(held.prompt_length + held.gen_length)
    with m.State("CHECK"):
        m.d.comb += run.forget_prompt.eq(1)  # where its last token has not come: the run fails, the next begins anew
        m.d.sync += [run.now.positions.eq(total), run.place.eq(0)]
        m.next = "CLEAR"
        with m.If((held.prompt_length == 0) | (held.gen_length == 0) | (total > max_positions)):
            run.fail(m, ErrorCode.LENGTH)
        with m.Elif((prompt["received"] != held.prompt_length) | ~prompt["whole"]):
            run.fail(m, ErrorCode.PROMPT)
        with m.Elif(prompt["bad_token"]):
            run.fail(m, ErrorCode.TOKEN)
        with m.Elif((run.words == 0) | (run.first + run.words > words)):
            run.fail(m, ErrorCode.PROGRAM)
    _clear(m, run)
    _fill(m, run, mask_token_id)


def _clear(m: Module, run: Run) -> None:
    """The program's registers."""
    register = Signal(range(REGISTERS))
    with m.State("CLEAR"):
        lengths = {PROMPT_LENGTH: run.held.prompt_length, POSITIONS: run.now.positions}
        value: Value = Mux(register == PROMPT_LENGTH, lengths[PROMPT_LENGTH], 0)
        run.write(m, register, Mux(register == POSITIONS, lengths[POSITIONS], value))
        m.d.sync += register.eq(register + 1)
        with m.If(register == REGISTERS - 1):
            m.next = "FILL"


def _fill(m: Module, run: Run, mask_token_id: int) -> None:
    """Masks behind the prompt, of which nothing is predicted yet."""
    at = Signal.like(run.store_at)
    started = Signal()
    with m.State("FILL"):
        m.d.comb += [
            run.store.eq(1),
            run.clear.eq(1),
            run.store_at.eq(Mux(started, at, run.held.prompt_length)),
            run.store_token.eq(mask_token_id),
        ]
        with m.If(run.stored):
            m.d.sync += [at.eq(run.store_at + 1), started.eq(1)]
            with m.If(run.store_at + 1 == run.now.positions):
                m.d.sync += started.eq(0)
                m.next = "FETCH"
