//! What a single value says: text to a typed value, or what is wrong with it.
//!
//! The decoder asks once whether a value is well formed and reads it again when it fills the model; both ask here, so
//! that they agree. Nothing here knows keys or places.

pub mod finding;
pub mod names;
pub mod network;
pub mod quantity;

use crate::diag::Code;
use crate::schema::Format;

/// What is wrong with a value: the rule, why it exists, the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which rule.
    pub code: Code,
    /// The rule, with the value.
    pub message: String,
    /// Why.
    pub reason: String,
    /// What to do; may be empty.
    pub help: String,
}

impl Fault {
    fn new(
        code: Code,
        message: impl Into<String>,
        reason: impl Into<String>,
        help: impl Into<String>,
    ) -> Fault {
        Fault { code, message: message.into(), reason: reason.into(), help: help.into() }
    }
}

/// The result of reading a value.
pub type Read<T> = Result<T, Fault>;

/// Says whether a text is well formed. Formats that are no text (numbers, true or false, words) are the decoder's.
pub fn judge(format: Format, text: &str) -> Read<()> {
    match format {
        Format::Bool | Format::Int { .. } | Format::Choice { .. } => Ok(()),
        Format::Text => names::line(text).map(drop),
        Format::San => names::san(text),
        Format::Argument => names::argument(text).map(drop),
        Format::ArgumentName => names::argument_name(text).map(drop),
        Format::CamelName => names::camel(text).map(drop),
        Format::PreflightCheck => names::preflight_check(text).map(drop),
        Format::Label => names::label(text).map(drop),
        Format::DnsName => names::dns_name(text).map(drop),
        Format::HostOrAddress => network::host_or_address(text).map(drop),
        Format::Address => network::address(text).map(drop),
        Format::AddressInNetwork => network::address_in_network(text).map(drop),
        Format::Network => network::network(text).map(drop),
        Format::Subnets => network::subnets(text).map(drop),
        Format::Endpoint => network::endpoint(text).map(drop),
        Format::Interface => names::interface(text).map(drop),
        Format::Version => quantity::version(text).map(drop),
        Format::Duration { min, max, step } => quantity::duration_within(text, min, max, step).map(drop),
        Format::Size => quantity::size(text).map(drop),
        Format::Retention => quantity::retention(text).map(drop),
        Format::Calendar => quantity::calendar(text).map(drop),
        Format::Path => names::path(text).map(drop),
        Format::Source => names::source(text).map(drop),
        Format::ImageTag => names::image_tag(text).map(drop),
        Format::Artifact => names::artifact(text).map(drop),
        Format::ArtifactOrFolder => names::artifact(text.strip_suffix('/').unwrap_or(text)).map(drop),
        Format::Mode => quantity::mode(text).map(drop),
        Format::UserName => names::user(text).map(drop),
        Format::Effect => names::effect(text).map(drop),
        Format::LabelKey => names::label_key(text).map(drop),
        Format::LabelValue => names::label_value(text).map(drop),
        Format::Taint => names::taint(text).map(drop),
        Format::SysctlName => names::sysctl(text).map(drop),
        Format::KeyAlgorithm => names::key_algorithm(text).map(drop),
        Format::Recipient => names::recipient(text).map(drop),
        Format::FindingCode => finding::code(text).map(drop),
        Format::Date => finding::date(text).map(drop),
        Format::ImageRepository => names::image_repository(text).map(drop),
    }
}

#[cfg(test)]
mod tests;
