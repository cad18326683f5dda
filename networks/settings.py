"""What a network is made of, as values. No torch here, so that a command line can be read before torch is loaded."""

from dataclasses import dataclass
from typing import Literal

from hare_tortoise.settings import require


@dataclass(frozen=True)
class Encoder:
    """From four frames to a latent image."""

    kind: Literal["data_efficient", "nature", "impala"] = "nature"
    """data_efficient: conv 32@5x5/5, 64@5x5/5; nature: conv 32@8x8/4, 64@4x4/2, 64@3x3/1; impala: 15 layers, residual"""
    padding: Literal["valid", "same"] = "valid"
    """none, or TensorFlow's SAME, whose odd pixel goes to the bottom and the right; impala is always padded"""
    width: int = 1
    """factor on the channels of every layer; impala has 16, 32, 32"""
    renormalise: bool = False
    """scale each sample's latent to [0, 1]"""
    activation: Literal["relu", "crelu"] = "relu"
    """crelu: the positive and the negative part side by side, with layers narrower by the root of 2"""
    layer_norm: bool = False
    """normalise each sample before every activation"""

    def check(self) -> None:
        """ValueError, naming the flag, if a value is out of its range or means nothing beside another."""
        require(1 <= self.width <= 64, f"--encoder.width must lie in 1..64, not {self.width}")
        require(self.kind != "impala" or self.padding == "same", "--encoder.kind impala needs --encoder.padding same")


@dataclass(frozen=True)
class Head:
    """From a latent to the return of each action, its distribution or its mean."""

    dueling: Literal["streams", "last", "none"] = "streams"
    """value and advantage with a hidden layer each, with one in common, or no value stream"""
    hidden: int = 256
    """units of a hidden layer"""
    noise: float | None = 0.1
    """initial sigma of the noisy layers, before division by sqrt(fan) (sigma_0 of Fortunato et al. 2018); None: no noise"""
    noise_bias: Literal["fan_in", "fan_out"] = "fan_out"
    """which fan divides the initial sigma of the biases"""
    atoms: int = 51
    """points of the support of the return distribution; 1: a mean, learnt with the Huber loss"""
    support: float = 10.0
    """the support is [-support, support], in clipped rewards"""
    gradient_scale: float = 1.0
    """factor on the gradient from the head into the encoder"""
    activation: Literal["relu", "crelu"] = "relu"
    """as in the encoder"""
    layer_norm: bool = False
    """as in the encoder"""

    def check(self) -> None:
        """ValueError, naming the flag, if a value is out of its range."""
        require(1 <= self.hidden <= 1 << 16, f"--head.hidden must lie in 1..{1 << 16}, not {self.hidden}")
        require(1 <= self.atoms <= 1 << 12, f"--head.atoms must lie in 1..{1 << 12}, not {self.atoms}")
        require(1e-6 <= self.support <= 1e6, f"--head.support must lie in 1e-06..1e+06, not {self.support:g}")
        require(self.noise is None or 0 <= self.noise <= 1000, f"--head.noise must lie in 0..1000, not {self.noise}")
        require(0 <= self.gradient_scale <= 1, f"--head.gradient-scale must lie in 0..1, not {self.gradient_scale:g}")


@dataclass(frozen=True)
class SelfPrediction:
    """Self-predictive representations (Schwarzer et al. 2021): predict the tortoise's latents of the next steps."""

    jumps: int = 5
    """steps that are predicted, K"""
    weight: float = 5.0
    """factor of the loss, which is a mean over the K steps"""
    batch_norm: bool = True
    """batch normalisation in the transition model"""

    def check(self) -> None:
        """ValueError, naming the flag, if a value is out of its range."""
        require(1 <= self.jumps <= 1000, f"--prediction.jumps must lie in 1..1000, not {self.jumps}")
        require(0 <= self.weight <= 1e6, f"--prediction.weight must lie in 0..1e+06, not {self.weight:g}")


@dataclass(frozen=True)
class Augmentation:
    """Random shift and intensity (Kostrikov et al. 2021), drawn anew for each observation, one draw for its four frames."""

    pad: int = 4
    """largest shift, in pixels, in each direction; the edge is repeated"""
    intensity: float = 0.05
    """brightness is multiplied by 1 + intensity * clip(normal, -2, 2)"""

    def check(self) -> None:
        """ValueError, naming the flag, if a value is out of its range."""
        require(0 <= self.pad <= 84, f"--augmentation.pad must lie in 0..84, not {self.pad}")
        require(0 <= self.intensity < 0.5, f"--augmentation.intensity must lie in [0, 0.5), not {self.intensity:g}")
