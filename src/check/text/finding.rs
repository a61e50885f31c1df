//! What a waiver is made of: the code of a finding, and a day.

use time::{Date, Month};

use super::{Fault, Read};
use crate::check::suggest::nearest;
use crate::diag::Code;

/// The code of a finding that may be a warning.
pub fn code(text: &str) -> Read<Code> {
    let known = Code::ALL.iter().copied().find(|code| code.as_str() == text);
    if let Some(code) = known {
        if Code::WAIVABLE.contains(&code) {
            return Ok(code);
        }
        let (reason, help) = match code.as_str().get(..4) {
            Some("KH07") => ("it is about waivers themselves", "mend the waiver that it points at"),
            _ => (
                "only warnings of `khagen check` can be accepted: after an error nothing is built",
                "remove the waiver, and mend what the finding says",
            ),
        };
        let message = format!("{code} cannot be waived: {}", code.title());
        return Err(Fault::new(Code::WaiverOfError, message, reason, help));
    }
    let near = Code::find(text).filter(|code| Code::WAIVABLE.contains(code));
    let near = near.or_else(|| {
        let nearest = nearest(text, Code::WAIVABLE.iter().map(|code| code.as_str()))?;
        Code::find(nearest)
    });
    Err(Fault::new(
        Code::WaiverCode,
        format!("there is no finding {text:?}"),
        "a waiver names the code that stands in brackets after `warning`",
        match near {
            Some(near) => format!("did you mean {near} ({})?", near.title()),
            None => {
                "write it as `khagen check` prints it, such as KH0406; `khagen explain` lists all".to_owned()
            }
        },
    ))
}

/// A day: four digits, two, two.
pub fn date(text: &str) -> Read<Date> {
    let read = || {
        let digits = |part: &str, count: usize| {
            (part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| part.parse::<u16>().ok())?
        };
        let mut parts = text.split('-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let month = Month::try_from(u8::try_from(digits(month, 2)?).ok()?).ok()?;
        let day = u8::try_from(digits(day, 2)?).ok()?;
        Date::from_calendar_date(i32::from(digits(year, 4)?), month, day).ok()
    };
    read().ok_or_else(|| {
        Fault::new(
            Code::BadDate,
            format!("{text:?} is not a date"),
            "a day is a year of four digits, a month and a day of two (ISO 8601), and must exist",
            "write it like 2027-03-31",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_day_of_the_calendar() {
        for text in ["2027-03-31", "2028-02-29", "0001-01-01"] {
            assert_eq!(date(text).map(|date| date.to_string()).as_deref(), Ok(text));
        }
        for text in [
            "2027-02-29",
            "2027-13-01",
            "2027-00-01",
            "2027-1-01",
            "27-01-01",
            "2027-01-01T00:00:00",
            "2027-01",
            "2027-01-01-",
            "+027-01-01",
            "20270101",
            "",
        ] {
            assert_eq!(date(text).map_err(|fault| fault.code), Err(Code::BadDate), "{text}");
        }
    }

    #[test]
    fn a_code_may_be_a_warning_or_says_what_else() {
        assert_eq!(code("KH0406"), Ok(Code::SingleControlPlane));
        let fault = |text: &str| code(text).expect_err(text);
        assert_eq!(fault("KH0303").code, Code::WaiverOfError);
        assert_eq!(fault("KH0705").code, Code::WaiverOfError);
        assert_eq!(fault("kh0406").help, "did you mean KH0406 (one control plane)?");
        assert!(fault("KH0460").help.starts_with("did you mean KH0406"), "{:?}", fault("KH0460"));
        assert_eq!(fault("control plane").code, Code::WaiverCode);
    }
}
