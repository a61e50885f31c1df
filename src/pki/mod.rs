//! Keys and certificates: profiles, the store, issuing, reading back.
