"""Times of frames, whatever the source states: from 0, never going back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

__all__ = ["Timeline"]

#: A time that goes back by no more than this is a disorder of the source (pictures out of order): it stands still until
#: the source has caught up. What goes back further has begun anew, as cameras do whose clock is set.
_DISORDER_S = 0.5
#: A live source does not pause for longer without losing its connection, so a larger step is of its clock.
_LIVE_GAP_S = 10.0


class Timeline:
    """Turns a source's times into seconds from 0 at its first frame that never decrease.

    Parameters
    ----------
    step_s : float
        Duration of a frame where the source does not tell; 0 where unknown.
    is_live : bool
        Whether a large step forward is taken for a clock that was set; in a file it is a pause.

    Attributes
    ----------
    step_s : float
    now_s : float
        Time of the last frame; ``-step_s`` before the first.
    jumps : int
        How often the source's times began anew.
    """

    def __init__(self, step_s: float, is_live: bool) -> None:
        self.now_s = -step_s
        self.jumps = 0
        self.step_s = step_s
        self._is_live = is_live
        # The source's time that stands at `_base_s`.
        self._zero: Fraction | None = None
        self._base_s = 0.0

    def advance(self, stated: Fraction | None) -> float:
        """Return the time of the next frame.

        Parameters
        ----------
        stated : Fraction or None
            What the source says, in seconds from anywhere; None where it says nothing.
        """
        following_s = max(self.now_s + self.step_s, 0.0)
        if stated is None:
            self.now_s = following_s
            return following_s
        if self._zero is None:
            self._zero, self._base_s = stated, following_s
        time_s = self._base_s + float(stated - self._zero)
        if time_s < self.now_s - _DISORDER_S or (self._is_live and time_s > self.now_s + _LIVE_GAP_S):
            self.jumps += 1
            self._zero, self._base_s = stated, following_s
            time_s = following_s
        self.now_s = max(time_s, self.now_s, 0.0)
        return self.now_s
