"""The measures of an adult right hand, in millimetres.

The frame of the hand has its origin in the wrist (the middle of its bones, about which the hand turns), x towards the
thumb's side (radial), y towards the fingers (distal) and z out of the palm (palmar). A left hand is the mirror image, x
turned round.

Lengths of the bones and of the soft tissue beyond the finger tips are the means of Buryanov A. and Kotiuk V.,
"Proportions of Hand Segments", International Journal of Morphology 28(3), 2010, pp. 755-758 (X-rays of 66 adults).
Where the metacarpal bones begin, and how thick the flesh is, is modelled so that the breadth of the palm (about 85 mm),
its thickness (about 28 mm), the breadth of the index finger at its joints (about 19 and 17 mm) and of the wrist (about
60 mm) are those of an average adult (NASA-STD-3000, volume I, section 3.3.1, anthropometry of the hand).
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DIGITS", "FOREARM_MM", "Digit"]


class Digit(NamedTuple):
    """One finger or the thumb, from the palm out.

    Attributes
    ----------
    name : str
        As in :data:`handpose_native.FINGERS`.
    base_mm : tuple of float
        Where its metacarpal bone begins (the carpometacarpal joint).
    lengths_mm : tuple of float
        Metacarpal bone, then the phalanges.
    radii_mm : tuple of float
        Half thickness at the beginning of the metacarpal bone, at each joint after it and at the tip.
    pulp_mm : float
        Soft tissue beyond the last bone.
    splay_deg : float
        Direction of the metacarpal bone in the plane of the palm, from y towards x. The thumb's moves: see HandPose.
    roll_deg : float
        Turn of the bones about their length, which makes flexed fingers converge. The thumb's moves: see HandPose.
    """

    name: str
    base_mm: tuple[float, float, float]
    lengths_mm: tuple[float, ...]
    radii_mm: tuple[float, ...]
    pulp_mm: float
    splay_deg: float = 0.0
    roll_deg: float = 0.0


DIGITS: tuple[Digit, ...] = (
    Digit("thumb", (19.5, 7.5, 8.5), (46.22, 31.57, 21.67), (13.0, 11.2, 9.8, 7.4), 5.67),
    Digit("index", (13.0, 18.5, 0.0), (68.12, 39.78, 22.38, 15.82), (9.5, 10.2, 8.9, 7.7, 6.1), 3.84, 9.5, -3.0),
    Digit("middle", (3.5, 21.5, -2.0), (64.60, 44.63, 26.33, 17.40), (9.5, 10.4, 9.1, 7.9, 6.3), 3.95, 1.5, 0.0),
    Digit("ring", (-6.5, 21.5, -1.5), (58.00, 41.37, 25.65, 17.30), (9.0, 9.8, 8.5, 7.4, 5.9), 3.95, -8.5, 5.0),
    Digit("little", (-15.5, 18.0, 1.0), (53.69, 32.74, 18.11, 15.96), (8.5, 8.9, 7.4, 6.5, 5.1), 3.73, -17.0, 10.0),
)

#: From the wrist to the elbow: the radius bone of an adult is about 240 mm long.
FOREARM_MM = 240.0
