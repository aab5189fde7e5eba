//! The ways to tell. To add one: something that can send its messages, and a constructor beside [`Channel::email`] and [`Channel::webhook`].

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use jiff::SignedDuration;

use crate::clock::Clock;
use crate::config::WebhookConfig;
use crate::domain::outbox::MergeParts;
use crate::domain::{DeliveryLimits, EMAIL_CHANNEL, OutboxMessage, RenderedMail};
use crate::notify::{Mailer, MergedContext, MessageError, NotifyError, Webhook, render_merged};

/// How long a webhook is told of a notice: a day's outage, and an hour more.
const WEBHOOK_MAX_AGE: SignedDuration = SignedDuration::from_hours(25);

/// Hands messages over.
pub trait Sender: Send + Sync + 'static {
    /// Hands one message over. `Ok` means that it was accepted.
    fn send<'a>(&'a self, message: &'a OutboxMessage) -> BoxFuture<'a, Result<(), NotifyError>>;
}

/// Writes the message that takes the place of several.
pub type Merger = Arc<dyn Fn(&MergeParts) -> Result<RenderedMail, MessageError> + Send + Sync>;

/// A way to tell.
#[derive(Clone)]
pub struct Channel {
    /// Its name, in the outbox and in metrics.
    pub name: String,
    /// How its messages leave.
    pub sender: Arc<dyn Sender>,
    /// How several of its messages become one; without, each goes by itself.
    pub merger: Option<Merger>,
    /// How much it sends at most.
    pub limits: DeliveryLimits,
    /// How long a message is tried for.
    pub max_age: SignedDuration,
}

impl Channel {
    /// Mail through a relay. `external_url` is where people reach the page.
    pub fn email(mailer: Mailer, limits: DeliveryLimits, external_url: Option<String>) -> Channel {
        let context = MergedContext { external_url, limits };
        Channel {
            name: EMAIL_CHANNEL.to_owned(),
            max_age: mailer.max_age(),
            sender: Arc::new(mailer),
            merger: Some(Arc::new(move |parts: &MergeParts| render_merged(parts, &context))),
            limits,
        }
    }

    /// A webhook. What it is told is told one by one, as it was decided: nobody is there to tire of it.
    pub fn webhook(config: &WebhookConfig, clock: Arc<dyn Clock>) -> Channel {
        let without_end =
            DeliveryLimits { per_recipient_per_hour: u32::MAX, per_recipient_per_day: u32::MAX, per_minute: u32::MAX };
        Channel {
            max_age: WEBHOOK_MAX_AGE,
            name: config.channel(),
            sender: Arc::new(Signed { webhook: Webhook::new(config), clock }),
            merger: None,
            limits: without_end,
        }
    }
}

/// A webhook, which signs what it sends with the time.
struct Signed {
    webhook: Webhook,
    clock: Arc<dyn Clock>,
}

impl Sender for Signed {
    fn send<'a>(&'a self, message: &'a OutboxMessage) -> BoxFuture<'a, Result<(), NotifyError>> {
        self.webhook.send(&message.message_id, &message.message, self.clock.now()).boxed()
    }
}

impl Sender for Mailer {
    fn send<'a>(&'a self, message: &'a OutboxMessage) -> BoxFuture<'a, Result<(), NotifyError>> {
        Mailer::send(self, message).boxed()
    }
}
