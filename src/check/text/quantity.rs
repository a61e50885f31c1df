//! Versions, times, sizes, modes, schedules.

use super::{Fault, Read};
use crate::diag::Code;
use crate::model::Version;

/// An exact version.
pub fn version(text: &str) -> Read<Version> {
    if let Some(version) = Version::parse(text) {
        return Ok(version);
    }
    let bare = text.strip_prefix('v').unwrap_or(text);
    let parts: Vec<&str> = bare.split('.').collect();
    let numbers = parts.iter().all(|part| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit()));
    let (message, help) = match parts.len() {
        2 if numbers => {
            (format!("`{text}` is not an exact version"), format!("add the patch level, such as {bare}.1"))
        }
        _ if bare.contains(['-', '+']) => {
            (format!("`{text}` is not a release"), "write a released version as major.minor.patch".to_owned())
        }
        _ => (format!("`{text}` is not a version"), "write major.minor.patch, such as 1.36.5".to_owned()),
    };
    let reason = "a build a month later must give the same, so nothing is looked up, neither `latest` nor a newest patch level";
    Err(Fault::new(Code::BadVersion, message, reason, help))
}

/// Units and their seconds. Years are kubeadm's, of 365 days.
const UNITS: [(char, u64); 6] =
    [('y', 365 * 86400), ('w', 7 * 86400), ('d', 86400), ('h', 3600), ('m', 60), ('s', 1)];

/// A time in seconds: numbers with units, `1h30m`, `90d`.
pub fn duration(text: &str) -> Read<u64> {
    let read = || {
        let mut seconds = 0u64;
        let mut rest = text;
        let mut largest = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u64 = rest.get(..digits)?.parse().ok()?;
            let unit = rest[digits..].chars().next()?;
            let (_, each) = UNITS.into_iter().find(|(letter, _)| *letter == unit)?;
            // Falling units, each once: `30m1h` and `1h1h` are slips.
            if each >= largest {
                return None;
            }
            largest = each;
            seconds = seconds.checked_add(number.checked_mul(each)?)?;
            rest = &rest[digits + 1..];
        }
        (!text.is_empty()).then_some(seconds)
    };
    read().ok_or_else(|| {
        let number = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        let message =
            if number { format!("`{text}` has no unit of time") } else { format!("`{text}` is not a time") };
        Fault::new(
            Code::BadDuration,
            message,
            "a number could be seconds, minutes or days",
            "write numbers with units, the larger first: y (365 days), w, d, h, m, s, such as 90d or 1h30m",
        )
    })
}

/// A time within bounds, a multiple of `step`.
pub fn duration_within(text: &str, min: u64, max: u64, step: u64) -> Read<u64> {
    let seconds = duration(text)?;
    if (min..=max).contains(&seconds) && seconds % step.max(1) == 0 {
        return Ok(seconds);
    }
    let message = if step == 86400 && seconds % step != 0 {
        format!("`{text}` is no whole number of days")
    } else {
        format!("`{text}` is out of range")
    };
    let help = format!("write a time from {} to {}", plain(min), plain(max));
    Err(Fault::new(Code::BadDuration, message, "", help))
}

/// A time in the largest unit that fits.
fn plain(seconds: u64) -> String {
    let (letter, each) = UNITS
        .into_iter()
        .filter(|(letter, _)| *letter != 'w')
        .find(|(_, each)| seconds >= *each && seconds.is_multiple_of(*each))
        .unwrap_or(('s', 1));
    format!("{}{letter}", seconds / each)
}

/// Go's form of a duration (`time.Duration.String`), which kubeadm writes and reads.
pub fn go_duration(seconds: u64) -> String {
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (h, m) {
        (0, 0) => format!("{s}s"),
        (0, _) => format!("{m}m{s}s"),
        _ => format!("{h}h{m}m{s}s"),
    }
}

/// Bytes: a number, or a number with KiB, MiB or GiB.
pub fn size(text: &str) -> Read<u64> {
    const UNITS: [(&str, u32); 3] = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    /// 100 GiB; etcd suggests 8.
    const MOST: u64 = 100 << 30;
    let (number, shift) = UNITS
        .into_iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?.trim_end(), shift)))
        .unwrap_or((text, 0));
    let plain = !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit());
    let bytes = plain.then(|| number.parse::<u64>().ok()).flatten().and_then(|n| n.checked_mul(1 << shift));
    let fault = |message: String, help: &str| {
        Err(Fault::new(
            Code::BadSize,
            message,
            "etcd keeps the database in memory-mapped files of this size at most",
            help,
        ))
    };
    match bytes {
        Some(bytes) if bytes <= MOST => Ok(bytes),
        Some(_) => fault(format!("`{text}` is more than 100GiB"), "write 8GiB or less, as etcd suggests"),
        None => fault(
            format!("`{text}` is not a size"),
            "write bytes, or a whole number with KiB, MiB or GiB, such as 8GiB",
        ),
    }
}

