//! An opaque picture as a PNG (ISO/IEC 15948) of at most 256 colours, one byte per pixel: a chart has few, and the mail
//! stays small. Compressed by what is here anyway.

use std::collections::HashMap;
use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// Colours that one byte can name.
const MOST_COLOURS: usize = 256;

/// Levels of a channel are so far apart. Of sixteen levels the eye misses none, and the picture is half as large.
const COARSE: u8 = 17;

/// Red, green and blue.
pub(super) type Rgb = [u8; 3];

/// Encodes rows of `width` pixels of four bytes: red, green, blue, and one that says opaque. When there are more than 256
/// colours the later ones become the most similar of them.
pub(super) fn encode(width: u32, rgba: &[u8]) -> Vec<u8> {
    let row_bytes = (width as usize * 4).max(4);
    let mut palette = Palette::default();
    let mut raw = Vec::with_capacity(rgba.len() / 4 + rgba.len() / row_bytes);
    for row in rgba.chunks_exact(row_bytes) {
        // Not filtered: long runs of one colour compress best as they are.
        raw.push(0);
        palette.places(row, &mut raw);
    }
    let mut header = Vec::with_capacity(13);
    header.extend(width.to_be_bytes());
    header.extend(((rgba.len() / row_bytes) as u32).to_be_bytes());
    // Eight bits for a place in the palette, deflate, one filter for each row, no interlacing.
    header.extend([8, 3, 0, 0, 0]);

    let mut png = SIGNATURE.to_vec();
    chunk(&mut png, b"IHDR", &header);
    chunk(&mut png, b"PLTE", palette.colours.as_flattened());
    chunk(&mut png, b"IDAT", &compressed(&raw));
    chunk(&mut png, b"IEND", &[]);
    png
}

/// Colours in the order in which they come.
#[derive(Default)]
struct Palette {
    colours: Vec<Rgb>,
    known: HashMap<Rgb, u8>,
}

impl Palette {
    /// Adds the place of each pixel of a row.
    fn places(&mut self, row: &[u8], out: &mut Vec<u8>) {
        // Most pixels are like the one before.
        let (mut last, mut place): (&[u8], u8) = (&[], 0);
        for pixel in row.chunks_exact(4) {
            if pixel != last {
                (last, place) = (pixel, self.place([pixel[0], pixel[1], pixel[2]].map(coarse)));
            }
            out.push(place);
        }
    }

    fn place(&mut self, colour: Rgb) -> u8 {
        if let Some(place) = self.known.get(&colour) {
            return *place;
        }
        let place = if self.colours.len() < MOST_COLOURS {
            self.colours.push(colour);
            self.colours.len() - 1
        } else {
            let distance = |known: &Rgb| -> u32 {
                known.iter().zip(colour).map(|(known, wanted)| u32::from(known.abs_diff(wanted)).pow(2)).sum()
            };
            (0..self.colours.len()).min_by_key(|place| distance(&self.colours[*place])).unwrap_or(0)
        };
        let place = u8::try_from(place).unwrap_or(u8::MAX);
        self.known.insert(colour, place);
        place
    }
}

/// The nearest level.
fn coarse(channel: u8) -> u8 {
    channel.saturating_add(COARSE / 2) / COARSE * COARSE
}

fn compressed(raw: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let _ = encoder.write_all(raw);
    encoder.finish().unwrap_or_default()
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let mut check = Crc::new();
    check.update(kind);
    check.update(data);
    png.extend((data.len() as u32).to_be_bytes());
    png.extend(kind);
    png.extend(data);
    png.extend(check.sum().to_be_bytes());
}

/// Reads what [`encode`] wrote: width, and each pixel.
#[cfg(test)]
pub(super) fn decode(png: &[u8]) -> (usize, Vec<Rgb>) {
    use std::io::Read;
    assert_eq!(png[..8], SIGNATURE);
    let (mut rest, mut chunks) = (&png[8..], HashMap::new());
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        chunks.insert(&rest[4..8], &rest[8..8 + length]);
        rest = &rest[12 + length..];
    }
    let number = |at: usize| u32::from_be_bytes(chunks[&b"IHDR"[..]][at..at + 4].try_into().unwrap()) as usize;
    let (width, height) = (number(0), number(4));
    let mut raw = Vec::new();
    flate2::read::ZlibDecoder::new(chunks[&b"IDAT"[..]]).read_to_end(&mut raw).unwrap();
    assert_eq!(raw.len(), (width + 1) * height);
    let colour = |place: &u8| -> Rgb { chunks[&b"PLTE"[..]][usize::from(*place) * 3..][..3].try_into().unwrap() };
    (width, raw.chunks(width + 1).flat_map(|row| row[1..].iter().map(colour)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opaque(pixels: &[Rgb]) -> Vec<u8> {
        pixels.iter().flat_map(|[red, green, blue]| [*red, *green, *blue, 255]).collect()
    }

    #[test]
    fn what_is_encoded_can_be_decoded() {
        for (width, pixels) in [
            (1, vec![[0x11, 0x22, 0x33]]),
            (2, vec![[0, 0, 0], [255, 255, 255], [0x99, 0x99, 0x99], [0, 0, 0]]),
            (8, (0..16).flat_map(|grey| [[grey * COARSE; 3]; 2]).collect()),
        ] {
            assert_eq!(decode(&encode(width, &opaque(&pixels))), (width as usize, pixels));
        }
        assert_eq!([0, 8, 9, 0x80, 246, 247, 255].map(coarse), [0, 0, 17, 0x88, 238, 255, 255]);
    }

    #[test]
    fn colours_beyond_the_palette_become_their_neighbours() {
        let levels = |n: u16| [(n % 16) as u8, (n / 16 % 16) as u8, (n / 256) as u8].map(|level| level * COARSE);
        let pixels: Vec<Rgb> = (0..300).map(levels).collect();
        let (_, decoded) = decode(&encode(300, &opaque(&pixels)));
        assert_eq!(decoded[..256], pixels[..256]);
        for (place, pixel) in decoded.iter().enumerate().skip(256) {
            assert_eq!(*pixel, pixels[place - 256], "the one that differs by a level of blue");
        }
    }
}
