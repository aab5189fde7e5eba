//! The words that simulated teams type.

const MANNERS: [&str; 16] = [
    "weathered",
    "polished",
    "mossy",
    "cracked",
    "ornate",
    "plain",
    "rusty",
    "gilded",
    "charred",
    "snow-covered",
    "hand-painted",
    "salvaged",
    "ceremonial",
    "toy-like",
    "miniature",
    "oversized",
];
const MATERIALS: [&str; 12] = [
    "oak",
    "brass",
    "sandstone",
    "ceramic",
    "cast-iron",
    "leather",
    "copper",
    "marble",
    "wicker",
    "bone",
    "glass",
    "linen",
];
const THINGS: [&str; 16] = [
    "barrel",
    "lantern",
    "diving helmet",
    "market stall",
    "signpost",
    "treasure chest",
    "well",
    "shield",
    "backpack",
    "fountain",
    "goggles",
    "workbench",
    "teapot",
    "gargoyle",
    "cart wheel",
    "bell",
];
const DETAILS: [&str; 10] = [
    "with iron hoops",
    "with a broken handle",
    "wrapped in rope",
    "with carved runes",
    "half buried in sand",
    "with a loose lid",
    "covered in ivy",
    "with brass rivets",
    "painted in stripes",
    "with a folded cloth",
];

/// The prompt of an asset. Two assets less than thirty thousand apart have different ones.
pub fn prompt_of(asset: u32) -> String {
    let count = (MANNERS.len() * MATERIALS.len() * THINGS.len() * DETAILS.len()) as u64;
    // The factor shares no divisor with the count, so neighbouring assets get unlike words and none comes twice.
    let mut rest = (u64::from(asset) * 7_919 % count) as usize;
    let mut take = |words: &[&'static str]| {
        let word = words[rest % words.len()];
        rest /= words.len();
        word
    };
    let (manner, material, thing, detail) = (take(&MANNERS), take(&MATERIALS), take(&THINGS), take(&DETAILS));
    format!("{manner} {material} {thing} {detail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn prompts_do_not_repeat() {
        let prompts: HashSet<String> = (0..30_720).map(prompt_of).collect();
        assert_eq!(prompts.len(), 30_720);
        assert_eq!(prompt_of(0), prompt_of(30_720));
    }
}
