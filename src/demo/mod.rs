//! What `fuelgauge demo` and the tests put in place of the outside world: a platform and a mail server, both real servers
//! on loopback; and the demo's stage.

pub mod catcher;
pub mod mailbox;
pub mod platform;
pub mod stage;
