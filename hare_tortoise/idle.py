"""What is planned for a run and never comes, because it is too short. No torch here."""

from hare_tortoise.settings import Plans


def idle(plans: Plans, planned: int, tasks: int = 1) -> list[str]:
    """A line for each planned change of weights of `plans` that never comes in `planned` updates of so many `tasks`."""
    never, resets = [], plans.resets
    if resets is not None and resets.every is None:
        if tasks == 1:
            return ["resets come at the start of each task but the first, and there is one task: none comes"]
    elif resets is not None and not resets.count(planned, plans.missed, known=plans.updates is not None):
        never.append(f"--resets.every {resets.every}{f' behind --resets.start {resets.start}' * (resets.start > 0)}")
    if plans.recycling is not None and planned < plans.recycling.every:
        never.append(f"--recycling.every {plans.recycling.every}")
    if plans.replacement is not None and planned <= plans.replacement.maturity:
        never.append(f"--replacement.maturity {plans.replacement.maturity}")
    return [f"{flag} is too long for a run of {planned} updates: none comes" for flag in never]
