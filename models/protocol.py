"""What testtone asks of an encoder: a name, a sample rate, and `listen`.

An encoder is any object with these three. Everything else is optional and listed in `OPTIONAL_ATTRIBUTES`: a claim that
needs an attribute which the encoder lacks is not applicable to it, or falls back on a measurement from outside.

Conventions: waveforms are mono float32 'batch samples' in [-1, 1] at the encoder's own rate. Activations are real
'batch channels frames'. Codes are integer 'batch codebooks frames'. Frame m of a site stands for the samples from
m * hop to (m + 1) * hop; what the encoder sees beyond them is the business of `margin_seconds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

SITES = ("first_conv", "stack_end", "latent", "quantised")
"""The sites an encoder may offer, from the waveform inwards."""

CODES = "codes"
"""The key of the integer codes in what `listen` returns."""

OPTIONAL_ATTRIBUTES: Mapping[str, str] = {
    "frame_rates": "dict site -> Hz. Absent: frames divided by seconds.",
    "margin_seconds": "dict site -> seconds to ignore at each edge, where frames see padding; a pair is (start, end). "
    "Absent: measured.",
    "strides": "tuple of ints, the chain of downsampling factors. Absent: one stride, sample_rate / frame rate.",
    "strided_kernels": "tuple of float arrays 'out in taps', correlations, one for each of `strides`: what is "
    "heard before each stride, as far as it is linear. Absent: their anti-aliasing gains are not known.",
    "by_layer": "callable: -> an encoder whose sites are 'layer 1', 'layer 2' ...: what each layer that strides gives, "
    "in order, at rates that are those of the chain; or None.",
    "first_conv_filters": "float array 'channels taps', a correlation. Absent: measured with impulses.",
    "weights_sha256": "str, 64 hex digits over the weights and the fitted codebooks.",
    "parameters": "int, the number of weights that the reported sites and codes depend on.",
    "device": "str or torch.device; waveforms are moved there before `listen`. Absent: the CPU.",
    "to": "callable: device -> the same encoder, computing there.",
    "reference": "bool, True for encoders whose answers are known in advance. Absent: False.",
    "normalises": "str, what the encoder divides sound by before it hears it, in words. Claims that compare sounds of "
    "different level are then not applicable. Absent: it hears sound at the level at which it is played.",
    "bandwidth_kbps": "float, the bit rate at which `codes` and `quantised` were made, where that is a choice.",
    "module": "torch.nn.Module, 'batch 1 samples' -> latent, for claims about layers and weights.",
    "input_samples": "int, for encoders that take clips of exactly one length. Longer sounds are heard in windows; "
    "a site of one frame a clip gives one frame a window. Absent: any length.",
    "shift_samples": "int, with input_samples: samples from window to window. Absent: 1/64 of the window.",
    "dequantise": "callable: codes 'batch codebooks frames', any prefix of the codebooks -> 'batch channels frames'.",
    "reconstruct": "callable: waveforms 'batch samples', bandwidth_kbps= -> 'batch samples', back from their codes.",
    "members": "dict name -> (first channel, beyond the last), for a code that holds many encoders: a zoo.",
    "composes_as": "dict name -> name, with members: whose composition is to be counted as whose. Absent: its own.",
    "tags": "tuple of str, what a classifier names, in the order of its outputs.",
    "ablated": "callable: full_rate=, linear= -> an encoder of the same weights, or None where there is none: with "
    "every stride removed (each later layer spread by what was strided before it, so that every hop-th frame is one "
    "of this encoder's), and with its nonlinearities replaced by their derivatives at rest.",
    "listen_at": "callable: waveforms, sites (of those it offers, codes among them) -> what `listen` gives at these "
    "sites, to the bit and in its shape, without the work that only others need. Frames within a declared "
    "margin_seconds, which no claim reads, may hold any finite number. Absent: `listen`.",
    "listen_with_gradient": "callable like `listen`, real sites only, tensors that stay in the graph of the input.",
}
"""Everything an encoder may offer beyond the contract, and what is assumed where it does not."""


@runtime_checkable
class Encoder(Protocol):
    """Whatever turns waveforms into activations at one site or more.

    `listen` takes float32 'batch samples' in [-1, 1], mono, at `sample_rate` Hz, and leaves its input as it was. It
    returns for each site it offers real values 'batch channels frames':

    ``first_conv``  output of the first convolution, before its activation
    ``stack_end``   end of the downsampling: output of the last strided convolution or pool, before any recurrent layer
    ``latent``      the vector that the quantiser or the linear layers receive
    ``quantised``   the latent as quantised (dequantised embedding), or the last hidden layer of a classifier

    and ``codes``, integers 'batch codebooks frames', if it quantises. The same waveform gives the same values, whatever
    else is in the batch (up to rounding).
    """

    name: str
    sample_rate: int

    def listen(self, waveforms: Tensor) -> Mapping[str, ArrayLike]:
        """Return the activations of 'batch samples' per site, 'batch channels frames'."""
        ...
