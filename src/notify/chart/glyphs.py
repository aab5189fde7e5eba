"""Writes glyphs.rs: the outlines of the characters that a chart is lettered with.

    pip install fonttools
    python3 glyphs.py DejaVuSans.ttf > glyphs.rs

The font is DejaVu Sans 2.37 (https://dejavu-fonts.github.io), whose licence is in the file DEJAVU-LICENSE beside this one.
"""

import sys

from fontTools.pens.basePen import decomposeQuadraticSegment
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.ttLib import TTFont

CHARACTERS = [chr(code) for code in range(0x20, 0x7F)] + list("·×–’“”…→−≈")


def outline(font, name):
    """The outline as moves (m), lines (l) and quadratic curves (q), each point relative to the one before it."""
    pen = DecomposingRecordingPen(font.getGlyphSet())
    font.getGlyphSet()[name].draw(pen)
    text, at = "", (0, 0)

    def step(command, *points):
        nonlocal text, at
        numbers = []
        for x, y in points:
            numbers.append(f"{round(x) - at[0]} {round(y) - at[1]}")
            at = (round(x), round(y))
        text += command + " ".join(numbers)

    for operator, points in pen.value:
        if operator == "moveTo":
            step("m", points[0])
        elif operator == "lineTo":
            step("l", points[0])
        elif operator == "qCurveTo":
            # A contour without a point on its curve has None for its end; no character here has such a one.
            assert points[-1] is not None, name
            for segment in decomposeQuadraticSegment(points):
                step("q", *segment)
        elif operator == "closePath":
            text += "z"
        else:
            raise ValueError(f"{name}: {operator}")
    return text.replace(" -", "-")


def main():
    font = TTFont(sys.argv[1])
    names = font.getBestCmap()
    print("//! Outlines of DejaVu Sans, whose licence is in `DEJAVU-LICENSE`. Made by `glyphs.py`; changed there, not here.")
    print()
    print("/// Units to the height of a line of letters.")
    print(f"pub(super) const UNITS_PER_EM: f32 = {font['head'].unitsPerEm}.0;")
    print()
    print("/// Each character with how far the next one is, in units, and its outline: moves (m), lines (l) and quadratic curves")
    print("/// (q, the control point first), each point relative to the one before it, y upwards; z closes a contour. In the")
    print("/// order of their codes.")
    print("#[rustfmt::skip]")
    print(f"pub(super) const GLYPHS: [(char, u16, &str); {len(CHARACTERS)}] = [")
    for character in CHARACTERS:
        name = names[ord(character)]
        shown = {"'": "\\'", "\\": "\\\\"}.get(character, character)
        print(f"    ('{shown}', {font['hmtx'][name][0]}, \"{outline(font, name)}\"),")
    print("];")


main()
