//! Lifetimes that cannot hold together.

use super::{Scope, count};
use crate::diag::{Code, Diagnostic, Report};

const CA: &str = "pki.caValidity";
const LEAF: &str = "pki.validity";
const RENEW: &str = "pki.renewBefore";

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    let pki = &scope.cluster.pki;
    let days = |n: u32| count(n as usize, "day");
    if pki.validity_days > pki.ca_validity_days && scope.sound(&[CA, LEAF]) {
        let message = format!(
            "validity {} is longer than caValidity {}",
            days(pki.validity_days),
            days(pki.ca_validity_days)
        );
        let finding = Diagnostic::error(Code::ValidityBeyondCa, message)
            .reason("a chain is valid only while all of it is, so no certificate outlives its CA (RFC 5280 section 6.1.3)")
            .help("make caValidity several times as long as validity");
        let finding = scope.at(finding, LEAF, days(pki.validity_days));
        report.push(scope.also(finding, CA, days(pki.ca_validity_days)));
    }
    if pki.renew_before_days >= pki.validity_days && scope.sound(&[RENEW, LEAF]) {
        let message = format!(
            "renewBefore {} is not shorter than validity {}",
            days(pki.renew_before_days),
            days(pki.validity_days)
        );
        let finding = Diagnostic::error(Code::RenewBefore, message)
            .reason("every certificate would be due on the day it is issued")
            .help("make renewBefore a fraction of validity, a quarter for instance");
        let finding = scope.at(finding, RENEW, days(pki.renew_before_days));
        report.push(scope.also(finding, LEAF, days(pki.validity_days)));
    }
}
