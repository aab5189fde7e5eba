//! The corpus of the fuzz targets, replayed: each input as it is, and changed a little in ways that are the same each time.

use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

#[path = "../../fuzz/bodies.rs"]
mod bodies;

/// So many changed copies of each input are tried.
const CHANGED: usize = 24;

#[test]
fn every_input_of_the_corpus_is_read_without_harm() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut chance = Pcg64::seed_from_u64(11);
    for (name, body) in bodies::BODIES {
        let mut inputs: Vec<_> = std::fs::read_dir(corpus.join(name)).unwrap().map(|e| e.unwrap().path()).collect();
        inputs.sort();
        assert!(inputs.len() >= 5, "{name}: {} inputs", inputs.len());
        for path in inputs {
            let input = std::fs::read(&path).unwrap();
            body(&input);
            for _ in 0..CHANGED {
                body(&changed(&input, &mut chance));
            }
        }
    }
}

/// A copy with some bytes replaced, taken out, doubled, or cut off at the end.
fn changed(input: &[u8], chance: &mut Pcg64) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..chance.random_range(1..6) {
        if bytes.is_empty() {
            break;
        }
        let at = chance.random_range(0..bytes.len());
        let to = (at + chance.random_range(1..16)).min(bytes.len());
        match chance.random_range(0..5) {
            0 => bytes[at] = chance.random(),
            1 => bytes[at] = b"\"{}[],:;\n0-9eE\\\x00\xff"[chance.random_range(0..17)],
            2 => drop(bytes.drain(at..to)),
            3 => {
                let again = bytes[at..to].to_vec();
                bytes.splice(at..at, again);
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}
