"""What a network is made of, as values. No torch here, so that a command line can be read before torch is loaded."""

from dataclasses import dataclass
from typing import Annotated, Literal

from hare_tortoise.ranges import Factor, Range, Share, require
from hare_tortoise.settings import Kind


@dataclass(frozen=True)
class Encoder:
    """From four frames to a latent image."""

    kind: Literal["data_efficient", "nature", "impala"] = "nature"
    """data_efficient: conv 32@5x5/5, 64@5x5/5; nature: conv 32@8x8/4, 64@4x4/2, 64@3x3/1; impala: 15 layers, residual"""
    padding: Literal["valid", "same"] = "valid"
    """none, or TensorFlow's SAME, whose odd pixel goes to the bottom and the right; impala is always padded"""
    width: Annotated[int, Range("[1, 64]")] = 1
    """factor on the channels of every layer; impala has 16, 32, 32"""
    renormalise: bool = False
    """scale each sample's latent to [0, 1]"""
    activation: Kind = "relu"
    """crelu: the positive and the negative part side by side, with layers narrower by the root of 2; fourier: sine and cosine,
    with layers half as wide"""
    layer_norm: bool = False
    """normalise each sample before every activation"""

    def rules(self, flag: str) -> None:
        """ValueError, naming the flag, if values mean nothing beside another."""
        require(self.kind != "impala" or self.padding == "same", f"{flag}kind impala needs {flag}padding same")


@dataclass(frozen=True)
class Head:
    """From a latent to the return of each action, its distribution or its mean."""

    dueling: Literal["streams", "last", "none"] = "streams"
    """value and advantage with a hidden layer each, with one in common, or no value stream"""
    hidden: Annotated[int, Range("[1, 65_536]")] = 256
    """units of a hidden layer"""
    noise: Annotated[float | None, Range("[0, 1_000]")] = 0.1
    """initial sigma of the noisy layers, before division by sqrt(fan) (sigma_0 of Fortunato et al. 2018); None: no noise"""
    noise_bias: Literal["fan_in", "fan_out"] = "fan_out"
    """which fan divides the initial sigma of the biases"""
    atoms: Annotated[int, Range("[1, 4_096]")] = 51
    """points of the support of the return distribution; 1: a mean, learnt with the Huber loss"""
    support: Annotated[float, Range("[1e-6, 1_000_000]")] = 10.0
    """the support is [-support, support], in clipped rewards"""
    gradient_scale: Share = 1.0
    """factor on the gradient from the head into the encoder"""
    activation: Kind = "relu"
    """as in the encoder"""
    layer_norm: bool = False
    """as in the encoder"""
    spectral_norm: bool = False
    """divide the weights of the hidden layers by their largest singular value; those of the noise are left alone"""


@dataclass(frozen=True)
class SelfPrediction:
    """Self-predictive representations (Schwarzer et al. 2021): predict the tortoise's latents of the next steps."""

    jumps: Annotated[int, Range("[1, 1_000]")] = 5
    """steps that are predicted, K"""
    weight: Factor = 5.0
    """factor of the loss, which is a mean over the K steps"""
    batch_norm: bool = True
    """batch normalisation in the transition model"""


@dataclass(frozen=True)
class Augmentation:
    """Random shift and intensity (Kostrikov et al. 2021), drawn anew for each observation, one draw for its four frames."""

    pad: Annotated[int, Range("[0, 84]")] = 4
    """largest shift, in pixels, in each direction; the edge is repeated"""
    intensity: Annotated[float, Range("[0, 0.5)")] = 0.05
    """brightness is multiplied by 1 + intensity * clip(normal, -2, 2)"""
