"""Profiles: how many examples a property is tried on, by the effort that a claim may be given as well.

``quick``     50 examples
``standard``  200
``thorough``  2000

There is no deadline: the first sound that an encoder hears takes as long as a hundred later ones. Where the environment
variable ``CI`` is set the examples follow from the test alone: a run that fails can be repeated. Failures are kept
where hypothesis keeps them, in ``.hypothesis`` under the working directory, and replayed first.

Nothing is registered on import, and no profile of yours is changed: `settings_for` gives settings for one test, and
`register` registers the three under names of your choice.
"""

import math
import os
from collections.abc import Mapping
from types import MappingProxyType

from hypothesis import HealthCheck, settings

EXAMPLES: Mapping[str, int] = MappingProxyType({"quick": 50, "standard": 200, "thorough": 2000})
"""Examples by effort."""


def settings_for(effort: str = "standard", *, share: float = 1.0) -> settings:
    """Return settings for one property: ``@settings_for("quick")``, above or below ``@given``.

    Args:
        effort: says how many examples.
        share: of them; for a property that costs more than others, or less.

    Raises:
        ValueError: for an unknown effort, or no share.
    """
    if effort not in EXAMPLES:
        raise ValueError(f"effort={effort!r} is unknown; known: {', '.join(EXAMPLES)}")
    if not (math.isfinite(share) and share > 0):
        raise ValueError(f"share={share!r} must be positive (of {EXAMPLES[effort]} examples)")
    # A sound may take longer to draw than a number: that is no fault of the test.
    return settings(
        settings.get_profile("default"),
        max_examples=max(1, round(share * EXAMPLES[effort])),
        deadline=None,
        derandomize=bool(os.environ.get("CI")),
        suppress_health_check=[HealthCheck.too_slow],
    )


def chosen(default: str = "quick") -> str:
    """Return the effort of the profile that is loaded, if it is one of these, else ``default``.

    ``@settings_for(chosen())`` is quick, until someone says ``pytest --hypothesis-profile testtone-thorough``.
    """
    effort = settings.get_current_profile_name().rsplit("-", 1)[-1]
    return effort if effort in EXAMPLES else default


def register(prefix: str = "testtone-") -> tuple[str, ...]:
    """Register the profiles as ``testtone-quick`` and so on, for ``pytest --hypothesis-profile``; return their names.

    It loads none. Call it in your ``conftest.py``.
    """
    names = tuple(f"{prefix}{effort}" for effort in EXAMPLES)
    for name, effort in zip(names, EXAMPLES, strict=True):
        settings.register_profile(name, settings_for(effort))
    return names
