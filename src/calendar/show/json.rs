//! The calendar as JSON, schema `khagen-calendar/v1`.

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::calendar::{Calendar, Entry};
use crate::pki::object::instant;

/// The schema's name.
pub const SCHEMA: &str = "khagen-calendar/v1";

/// All clusters. `now` is what days were counted from.
pub fn json(calendars: &[Calendar], now: OffsetDateTime) -> String {
    let clusters: Vec<Value> = calendars
        .iter()
        .map(|c| {
            json!({
                "cluster": c.cluster,
                "clusterId": c.cluster_id,
                "renewBeforeDays": c.renew_before_days,
                "state": c.state().as_str(),
                "entries": c.entries.iter().map(entry).collect::<Vec<_>>(),
                "unused": c.unused.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
                "notes": c.notes,
            })
        })
        .collect();
    let value = json!({"schema": SCHEMA, "now": instant(now), "clusters": clusters});
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}

fn entry(e: &Entry) -> Value {
    let time = |t: Option<OffsetDateTime>| t.map(instant);
    json!({
        "id": e.id,
        "kind": e.what.as_str(),
        "owner": e.owner,
        "purpose": e.purpose,
        "paths": e.places.iter().map(|p| json!({"on": p.on, "path": p.path})).collect::<Vec<_>>(),
        "issued": time(e.issued),
        "notBefore": time(e.not_before),
        "notAfter": time(e.not_after),
        "daysLeft": e.days_left,
        "state": e.state.as_str(),
        "marked": e.marked,
        "notes": e.notes,
    })
}
