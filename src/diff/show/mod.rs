//! A comparison for people and for tools: one file per format, none of which decides anything.
