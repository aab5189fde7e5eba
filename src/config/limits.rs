//! The section `email.limits`.

use std::num::NonZeroU32;

use super::section::{Text, section};
use super::values::{self, Context};
use crate::domain::DeliveryLimits;

section! {
    /// How many mails are sent at most. What is above is collected in one, or waits.
    struct LimitsFile {
        /// To one recipient within an hour; critical alerts are sent all the same. Default: 10.
        per_recipient_per_hour: Text,
        /// To one recipient within a day; the last fifth is kept for critical alerts. Default: 50.
        per_recipient_per_day: Text,
        /// To all recipients within a minute, failed tries among them. Default: 60.
        per_minute: Text,
    }
}

/// Checks the section. What is wrong has been noted, and the default stands in for it.
pub(super) fn check(file: Option<&LimitsFile>, context: &mut Context) -> DeliveryLimits {
    let default = DeliveryLimits::default();
    let Some(file) = file else { return default };
    let mut limit = |text: &Option<Text>, default: u32| {
        let expected = "a whole number of mails, at least 1";
        let found = text.as_ref().and_then(|text| values::whole::<NonZeroU32>(text, expected, context));
        found.map_or(default, NonZeroU32::get)
    };
    let limits = DeliveryLimits {
        per_recipient_per_hour: limit(&file.per_recipient_per_hour, default.per_recipient_per_hour),
        per_recipient_per_day: limit(&file.per_recipient_per_day, default.per_recipient_per_day),
        per_minute: limit(&file.per_minute, default.per_minute),
    };
    if let (Some(hourly), true) =
        (&file.per_recipient_per_hour, limits.per_recipient_per_hour > limits.per_recipient_per_day)
    {
        let daily = limits.per_recipient_per_day;
        let message = format!("has no effect: a day has at most {daily} mails\nhint: raise `per_recipient_per_day`");
        context.mistakes.add(&hourly.place, message);
    }
    limits
}