/// etcd's auto-compaction-retention: a number, or a Go duration.
pub fn retention(text: &str) -> Read<String> {
    let number = !text.is_empty() && text.len() < 19 && text.bytes().all(|c| c.is_ascii_digit());
    let time = duration(text).is_ok() && !text.contains(['y', 'w', 'd']);
    if number || time {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        Code::BadDuration,
        format!("`{text}` is no retention"),
        "etcd reads a number (hours, or revisions) or a time",
        "write a number, or a time in h, m and s, such as 8h",
    ))
}

/// Permission bits in octal, as text `0644`, `644` or `0o644`.
pub fn mode(text: &str) -> Read<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let octal = (3..=4).contains(&digits.len()) && digits.bytes().all(|c| (b'0'..=b'7').contains(&c));
    match u32::from_str_radix(digits, 8) {
        Ok(bits) if octal && bits <= 0o777 => Ok(bits),
        _ => Err(Fault::new(
            Code::BadMode,
            format!("`{text}` is not a file's mode"),
            "permission bits are three octal digits; setuid, setgid and sticky are not for these files",
            "write it in quotes, such as \"0644\"",
        )),
    }
}

/// systemd's OnCalendar, as far as one can tell without systemd: `systemd-analyze calendar` has the last word.
pub fn calendar(text: &str) -> Read<String> {
    const WORDS: [&str; 10] = [
        "minutely",
        "hourly",
        "daily",
        "weekly",
        "monthly",
        "quarterly",
        "semiannually",
        "yearly",
        "annually",
        "semi-annually",
    ];
    let mut parts: Vec<&str> = text.split(' ').filter(|part| !part.is_empty()).collect();
    if parts.last().is_some_and(|zone| parts.len() > 1 && is_zone(zone)) {
        parts.pop();
    }
    let good = match parts[..] {
        [one] if WORDS.contains(&one) => true,
        [one] => is_days(one) || is_date(one) || is_time(one),
        [a, b] => (is_days(a) && (is_date(b) || is_time(b))) || (is_date(a) && is_time(b)),
        [a, b, c] => is_days(a) && is_date(b) && is_time(c),
        _ => false,
    };
    if good && text.len() <= 256 && text.trim() == text {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        Code::BadCalendar,
        format!("{text:?} is not a time for a timer"),
        "systemd would not start the timer, and no snapshot would be taken",
        "write daily, hourly, or systemd's form, such as `*-*-* 03:00:00` or `Mon..Fri 02:30`; `systemd-analyze calendar` explains it",
    ))
}

fn is_zone(text: &str) -> bool {
    text == "UTC"
        || (text.contains('/')
            && text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"/_+-".contains(&c)))
}

fn is_days(text: &str) -> bool {
    const DAYS: [&str; 14] = [
        "mon",
        "monday",
        "tue",
        "tuesday",
        "wed",
        "wednesday",
        "thu",
        "thursday",
        "fri",
        "friday",
        "sat",
        "saturday",
        "sun",
        "sunday",
    ];
    let day = |name: &str| DAYS.contains(&name.to_ascii_lowercase().as_str());
    text.trim_end_matches(',').split(',').all(|range| match range.split_once("..") {
        Some((a, b)) => day(a) && day(b),
        None => day(range),
    })
}

/// `[year-]month-day`, the day perhaps after `~` for the end of the month.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['-', '~']).collect();
    let number = |text: &str, low, high| is_numbers(text, low, high, false);
    match parts[..] {
        [month, day] => number(month, 1, 12) && number(day, 1, 31),
        [year, month, day] => number(year, 1970, 2199) && number(month, 1, 12) && number(day, 1, 31),
        _ => false,
    }
}

/// `hour:minute[:second]`.
fn is_time(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        [h, m] => is_numbers(h, 0, 23, false) && is_numbers(m, 0, 59, false),
        [h, m, s] => is_numbers(h, 0, 23, false) && is_numbers(m, 0, 59, false) && is_numbers(s, 0, 59, true),
        _ => false,
    }
}

/// `*`, `3`, `1,15`, `8..17`, `*/2`, `0/15`.
fn is_numbers(text: &str, low: u32, high: u32, fraction: bool) -> bool {
    let number = |text: &str| {
        let whole = if fraction { text.split('.').next().unwrap_or_default() } else { text };
        !whole.is_empty()
            && whole.bytes().all(|c| c.is_ascii_digit())
            && whole.parse::<u32>().is_ok_and(|n| (low..=high).contains(&n))
            && text[whole.len()..].bytes().skip(1).all(|c| c.is_ascii_digit())
    };
    text.split(',').all(|item| {
        let (base, step) = item.split_once('/').map_or((item, None), |(base, step)| (base, Some(step)));
        let base_good = base == "*"
            || match base.split_once("..") {
                Some((a, b)) => number(a) && number(b),
                None => number(base),
            };
        base_good
            && step.is_none_or(|step| step.parse::<u32>().is_ok_and(|n| n > 0) && !step.starts_with('+'))
    })
}
