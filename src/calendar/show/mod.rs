//! The calendar's formats: a table for people, JSON, iCalendar and Prometheus' text format. Each writes all clusters.
//!
//! Nothing here asks for the time: what changes with the day (days left, states) was computed before, and the formats
//! that others keep and compare, iCalendar and Prometheus, hold absolute times only.

pub mod ical;
pub mod json;
pub mod prometheus;
pub mod table;
