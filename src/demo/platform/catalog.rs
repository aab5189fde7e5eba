//! What the platform sells: its task types, the collections they live in, and their prices.

use crate::domain::Credits;

/// One kind of task, as the platform names and prices it.
#[derive(Debug)]
pub struct TaskType {
    /// The word in the `type` field of a task.
    pub name: &'static str,
    /// The path of the collection that lists it.
    pub collection: &'static str,
    /// The word in the `endpoint` field of a usage record; `None` where the usage records have no word for it.
    pub usage_name: Option<&'static str>,
    /// The list price of one task.
    pub price: Credits,
    /// What a finished task links to.
    pub output: Output,
    /// Whether the task object repeats the prompt.
    pub shows_prompt: bool,
}

/// What a finished task links to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Model files without textures.
    Model,
    /// Model files and their textures.
    TexturedModel,
    /// Nothing that this simulation shows.
    Other,
}

impl TaskType {
    /// The task type of that name.
    pub fn named(name: &str) -> Option<&'static TaskType> {
        TASK_TYPES.iter().find(|kind| kind.name == name)
    }

    /// Whether unset times are `null` instead of 0, as the creative-lab collections have it.
    pub fn writes_null_for_unset(&self) -> bool {
        self.collection.starts_with("/openapi/creative-lab/")
    }
}

/// Whether a path is the path of a task collection; gives the path back with a lifetime of its own.
pub fn collection(path: &str) -> Option<&'static str> {
    TASK_TYPES.iter().map(|kind| kind.collection).find(|collection| *collection == path)
}

/// Text to 3D, first stage.
pub static PREVIEW: &TaskType = &TASK_TYPES[0];
/// Text to 3D, second stage.
pub static REFINE: &TaskType = &TASK_TYPES[1];
/// Image to 3D, textured.
pub static IMAGE: &TaskType = &TASK_TYPES[2];
/// New textures for a model.
pub static RETEXTURE: &TaskType = &TASK_TYPES[4];
/// A model with fewer faces.
pub static REMESH: &TaskType = &TASK_TYPES[5];
/// A skeleton for a model.
pub static RIG: &TaskType = &TASK_TYPES[9];
/// A movement for a rigged model.
pub static ANIMATION: &TaskType = &TASK_TYPES[10];

/// Every task type with a list, at the list prices of the current models.
pub static TASK_TYPES: [TaskType; 31] = [
    text("text-to-3d-preview", "/openapi/v2/text-to-3d", 20, Output::Model),
    text("text-to-3d-refine", "/openapi/v2/text-to-3d", 10, Output::TexturedModel),
    plain("image-to-3d", "/openapi/v1/image-to-3d", 30, Output::TexturedModel),
    plain("multi-image-to-3d", "/openapi/v1/multi-image-to-3d", 30, Output::TexturedModel),
    plain("retexture", "/openapi/v1/retexture", 10, Output::TexturedModel),
    plain("remesh", "/openapi/v1/remesh", 5, Output::Model),
    plain("convert", "/openapi/v1/convert", 1, Output::Model),
    plain("resize", "/openapi/v1/resize", 1, Output::Model),
    plain("uv-unwrap", "/openapi/v1/uv-unwrap", 5, Output::Model),
    plain("rig", "/openapi/v1/rigging", 5, Output::Other),
    used_as("animate", plain("animation", "/openapi/v1/animations", 3, Output::Other)),
    text("text-to-image", "/openapi/v1/text-to-image", 6, Output::Other),
    text("image-to-image", "/openapi/v1/image-to-image", 6, Output::Other),
    text("text-to-motion", "/openapi/v1/text-to-motion", 10, Output::Other),
    plain("print-multi-color", "/openapi/v1/print/multi-color", 10, Output::Other),
    plain("print-analyze", "/openapi/v1/print/analyze", 0, Output::Other),
    plain("print-repair", "/openapi/v1/print/repair", 10, Output::Other),
    lab("creative-lab-figure-prototype", "/openapi/creative-lab/figure/v1/prototype", 6),
    lab("creative-lab-figure-build", "/openapi/creative-lab/figure/v1/build", 30),
    lab("creative-lab-lamp-prototype", "/openapi/creative-lab/lamp/v1/prototype", 6),
    lab("creative-lab-lamp-build", "/openapi/creative-lab/lamp/v1/build", 30),
    lab("creative-lab-keychain-prototype", "/openapi/creative-lab/keychain/v1/prototype", 6),
    lab("creative-lab-keychain-build", "/openapi/creative-lab/keychain/v1/build", 30),
    lab("creative-lab-fridge-magnet-prototype", "/openapi/creative-lab/fridge-magnet/v1/prototype", 6),
    lab("creative-lab-fridge-magnet-build", "/openapi/creative-lab/fridge-magnet/v1/build", 30),
    lab("creative-lab-vinyl-figure-prototype", "/openapi/creative-lab/vinyl-figure/v1/prototype", 6),
    lab("creative-lab-vinyl-figure-build", "/openapi/creative-lab/vinyl-figure/v1/build", 30),
    lab("creative-lab-brick-figure-prototype", "/openapi/creative-lab/brick-figure/v1/prototype", 6),
    lab("creative-lab-brick-figure-build", "/openapi/creative-lab/brick-figure/v1/build", 30),
    lab("creative-lab-keycap-prototype", "/openapi/creative-lab/keycap/v1/prototype", 6),
    lab("creative-lab-keycap-build", "/openapi/creative-lab/keycap/v1/build", 30),
];

const fn plain(name: &'static str, collection: &'static str, price: i64, output: Output) -> TaskType {
    let price = Credits::from_whole(price);
    TaskType { name, collection, usage_name: Some(name), price, output, shows_prompt: false }
}

const fn text(name: &'static str, collection: &'static str, price: i64, output: Output) -> TaskType {
    TaskType { shows_prompt: true, ..plain(name, collection, price, output) }
}

const fn lab(name: &'static str, collection: &'static str, price: i64) -> TaskType {
    TaskType { usage_name: None, ..plain(name, collection, price, Output::Other) }
}

const fn used_as(usage_name: &'static str, kind: TaskType) -> TaskType {
    TaskType { usage_name: Some(usage_name), ..kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_types_are_the_rows_they_mean() {
        for (kind, name, price) in [
            (PREVIEW, "text-to-3d-preview", 20),
            (REFINE, "text-to-3d-refine", 10),
            (IMAGE, "image-to-3d", 30),
            (RETEXTURE, "retexture", 10),
            (REMESH, "remesh", 5),
            (RIG, "rig", 5),
            (ANIMATION, "animation", 3),
        ] {
            assert_eq!((kind.name, kind.price), (name, Credits::from_whole(price)));
        }
    }

    #[test]
    fn there_are_thirty_collections() {
        let mut paths: Vec<_> = TASK_TYPES.iter().map(|kind| kind.collection).collect();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), 30);
        assert!(paths.iter().all(|path| collection(path) == Some(path)));
        assert_eq!(collection("/openapi/v1/showcases"), None);
    }
}
