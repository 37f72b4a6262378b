"""The minimal-pair paradigms: what the embedded corpus teaches, asked for one rule at a time."""

from pipeline.data.demo.paradigms.agreement import AGREEMENT
from pipeline.data.demo.paradigms.arguments import ARGUMENTS
from pipeline.data.demo.paradigms.base import Paradigm
from pipeline.data.demo.paradigms.binding import BINDING
from pipeline.data.demo.paradigms.determiners import DETERMINERS
from pipeline.data.demo.paradigms.licensing import LICENSING
from pipeline.data.demo.paradigms.movement import MOVEMENT
from pipeline.data.demo.paradigms.verb_forms import VERB_FORMS

PARADIGMS: tuple[Paradigm, ...] = (
    *AGREEMENT,
    *BINDING,
    *DETERMINERS,
    *LICENSING,
    *MOVEMENT,
    *ARGUMENTS,
    *VERB_FORMS,
)

__all__ = ["PARADIGMS", "Paradigm"]
