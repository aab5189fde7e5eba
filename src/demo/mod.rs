//! What `fuelgauge demo` and the tests put in place of the outside world: a platform and a mail server, both real servers
//! on loopback.

pub mod catcher;
pub mod platform;
