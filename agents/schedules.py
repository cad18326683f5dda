"""Numbers that change while an agent learns."""

from agents.config import AgentConfig, Anneal, Resets, Target, Tortoise


def anneal(schedule: Anneal, elapsed: int) -> float:
    """The value `elapsed` env steps after the warm-up; a negative number means that it still lasts."""
    if elapsed < 0:
        return schedule.start
    if elapsed >= schedule.steps:
        return schedule.end
    return schedule.start + (schedule.end - schedule.start) * elapsed / schedule.steps


def horizon(target: Target, elapsed: int) -> tuple[int, float]:
    """n and gamma `elapsed` updates after they were last started: both go exponentially, gamma by 1 - gamma."""
    if target.end is None:
        return target.n, target.gamma
    u = min(elapsed / target.end.updates, 1)
    n = round(target.n * (target.end.n / target.n) ** u)
    return n, 1 - (1 - target.gamma) * ((1 - target.end.gamma) / (1 - target.gamma)) ** u


def updates_due(config: AgentConfig, env_step: int) -> int:
    """How many updates an agent should have made when `env_step` env steps are done; none during the warm-up."""
    if config.optimizer is None:
        return 0
    return max(0, int((env_step - config.replay.warmup_steps) * config.replay.ratio))


def reset_due(config: AgentConfig, updates: int, planned: int | None) -> bool:
    """Whether a reset follows the `updates`-th update of `planned` (None: nobody knows).

    New weights come only if a whole interval is left to learn in, the tortoise's if any update is, for both lie about a score:
    the evaluation would play a network that has learnt little or nothing.
    """
    resets = config.resets
    if resets is None or (updates + _missed(config, resets)) % resets.every != 0:
        return False
    return planned is None or planned - updates >= (1 if resets.source == "tortoise" else resets.every)


def resets_planned(config: AgentConfig, planned: int) -> int:
    """How many resets there are in a run of `planned` updates."""
    if config.resets is None:
        return 0
    every = config.resets.every
    first = every - _missed(config, config.resets) % every
    return sum(reset_due(config, update, planned) for update in range(first, planned + 1, every))


def follow_due(config: AgentConfig, updates: int) -> bool:
    """Whether the tortoise follows the hare behind the `updates`-th update."""
    return (updates + _missed(config, config.tortoise)) % config.tortoise.every == 0


def _missed(config: AgentConfig, plan: Resets | Tortoise) -> int:
    """The updates of the warm-up that `plan` counts, though they were not made."""
    return int(config.replay.warmup_steps * config.replay.ratio) if plan.warmup_counts else 0
