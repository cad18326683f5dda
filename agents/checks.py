"""The ranges of an agent's values. Each message names the flag that sets the value."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.config import AgentConfig


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
    require(t.n >= 1, f"--target.n must be at least 1, not {t.n}")
    require(0 <= t.gamma <= 1, f"--target.gamma must lie in 0..1, not {t.gamma:g}")
    if t.end is not None:
        require(t.end.n >= 1, f"--target.end.n must be at least 1, not {t.end.n}")
        require(0 <= t.end.gamma < 1, f"--target.end.gamma must lie in [0, 1), not {t.end.gamma:g}")
        require(t.gamma < 1, f"--target.gamma must be below 1 to be annealed, not {t.gamma:g}")
        require(t.end.updates >= 1, f"--target.end.updates must be at least 1, not {t.end.updates}")
    require(0 < r.ratio <= 1024, f"--replay.ratio must be above 0 and at most 1024, not {r.ratio:g}")
    require(r.batch_size >= 1, f"--replay.batch-size must be at least 1, not {r.batch_size}")
    require(r.warmup_steps >= 1, f"--replay.warmup-steps must be at least 1, not {r.warmup_steps}")
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
    require(h.hidden >= 1, f"--head.hidden must be at least 1, not {h.hidden}")
    require(h.atoms >= 1, f"--head.atoms must be at least 1, not {h.atoms}")
    require(h.support > 0, f"--head.support must be above 0, not {h.support:g}")
    require(h.noise is None or h.noise >= 0, f"--head.noise must not be negative, not {h.noise}")
    require(0 <= h.gradient_scale <= 1, f"--head.gradient-scale must lie in 0..1, not {h.gradient_scale:g}")
    if a is not None:
        require(0 <= a.pad <= 84, f"--augmentation.pad must lie in 0..84, not {a.pad}")
        require(0 <= a.intensity < 0.5, f"--augmentation.intensity must lie in [0, 0.5), not {a.intensity:g}")
    if p is not None:
        require(p.jumps >= 1, f"--prediction.jumps must be at least 1, not {p.jumps}")
        require(p.weight >= 0, f"--prediction.weight must not be negative, not {p.weight:g}")


def _check_optimizer(c: "AgentConfig") -> None:
    o, p = c.optimizer, c.penalties
    if o is not None:
        require(o.learning_rate > 0, f"--optimizer.learning-rate must be above 0, not {o.learning_rate:g}")
        require(o.epsilon > 0, f"--optimizer.epsilon must be above 0, not {o.epsilon:g}")
        require(0 <= o.beta1 < 1, f"--optimizer.beta1 must lie in [0, 1), not {o.beta1:g}")
        require(0 <= o.beta2 < 1, f"--optimizer.beta2 must lie in [0, 1), not {o.beta2:g}")
        require(o.clip is None or o.clip > 0, f"--optimizer.clip must be above 0 or None, not {o.clip}")
        require(o.weight_decay >= 0, f"--optimizer.weight-decay must not be negative, not {o.weight_decay:g}")
    require(p.initial >= 0, f"--penalties.initial must not be negative, not {p.initial:g}")
    require(p.logits >= 0, f"--penalties.logits must not be negative, not {p.logits:g}")


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
    if r is not None:
        require(r.every >= 1, f"--recycling.every must be at least 1, not {r.every}")
        require(r.tau >= 0, f"--recycling.tau must not be negative, not {r.tau:g}")
    if i is not None:
        require(i.at >= 1, f"--injection.at must be at least 1, not {i.at}")
    require(r is None or i is None, "recycling (redo) and injection (inject) fight for the head: one of them at most")
