"""The ranges of an agent's values. Each message names the flag that sets the value."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.config import AgentConfig


MOST = 10**9  # env steps or updates, of whatever is counted in them


def require(holds: bool, message: str) -> None:
    """ValueError with `message` unless `holds`."""
    if not holds:
        raise ValueError(message)


def check_config(c: "AgentConfig") -> None:
    """ValueError, naming the flag, if a value of `c` is out of its range or means nothing beside another."""
    _check_learning(c)
    _check_network(c)
    _check_optimizer(c)
    _check_weights(c)


def _check_learning(c: "AgentConfig") -> None:
    t, r = c.target, c.replay
    require(1 <= t.n <= 1000, f"--target.n must lie in 1..1000, not {t.n}")
    require(0 <= t.gamma <= 1, f"--target.gamma must lie in 0..1, not {t.gamma:g}")
    if t.end is not None:
        require(1 <= t.end.n <= 1000, f"--target.end.n must lie in 1..1000, not {t.end.n}")
        require(0 <= t.end.gamma < 1, f"--target.end.gamma must lie in [0, 1), not {t.end.gamma:g}")
        require(t.gamma < 1, f"--target.gamma must be below 1 to be annealed, not {t.gamma:g}")
        require(t.end.updates >= 1, f"--target.end.updates must be at least 1, not {t.end.updates}")
    require(0 < r.ratio <= 1024, f"--replay.ratio must be above 0 and at most 1024, not {r.ratio:g}")
    require(1 <= r.batch_size <= 1 << 16, f"--replay.batch-size must lie in 1..{1 << 16}, not {r.batch_size}")
    require(1 <= r.warmup_steps <= MOST, f"--replay.warmup-steps must lie in 1..{MOST}, not {r.warmup_steps}")
    require(1 <= r.capacity <= 1 << 20, f"--replay.capacity must lie in 1..{1 << 20}, not {r.capacity}")
    require(0 <= r.alpha <= 1, f"--replay.alpha must lie in 0..1, not {r.alpha:g}")
    r.beta.check("replay.beta", 0, 1)
    c.exploration.epsilon.check("exploration.epsilon", 0, 1)
    e = c.exploration.evaluation
    require(0 <= e <= 1, f"--exploration.evaluation must lie in 0..1, not {e:g}")


def _check_network(c: "AgentConfig") -> None:
    e, h, a, p = c.encoder, c.head, c.augmentation, c.prediction
    require(1 <= e.width <= 64, f"--encoder.width must lie in 1..64, not {e.width}")
    require(e.kind != "impala" or e.padding == "same", "--encoder.kind impala needs --encoder.padding same")
    require(1 <= h.hidden <= 1 << 16, f"--head.hidden must lie in 1..{1 << 16}, not {h.hidden}")
    require(1 <= h.atoms <= 1 << 12, f"--head.atoms must lie in 1..{1 << 12}, not {h.atoms}")
    require(1e-6 <= h.support <= 1e6, f"--head.support must lie in 1e-06..1e+06, not {h.support:g}")
    require(h.noise is None or 0 <= h.noise <= 1000, f"--head.noise must lie in 0..1000, not {h.noise}")
    require(0 <= h.gradient_scale <= 1, f"--head.gradient-scale must lie in 0..1, not {h.gradient_scale:g}")
    if a is not None:
        require(0 <= a.pad <= 84, f"--augmentation.pad must lie in 0..84, not {a.pad}")
        require(0 <= a.intensity < 0.5, f"--augmentation.intensity must lie in [0, 0.5), not {a.intensity:g}")
    if p is not None:
        require(1 <= p.jumps <= 1000, f"--prediction.jumps must lie in 1..1000, not {p.jumps}")
        require(0 <= p.weight <= 1e6, f"--prediction.weight must lie in 0..1e+06, not {p.weight:g}")


def _check_optimizer(c: "AgentConfig") -> None:
    o, p = c.optimizer, c.penalties
    if o is not None:
        require(0 < o.learning_rate <= 1000, f"--optimizer.learning-rate must lie in (0, 1000], not {o.learning_rate:g}")
        require(0 < o.epsilon <= 1000, f"--optimizer.epsilon must lie in (0, 1000], not {o.epsilon:g}")
        require(0 <= o.beta1 < 1, f"--optimizer.beta1 must lie in [0, 1), not {o.beta1:g}")
        require(0 <= o.beta2 < 1, f"--optimizer.beta2 must lie in [0, 1), not {o.beta2:g}")
        require(o.clip is None or o.clip > 0, f"--optimizer.clip must be above 0 or None, not {o.clip}")
        require(0 <= o.weight_decay <= 1e6, f"--optimizer.weight-decay must lie in 0..1e+06, not {o.weight_decay:g}")
    require(0 <= p.initial <= 1e6, f"--penalties.initial must lie in 0..1e+06, not {p.initial:g}")
    require(0 <= p.logits <= 1e6, f"--penalties.logits must lie in 0..1e+06, not {p.logits:g}")


def _check_weights(c: "AgentConfig") -> None:
    t, s, r, i = c.tortoise, c.resets, c.recycling, c.injection
    require(0 <= t.decay < 1, f"--tortoise.decay must lie in [0, 1), not {t.decay:g}")
    require(t.every >= 1, f"--tortoise.every must be at least 1, not {t.every}")
    if s is not None:
        require(s.every >= 1, f"--resets.every must be at least 1, not {s.every}")
        for part in ("body", "neck", "head"):
            keep = getattr(s, f"keep_{part}")
            require(0 <= keep <= 1, f"--resets.keep-{part} must lie in 0..1, not {keep:g}")
        to_tortoise = s.source == "tortoise"
        require(not (to_tortoise and s.tortoise_too), "--resets.tortoise-too means nothing with --resets.source tortoise")
        apart = int(c.replay.warmup_steps * c.replay.ratio) * (t.warmup_counts - s.warmup_counts)  # of their clocks, in updates
        copied = t.decay == 0 and s.every % t.every == apart % t.every == 0
        told = "--tortoise.decay 0 makes the tortoise a copy: setting the hare back to it would change nothing"
        require(not (to_tortoise and copied), told)
    if r is not None:
        require(r.every >= 1, f"--recycling.every must be at least 1, not {r.every}")
        require(r.tau >= 0, f"--recycling.tau must not be negative, not {r.tau:g}")
    if i is not None:
        require(i.at >= 1, f"--injection.at must be at least 1, not {i.at}")
    require(r is None or i is None, "recycling (redo) and injection (inject) fight for the head: one of them at most")
