//! Which certificates end soon or have ended. A build reports it and changes nothing because of it.

use time::{Duration, OffsetDateTime};

use super::store::Store;
use crate::content::ObjectId;

/// A certificate that needs attention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The certificate.
    pub id: ObjectId,
    /// Last second of its validity.
    pub not_after: OffsetDateTime,
    /// How pressing it is.
    pub state: DueState,
}

/// How pressing a certificate's end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DueState {
    /// It ends within the time that the inventory gives for renewal.
    Due,
    /// It has ended.
    Expired,
}

/// The store's certificates that end within so many days of a time, by name. Objects that the plan no longer asks
/// for are among them; whoever reports filters.
pub fn due(store: &Store, renew_before_days: u32, now: OffsetDateTime) -> Vec<Due> {
    store
        .objects()
        .filter_map(|(id, _)| {
            let not_after = store.validity(id)?.not_after;
            let state = state(not_after, renew_before_days, now)?;
            Some(Due { id: id.clone(), not_after, state })
        })
        .collect()
}

/// How pressing the end of a validity is; `None` as long as it is not.
pub fn state(not_after: OffsetDateTime, renew_before_days: u32, now: OffsetDateTime) -> Option<DueState> {
    // RFC 5280 section 4.1.2.5: the last second is part of the validity.
    if now > not_after {
        Some(DueState::Expired)
    } else if not_after - now <= Duration::days(i64::from(renew_before_days)) {
        Some(DueState::Due)
    } else {
        None
    }
}
