//! What is charged beside what is listed. It changes with the ledger and slowly: an account is looked at anew once an hour at
//! most, and only if something was added to its ledger.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Assessor;
use crate::domain::price::LOOK_BACK;
use crate::domain::{AccountName, ComparedPrices, compare_prices};
use crate::poller::Account;
use crate::store::StoreError;

/// What is kept of each account.
pub type PricesCache = HashMap<AccountName, KeptPrices>;

/// What was found, and when.
#[derive(Clone, Debug)]
pub struct KeptPrices {
    /// When the ledger was last asked.
    asked_at: Timestamp,
    /// The last entry of the account's ledger that `prices` knows of.
    last_entry: i64,
    prices: Arc<ComparedPrices>,
}

/// A price that changed is news for longer than that.
const ASK_EVERY: SignedDuration = SignedDuration::from_hours(1);

impl Assessor {
    /// What was charged lately on an account beside its price sheet; `None` if it has no sheet.
    pub(super) async fn prices(
        &self,
        account: &Account,
        now: Timestamp,
    ) -> Result<Option<Arc<ComparedPrices>>, StoreError> {
        let Some(sheet) = &account.config.prices else { return Ok(None) };
        let name = &account.config.name;
        let kept = self.prices.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get(name).cloned();
        // Who asks for another time than the present gets an answer of that time.
        let kept = kept.filter(|kept| kept.asked_at <= now && Arc::ptr_eq(&kept.prices.sheet, sheet));
        if let Some(kept) = kept.as_ref().filter(|kept| now.duration_since(kept.asked_at) < ASK_EVERY) {
            return Ok(Some(Arc::clone(&kept.prices)));
        }
        // Asked before the tasks, so that what is added in between is found again the next time.
        let last_entry = self.store.last_entry(name).await?;
        let prices = match kept.filter(|kept| kept.last_entry == last_entry) {
            Some(kept) => kept.prices,
            None => {
                let since = now.saturating_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
                let charged = self.store.newest_charged(name, since, now).await?;
                let mut compared = compare_prices(sheet, &charged);
                for drift in compared.listed.iter_mut().filter(|drift| drift.is_beyond(0.0)) {
                    drift.launches = self.store.launches_of_kind(name, &drift.charged, since, now).await?;
                }
                Arc::new(compared)
            }
        };
        let kept = KeptPrices { asked_at: now, last_entry, prices: Arc::clone(&prices) };
        self.prices.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(name.clone(), kept);
        Ok(Some(prices))
    }
}
