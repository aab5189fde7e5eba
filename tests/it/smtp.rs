//! Delivery of mail: to a real Postfix, through the outbox to a relay that misbehaves, and by hand.

mod outbox;
mod postfix;
mod test_mail;
