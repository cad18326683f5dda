"""What is planned for a run and never comes, because it is too short, or would change nothing. No torch here."""

from hare_tortoise.ranges import require
from hare_tortoise.settings import Plans


def idle(plans: Plans, planned: int, tasks: int = 1) -> list[str]:
    """A line for each planned change of weights of `plans` that never comes in `planned` updates of so many `tasks`."""
    never, resets = [], plans.resets
    if resets is not None and resets.every is None:
        if tasks == 1:
            return ["resets come at the start of each task but the first, and there is one task: none comes"]
        if resets.start >= planned:
            never.append(f"--resets.start {resets.start}")
    elif resets is not None and not resets.count(planned, plans.missed, known=plans.updates is not None):
        never.append(f"--resets.every {resets.every}{f' behind --resets.start {resets.start}' * (resets.start > 0)}")
    if plans.recycling is not None:
        first = plans.recycling.every
        if first > planned or not plans.recycling.due(first, plans.updates):
            never.append(f"--recycling.every {first}")
    if plans.replacement is not None and planned <= plans.replacement.maturity:
        never.append(f"--replacement.maturity {plans.replacement.maturity}")
    return [f"{flag} is too long for a run of {planned} updates: none comes" for flag in never]


def require_other(plans: Plans) -> None:
    """ValueError if the hare is to be set back to a tortoise that is a copy of it, or that has not followed it yet."""
    r, t = plans.resets, plans.tortoise
    if r is None or t is None or r.source != "tortoise":
        return
    copy = "--tortoise.decay 0 makes the tortoise a copy: setting the hare back to it would change nothing"
    if r.every is None:  # between tasks: not known when
        require(t.decay > 0 or t.every > 1, copy)
        return
    reset, followed = plans.missed * r.warmup_counts, plans.missed * t.warmup_counts  # what the two clocks begin with
    together = r.every % t.every == 0 and (followed - reset) % t.every == 0
    require(t.decay > 0 or not together, copy)
    back = -(-(max(r.start, 1) + reset) // r.every) * r.every - reset  # the first update behind which it is set back
    early = (
        f"--tortoise.every {t.every}: the hare would be set back behind update {back}, and the tortoise has not followed yet"
    )
    require(back >= t.every - followed % t.every, early)
