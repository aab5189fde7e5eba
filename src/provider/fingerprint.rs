//! By what a second attempt at the same thing is recognised, without keeping what was asked for.

use ring::hmac;

use crate::domain::Fingerprint;

/// The fingerprint of a task's input: HMAC-SHA-256 under the ledger's salt over the task type and the input, cut to 128
/// bits. Case and white space do not matter: a prompt typed anew is the same prompt. `None` if there is no input.
pub fn fingerprint(salt: &[u8; 16], task_type: &str, input: &str) -> Option<Fingerprint> {
    let lower = input.to_lowercase();
    let normalised: Vec<&str> = lower.split_whitespace().collect();
    if normalised.is_empty() {
        return None;
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, salt);
    let mut context = hmac::Context::with_key(&key);
    // The length keeps a type and its input from running into one another.
    context.update(&(task_type.len() as u64).to_be_bytes());
    context.update(task_type.as_bytes());
    context.update(normalised.join(" ").as_bytes());
    let tag = context.sign();
    let bits = tag.as_ref().iter().take(16).fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    Some(Fingerprint(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_prompt_is_the_same_however_it_is_typed() {
        let of = |salt: u8, task_type: &str, input: &str| fingerprint(&[salt; 16], task_type, input);
        let barrel = of(1, "preview", "Weathered oak  barrel");
        assert!(barrel.is_some());
        for (salt, task_type, input, same) in [
            (1, "preview", " weathered OAK\nbarrel ", true),
            (1, "preview", "weathered oak barrels", false),
            (1, "refine", "Weathered oak  barrel", false),
            (2, "preview", "Weathered oak  barrel", false),
            (1, "previeww", "eathered oak barrel", false),
        ] {
            assert_eq!(of(salt, task_type, input) == barrel, same, "{salt} {task_type} {input}");
        }
        assert_eq!(of(1, "preview", " \n "), None);
    }

    #[test]
    fn it_is_the_published_algorithm() {
        // Computed with Python: hmac.new(bytes(16), (7).to_bytes(8, "big") + b"preview" + b"oak barrel", "sha256").
        let expected = 0xdb97492b863c17827dabc5d157db508d;
        assert_eq!(fingerprint(&[0; 16], "preview", "Oak barrel"), Some(Fingerprint(expected)));
    }
}
