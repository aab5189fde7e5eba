//! The power is cut at every point between a charge and the mail that tells of it.
//!
//! An agent lives in a process of its own until nothing is left to do. It counts its points: each statement that writes,
//! where each transaction begins and ends, each line of the dialogue with the relay. At a chosen one it stands still and is
//! killed with SIGKILL. Then it is started again, and whatever the point was, the ledger and the letterboxes must be as if
//! nothing had been.
//!
//! - `story`: what happens, and what is to be told of it
//! - `life`: one life of the agent, and its end
//! - `stage`: platform, relay and ledger, and the verdict

mod life;
mod stage;
mod story;

pub use life::{LIFE, be_killed};
pub use stage::Stage;
pub use story::STORIES;
