//! Text as outlines, without a font: a chart needs a hundred characters of one size.

use tiny_skia::{Path, PathBuilder};

use super::glyphs::{GLYPHS, UNITS_PER_EM};

/// Which part of a text stands at the place it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// The outline of a text whose base line begins, is centred or ends at a place. A character without an outline takes the
/// room of a space. `None` if there is nothing to see.
pub(super) fn outline(text: &str, size: f32, (x, y): (f32, f32), anchor: Anchor) -> Option<Path> {
    let scale = size / UNITS_PER_EM;
    let mut pen = match anchor {
        Anchor::Start => x,
        Anchor::Middle => x - width(text, size) / 2.0,
        Anchor::End => x - width(text, size),
    };
    let mut path = PathBuilder::new();
    for character in text.chars() {
        let (advance, glyph) = glyph(character);
        append(&mut path, glyph, scale, (pen, y));
        pen += f32::from(advance) * scale;
    }
    path.finish()
}

/// How wide a text is.
pub(super) fn width(text: &str, size: f32) -> f32 {
    text.chars().map(|character| f32::from(glyph(character).0)).sum::<f32>() * size / UNITS_PER_EM
}

fn glyph(character: char) -> (u16, &'static str) {
    let found = GLYPHS.binary_search_by_key(&character, |(known, ..)| *known);
    let (_, advance, outline) = GLYPHS[found.unwrap_or(0)];
    (advance, outline)
}

/// Follows the moves of an outline.
fn append(path: &mut PathBuilder, outline: &str, scale: f32, (left, base): (f32, f32)) {
    let mut at = [0, 0];
    let mut rest = outline;
    while let Some(command) = rest.chars().next() {
        let length = rest[1..].find(|c: char| c.is_ascii_lowercase()).map_or(rest.len(), |end| end + 1);
        let mut numbers = numbers(&rest[1..length]);
        let mut point = || {
            at = [at[0] + numbers.next().unwrap_or(0), at[1] + numbers.next().unwrap_or(0)];
            (left + at[0] as f32 * scale, base - at[1] as f32 * scale)
        };
        match command {
            'm' => {
                let (x, y) = point();
                path.move_to(x, y);
            }
            'l' => {
                let (x, y) = point();
                path.line_to(x, y);
            }
            'q' => {
                let ((control_x, control_y), (x, y)) = (point(), point());
                path.quad_to(control_x, control_y, x, y);
            }
            _ => path.close(),
        }
        rest = &rest[length..];
    }
}

/// Whole numbers, apart by a space or by the sign of the next one.
fn numbers(text: &str) -> impl Iterator<Item = i32> {
    let starts =
        text.char_indices().filter(|(at, c)| *c == '-' || (*c != ' ' && (*at == 0 || text[..*at].ends_with(' '))));
    starts.map(|(at, _)| {
        let digits = text[at + 1..].find([' ', '-']).map_or(text.len(), |end| at + 1 + end);
        text[at..digits].parse().unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outline_can_be_read_and_every_character_found() {
        assert!(GLYPHS.is_sorted_by_key(|(character, ..)| *character));
        for (character, advance, _) in GLYPHS {
            assert_eq!(glyph(character).0, advance, "{character}");
            let path = outline(&character.to_string(), 20.0, (100.0, 100.0), Anchor::Start);
            let Some(path) = path else {
                assert_eq!(character, ' ');
                continue;
            };
            let bounds = path.compute_tight_bounds().unwrap();
            let end = 100.0 + width(&character.to_string(), 20.0);
            let fits =
                bounds.left() > 98.0 && bounds.right() < end + 2.0 && bounds.top() > 80.0 && bounds.bottom() < 106.0;
            assert!(fits, "{character}: {bounds:?}");
        }
    }

    #[test]
    fn a_text_stands_where_it_is_anchored() {
        let middle = |anchor| {
            let bounds = outline("1 Dec", 20.0, (300.0, 50.0), anchor).unwrap().bounds();
            f32::midpoint(bounds.left(), bounds.right())
        };
        let half = width("1 Dec", 20.0) / 2.0;
        for (anchor, expected) in [(Anchor::Start, 300.0 + half), (Anchor::Middle, 300.0), (Anchor::End, 300.0 - half)]
        {
            assert!((middle(anchor) - expected).abs() < 2.0, "{anchor:?}: {}", middle(anchor));
        }
        assert!((width("0", 20.48) - 13.03).abs() < 0.01, "a digit is 1,303 of 2,048 units wide");
        assert_eq!(width("団", 20.0), width(" ", 20.0));
        assert_eq!(outline("  ", 20.0, (0.0, 0.0), Anchor::Start), None);
        assert_eq!(numbers("12-3 4-56").collect::<Vec<_>>(), [12, -3, 4, -56]);
    }
}
