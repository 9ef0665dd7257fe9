"""Who listens: encoders behind one contract, and the references that put the probes on trial.

================  ===================================================================================
`protocol`        what testtone asks of an encoder, and what an encoder may offer beyond it
`specs`           from what a person types after `--encoder` to an encoder
`tap`             an encoder from any torch module, by the names of its modules
`encodec`         EnCodec at 24 kHz: published, and untrained in two ways
`seanet`          EnCodec's layers and quantiser in less time, to the bit
`encodec48`       EnCodec at 48 kHz, in the same three ways
`encodec_mini`    EnCodec at a quarter of its width: trained on board, and untrained in two ways
`huggingface`     EnCodec, DAC and Mimi as transformers runs them, from the hub or from a folder
`crepe`           CREPE, a network trained to hear pitch
`samplecnn`       SampleCNN: trained as a tagger of rendered music, and untrained in two ways
`references`      encoders whose answers are known in advance; those of single claims and groups of them stand in
                  `layered_references`, `basis_references`, `fold_references`, `note_references`,
                  `presence_references`, `quantised_references`, `steering_references`, `waveform_references`
`zoo`             many small encoders side by side, for a claim about all of them
`ablation`        an encoder without its strides or nonlinearities
`listening`       waveforms in, checked activations out
`identity`        who an encoder is, as a hash: everything that could change what it answers
`threads`         how many threads torch computes with
`reach`           how far around a frame a network listens
`segments`        sound in seconds that are heard one by one, and normalised
`windows`         longer sounds for encoders that take clips of one length
`conformance`     whether an encoder keeps the contract, in words; also `python -m testtone.models SPEC`
`quantisers`      codebooks for encoders that were never trained
`initialisation`  how twins are drawn and named
`weights`         hashes of weights, and how weights get here
`training`        how the weights on board came about, to be repeated
================  ===================================================================================

Conventions: waveforms are float32 'batch samples', mono, in [-1, 1], at the encoder's own sample rate. Activations are
'batch channels frames', codes 'batch codebooks frames'. Nothing here knows of stimuli or probes. `encodec` and its
package are imported only when an encoder of theirs is asked for.
"""

from .conformance import Report as Report
from .conformance import check as check
from .protocol import CODES as CODES
from .protocol import OPTIONAL_ATTRIBUTES as OPTIONAL_ATTRIBUTES
from .protocol import SITES as SITES
from .protocol import Encoder as Encoder
from .specs import EncoderSpecError as EncoderSpecError
from .specs import available as available
from .specs import resolve as resolve
from .tap import TappedEncoder as TappedEncoder
from .tap import tap as tap
