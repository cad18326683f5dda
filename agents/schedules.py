"""Numbers that change while an agent learns."""

from agents.config import AgentConfig, Anneal, Target


def anneal(schedule: Anneal, elapsed: int) -> float:
    """The value `elapsed` env steps after the warm-up; a negative number means that it still lasts."""
    if elapsed < 0:
        return schedule.start
    if elapsed >= schedule.steps:
        return schedule.end
    return schedule.start + (schedule.end - schedule.start) * elapsed / schedule.steps


def annealed(target: Target, elapsed: int) -> tuple[int, float]:
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
