"""The hand's skeleton as data: 21 keypoints, their names, the bones between them and their colours."""

from __future__ import annotations

__all__ = ["BONE_COLORS", "FINGERS", "HAND_BONES", "JOINT_COLORS", "JOINT_NAMES", "NUM_JOINTS"]

NUM_JOINTS = 21

#: Fingers with the indices of their four joints, from the palm out.
FINGERS: dict[str, tuple[int, int, int, int]] = {
    "thumb": (1, 2, 3, 4),
    "index": (5, 6, 7, 8),
    "middle": (9, 10, 11, 12),
    "ring": (13, 14, 15, 16),
    "little": (17, 18, 19, 20),
}

#: Anatomical names: carpometacarpal, metacarpophalangeal, (proximal, distal) interphalangeal joint, tip.
JOINT_NAMES: tuple[str, ...] = (
    "wrist",
    *(f"thumb_{part}" for part in ("cmc", "mcp", "ip", "tip")),
    *(f"{finger}_{part}" for finger in list(FINGERS)[1:] for part in ("mcp", "pip", "dip", "tip")),
)

_FINGER_COLORS: dict[str, tuple[int, int, int]] = {
    "thumb": (255, 92, 92),
    "index": (255, 191, 64),
    "middle": (96, 217, 104),
    "ring": (64, 184, 255),
    "little": (196, 116, 255),
}
_WRIST_COLOR = (232, 232, 232)

#: Pairs of keypoint indices: along each finger from the wrist, which makes 20, and nothing across the palm.
HAND_BONES: tuple[tuple[int, int], ...] = tuple(
    bone for finger in FINGERS.values() for bone in zip((0, *finger[:-1]), finger)
)

#: RGB, one per bone.
BONE_COLORS: tuple[tuple[int, int, int], ...] = tuple(_FINGER_COLORS[f] for f in FINGERS for _ in range(4))

#: RGB, one per keypoint.
JOINT_COLORS: tuple[tuple[int, int, int], ...] = (_WRIST_COLOR, *(_FINGER_COLORS[f] for f in FINGERS for _ in range(4)))
