"""What ``hypothesis.strategies.from_type`` draws for a `Stimulus`; imports hypothesis only when it is called."""

from typing import Any


def register() -> None:
    """Tell hypothesis what to draw for `Stimulus`: any sound of `testtone.stimuli.strategies`."""
    from hypothesis import strategies as st

    from testtone.stimuli.stimulus import Stimulus

    # As a function: the strategies are imported when they are first asked for.
    st.register_type_strategy(Stimulus, _stimuli)


def _stimuli(of: Any) -> Any:
    from testtone.stimuli.strategies import stimuli

    return stimuli()
