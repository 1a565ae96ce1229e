"""The rules of the published samplers once more, in ordinary Python: what a sequence is after every pass.

Each gives token lists, one after the other, of an engine (`tests.golden.samplers.engines.Hashing`), a prompt, the
length of the answer and the sampler's parameters. Probabilities are exact fractions, blocks are ranges of positions.
"""

from fractions import Fraction

from tests.golden.samplers.engines import DELETE, MASK, SPLIT, Tokens

ENDS = Tokens().eos_token_ids


class Run:
    """A sequence and the latest prediction of it."""

    def __init__(self, engine, prompt, gen_length):
        self.engine, self.prompt = engine, len(prompt)
        self.tokens = [*prompt, *[MASK] * gen_length]

    def predict(self, suppressed=()):
        self.guess, spread = self.engine.row(self.tokens, suppressed)
        self.probability = [Fraction(65536, s) for s in spread]

    def masks(self, block):
        return [p for p in block if self.tokens[p] == MASK]

    def ranked(self, positions):
        """The most probable first."""
        return sorted(positions, key=lambda p: (-self.probability[p], p))

    def fill(self, positions):
        for p in positions:
            self.tokens[p] = self.guess[p]

    def has_eos(self, block):
        return any(self.tokens[p] in ENDS for p in block)

    def blocks(self, length):
        """Behind the prompt."""
        return [range(at, at + length) for at in range(self.prompt, len(self.tokens), length)]

    def aligned(self, length):
        """Blocks that count from 0, those of the prompt alone left out, without the prompt's positions."""
        cut = range(self.prompt // length * length, len(self.tokens), length)
        return [range(max(at, self.prompt), min(at + length, len(self.tokens))) for at in cut]


def quota_rule(engine, prompt, gen_length, choose, block_length, steps, stop_at_eos=0, suppress_eos=0):
    """choose: from a run, its masks and a count to those that commit."""
    run = Run(engine, prompt, gen_length)
    share = steps // (gen_length // block_length)
    for block in run.blocks(block_length):
        schedule = [block_length // share + (step < block_length % share) for step in range(share)]
        for count in schedule:
            masks = run.masks(block)
            if not masks:
                break
            run.predict(ENDS if suppress_eos else ())
            run.fill(choose(run, masks, count))
            yield list(run.tokens)
        if stop_at_eos and run.has_eos(block):
            return


def llada(engine, prompt, gen_length, **values):
    yield from quota_rule(engine, prompt, gen_length, lambda run, masks, count: run.ranked(masks)[:count], **values)


def llada_eos_last(engine, prompt, gen_length, **values):
    def choose(run, masks, count):
        return sorted(run.ranked(masks), key=lambda p: run.guess[p] in ENDS)[:count]

    yield from quota_rule(engine, prompt, gen_length, choose, **values)


def llada_random(engine, prompt, gen_length, seed, **values):
    state = seed ^ 0x9E3779B9 or 1

    def word():
        nonlocal state
        for shift in (13, -17, 5):
            state ^= (state << shift if shift > 0 else state >> -shift) & 0xFFFFFFFF
        return state

    def choose(run, masks, count):
        chosen = []
        for number, p in enumerate(masks):
            if len(chosen) < count and (word() >> 16) * (len(masks) - number) // 65536 < count - len(chosen):
                chosen.append(p)
        return chosen

    yield from quota_rule(engine, prompt, gen_length, choose, **values)


def filling_rule(engine, prompt, gen_length, choose, block_length, stop_at_eos=0, fill_eos=0):
    """Blocks that end when nothing is masked or nothing commits; the mask is never committed. choose: from a run, the
    candidates and the block to those that commit."""
    run, states = Run(engine, prompt, gen_length), []
    for block in run.blocks(block_length):
        while run.masks(block):
            run.predict()
            candidates = [p for p in run.masks(block) if run.guess[p] != MASK]
            chosen = choose(run, candidates, block) if candidates else []
            run.fill(chosen)
            states.append(list(run.tokens))
            if not chosen:
                break
        if fill_eos and run.has_eos(block):
            at = min(p for p in block if run.tokens[p] in ENDS)
            states[-1][at:] = [run.tokens[at]] * (len(run.tokens) - at)
        if (fill_eos or stop_at_eos) and run.has_eos(block):
            break
    return states


def threshold(engine, prompt, gen_length, threshold, **values):
    def choose(run, candidates, block):
        return [p for p in candidates if run.probability[p] > threshold] or run.ranked(candidates)[:1]

    return filling_rule(engine, prompt, gen_length, choose, **values)


def threshold_near(engine, prompt, gen_length, threshold, **values):
    def choose(run, candidates, block):
        near = max(run.probability[p] for p in candidates) - Fraction(1, 100_000)
        return [p for p in candidates if run.probability[p] > threshold or run.probability[p] >= near]

    return filling_rule(engine, prompt, gen_length, choose, **values)


def hierarchical(engine, prompt, gen_length, threshold, run_threshold, **values):
    def choose(run, candidates, block):
        runs, chosen = [[]], {p for p in candidates if run.probability[p] > threshold}
        for p in block:
            if run.tokens[p] == MASK:
                runs[-1].append(p)
            else:
                runs.append([])
        for one in runs:
            best = run.ranked([p for p in one if p in candidates])[:1]
            chosen |= {p for p in best if run.probability[p] > run_threshold}
        return chosen or run.ranked(candidates)[:1]

    return filling_rule(engine, prompt, gen_length, choose, **values)


def factor(engine, prompt, gen_length, factor, **values):
    def choose(run, candidates, block):
        ranked = run.ranked(candidates)
        sure = [n for n, p in enumerate(ranked, 1) if (n + 1) * (1 - run.probability[p]) < Fraction(factor, 65536)]
        return ranked[: max(sure, default=1)]

    return filling_rule(engine, prompt, gen_length, choose, **values)


def block_diffusion(engine, prompt, gen_length, block_length, steps, threshold, stop_at_eos=1):
    run = Run(engine, prompt, gen_length)
    for block in run.aligned(block_length):
        for step in range(steps):
            masks = run.masks(block)
            if not masks:
                break
            run.predict()
            quota = block_length // steps + (step < block_length % steps)
            sure = [p for p in masks if run.probability[p] > threshold]
            run.fill(sure if len(sure) >= quota else run.ranked(masks)[:quota])
            yield list(run.tokens)
        if stop_at_eos and run.has_eos(block):
            return


def joint_threshold(engine, prompt, gen_length, block_length, threshold, edit_threshold, max_post, stop_at_eos=1):
    run = Run(engine, prompt, gen_length)
    for block in run.aligned(block_length):
        post = 0
        while post < max_post:
            run.predict()
            masks = [p for p in run.masks(block) if run.guess[p] != MASK]
            drafts = [p for p in masks if run.probability[p] > threshold] or run.ranked(masks)[:1]
            others = [p for p in block if run.tokens[p] not in (MASK, run.guess[p]) and run.guess[p] != MASK]
            edits = [p for p in others if run.probability[p] > edit_threshold]
            run.fill(drafts + edits)
            yield list(run.tokens)
            post += not drafts
            if not drafts and not edits:
                break
        if stop_at_eos and run.has_eos(block):
            return


def state_hash(tokens):
    word = 2166136261
    for token in tokens:
        word = (word ^ token) * 40503 & 0xFFFFFFFF
        word ^= word >> 15
    return word


def edited(run, block, changes, broken=None):
    """Tokens of the block after a pass and whether each is one of its first masks; originals: those before."""
    found = []
    for p in block:
        token, original = run.tokens[p], run.original[p]
        if p not in changes:
            found.append((token, original))
        elif p == broken:
            found.append((MASK, False))
        elif run.guess[p] == SPLIT:
            found += [(MASK, False), (token, original)]
        elif run.guess[p] != DELETE:
            found.append((run.guess[p], False))
    return (found + [(MASK, False)] * len(block))[: len(block)]


def levenshtein(
    engine, prompt, gen_length, block_length, threshold, edit_threshold, max_post, max_rounds, stop_at_eos=1
):
    run = Run(engine, prompt, gen_length)
    run.original = [token == MASK for token in run.tokens]
    for block in run.aligned(block_length):
        states, post, idle = [], 0, False
        for number in range(1, max_rounds + 1):
            masks = run.masks(block)
            made = [p for p in masks if not run.original[p]]
            post = 0 if len(made) < len(masks) else post + 1
            last = idle or post == max_post or number == max_rounds
            run.predict([DELETE, SPLIT, MASK] if last else [])
            candidates = run.ranked(p for p in masks if run.guess[p] != MASK)
            need = 1 + len(made) if len(made) < len(masks) and not last else len(masks)
            fills = [p for n, p in enumerate(candidates) if n < need or run.probability[p] > threshold]
            others = [p for p in block if run.tokens[p] not in (MASK, run.guess[p]) and run.guess[p] != MASK]
            changes = set(fills) | {p for p in others if run.probability[p] > edit_threshold}
            after = edited(run, block, changes)
            if state_hash(token for token, _ in after) in states[-len(block) :] and changes and not last:
                after = edited(run, block, changes, broken=run.ranked(changes)[-1])
            states.append(state_hash(token for token, _ in after))
            before = list(run.tokens)
            for p, (token, original) in zip(block, after, strict=True):
                run.tokens[p], run.original[p] = token, original
            yield list(run.tokens)
            idle = run.tokens == before
            if last or (idle and not run.masks(block)):
                break
        if stop_at_eos and run.has_eos(block):
            return


def left_to_right(engine, prompt, gen_length, stop_at_eos=1):
    run = Run(engine, prompt, gen_length)
    for p in range(len(prompt), len(run.tokens)):
        run.predict()
        run.fill([p])
        yield list(run.tokens)
        if stop_at_eos and run.tokens[p] in ENDS:
            return
