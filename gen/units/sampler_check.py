"""States of the sampler from START to the first pass: lengths, prompt, serial divisions, masks written."""

from amaranth.hdl import Module, Mux, Signal, Value

from gen.design.registers import ErrorCode
from gen.units.sampler_run import Run

__all__ = ["add_checks"]


def add_checks(m: Module, run: Run, prompt: dict[str, Value], max_positions: int, mask_token_id: int) -> None:
    """States CHECK to FILL, which SEND follows, within the FSM of `gen.units.sampler.Sampler`.

    prompt: `received`, `whole` and `bad_token` of the slot, as in `gen.units.sampler_slot.Slot`.
    """
    left, blocks, count = Signal(16), Signal(16), Signal(16)
    total = Signal(17)
    held = run.held
    m.d.comb += total.eq(held.prompt_length + held.gen_length)
    with m.State("CHECK"):
        m.d.comb += run.forget_prompt.eq(1)  # where its last token has not come: the run fails, the next begins anew
        m.d.sync += [left.eq(held.gen_length), blocks.eq(0), run.now.positions.eq(total)]
        m.next = "BLOCKS"
        with m.If((held.prompt_length == 0) | (held.gen_length == 0) | (held.block_length == 0)):
            run.fail(m, ErrorCode.LENGTH)
        with m.Elif(total > max_positions):
            run.fail(m, ErrorCode.LENGTH)
        with m.Elif((prompt["received"] != held.prompt_length) | ~prompt["whole"]):
            run.fail(m, ErrorCode.PROMPT)
        with m.Elif(prompt["bad_token"]):
            run.fail(m, ErrorCode.TOKEN)
    _divide(m, run, left, blocks, count)
    _fill(m, run, mask_token_id)


def _divide(m: Module, run: Run, left: Signal, blocks: Signal, count: Signal) -> None:
    """blocks = gen / block, block_steps = steps / blocks, (base, remainder) = block / block_steps."""
    held, schedule = run.held, run.schedule
    with m.State("BLOCKS"):
        with m.If(left >= held.block_length):
            m.d.sync += [left.eq(left - held.block_length), blocks.eq(blocks + 1)]
        with m.Elif(left != 0):
            run.fail(m, ErrorCode.BLOCK)
        with m.Elif(run.by_threshold):
            m.next = "FILL"
        with m.Else():
            m.d.sync += [left.eq(held.steps), count.eq(0)]
            m.next = "STEPS"
    with m.State("STEPS"):
        with m.If(left >= blocks):
            m.d.sync += [left.eq(left - blocks), count.eq(count + 1)]
        with m.Elif((left != 0) | (count == 0)):
            run.fail(m, ErrorCode.STEPS)
        with m.Else():
            m.d.sync += [schedule.block_steps.eq(count), left.eq(held.block_length), schedule.base.eq(0)]
            m.next = "QUOTA"
    with m.State("QUOTA"):
        with m.If(left >= schedule.block_steps):
            m.d.sync += [left.eq(left - schedule.block_steps), schedule.base.eq(schedule.base + 1)]
        with m.Else():
            m.d.sync += schedule.remainder.eq(left)
            m.next = "FILL"


def _fill(m: Module, run: Run, mask_token_id: int) -> None:
    """Masks behind the prompt; the first block."""
    held, schedule = run.held, run.schedule
    at = Signal.like(run.store_at)
    started = Signal()
    with m.State("FILL"):
        m.d.comb += [
            run.store.eq(1),
            run.store_at.eq(Mux(started, at, held.prompt_length)),
            run.store_token.eq(mask_token_id),
        ]
        with m.If(run.stored):
            m.d.sync += [at.eq(run.store_at + 1), started.eq(1)]
            with m.If(run.store_at + 1 == run.now.positions):
                m.d.sync += [
                    started.eq(0),
                    run.since.eq(0),
                    schedule.step.eq(0),
                    schedule.block_start.eq(held.prompt_length),
                    schedule.block_end.eq(held.prompt_length + held.block_length),
                ]
                m.next = "SEND"
