//! Days on which the platform, the relay, the clock or the disk misbehave.
