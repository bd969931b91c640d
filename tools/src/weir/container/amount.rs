//! How much, how often and how long: values of `container create` as users of docker write them.
//!
//! A unit of memory is a power of 1024, as in docker. What is zero would set no limit in the API; it is refused, since who
//! writes a limit means one.

use std::time::Duration;

use weir_api::v1::RestartPolicy;
use weir_api::v1::restart_policy::Mode;

/// Reads `--cpus`: processors with at most three decimals; gives thousandths of one.
pub(in super::super) fn cpus(text: &str) -> Result<u32, String> {
    let millis = scaled(text, 1000).and_then(|millis| u32::try_from(millis).ok());
    millis.filter(|millis| *millis > 0).ok_or_else(|| {
        "expected a number of processors above 0 with at most three decimals, such as 0.5; without the option \
         there is no limit"
            .to_owned()
    })
}

/// Reads `--memory`: a number with a unit; gives bytes.
pub(in super::super) fn memory(text: &str) -> Result<u64, String> {
    let expected = || {
        "expected an amount above 0 such as 134217728, 128m, 1.5g or 128MiB (b, k, m, g, t: powers of 1024); \
         without the option there is no limit"
            .to_owned()
    };
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split).ok_or_else(expected)?;
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return Err(expected()),
    };
    scaled(number.trim_end(), unit).filter(|bytes| *bytes > 0).ok_or_else(expected)
}

/// Reads `--restart`: `no`, `always` or `on-failure`, which may say how often at most.
pub(super) fn restart(text: &str) -> Result<RestartPolicy, String> {
    let (mode, max_retries) = match text.split_once(':') {
        None if text == "no" => (Mode::No, 0),
        None if text == "always" => (Mode::Always, 0),
        None if text == "on-failure" => (Mode::OnFailure, 0),
        Some(("on-failure", retries)) => match retries.parse() {
            Ok(retries) if retries > 0 => (Mode::OnFailure, retries),
            _ => return Err("on-failure: takes a number above 0, such as on-failure:3".to_owned()),
        },
        _ => {
            return Err("expected no, always, on-failure or on-failure:N; a container that was stopped \
                        stays stopped with each of them"
                .to_owned());
        }
    };
    Ok(RestartPolicy { mode: mode.into(), max_retries })
}

/// Reads `--stop-timeout`: a duration such as `5s`, or a number of seconds as docker takes it; gives whole seconds.
pub(in super::super) fn seconds(text: &str) -> Result<u32, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let duration: Duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match u32::try_from(duration.as_secs()) {
        Ok(seconds) if duration.subsec_nanos() == 0 => Ok(seconds),
        _ => Err("expected whole seconds, such as 5s or 1m".to_owned()),
    }
}

/// Bytes as people read them: `128 MiB`, or with one decimal where it does not come out even.
pub(in super::super) fn bytes_text(bytes: u64) -> String {
    let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(size, _)| bytes >= *size) {
        None => format!("{bytes} B"),
        Some((size, unit)) if bytes.is_multiple_of(size) => format!("{} {unit}", bytes / size),
        Some((size, unit)) => format!("{}.{} {unit}", bytes / size, bytes % size * 10 / size),
    }
}

/// Thousandths of a processor as `--cpus` takes them.
pub(in super::super) fn cpus_text(millis: u32) -> String {
    let text = format!("{}.{:03}", millis / 1000, millis % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A restart policy as `--restart` takes it.
pub(super) fn restart_text(policy: &RestartPolicy) -> String {
    match (policy.mode(), policy.max_retries) {
        (Mode::Unspecified | Mode::No, _) => "no".to_owned(),
        (Mode::Always, _) => "always".to_owned(),
        (Mode::OnFailure, 0) => "on-failure".to_owned(),
        (Mode::OnFailure, retries) => format!("on-failure:{retries}"),
    }
}

/// Reads a decimal number and multiplies it by `unit`, without the rounding of a float. What is less than one of the
/// result is cut off for bytes and refused for thousandths, of which nobody means less than one.
fn scaled(text: &str, unit: u64) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || whole.len() + decimals.len() == 0 {
        return None;
    }
    let n_decimals = u32::try_from(decimals.len()).ok().filter(|n| *n <= MAX_DECIMALS)?;
    let number = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok() };
    let (whole, decimals) = (number(whole)?, number(decimals)?);
    let part = decimals.checked_mul(unit)?;
    let divisor = 10_u64.pow(n_decimals);
    if unit == 1000 && !part.is_multiple_of(divisor) {
        return None;
    }
    whole.checked_mul(unit)?.checked_add(part / divisor)
}

/// Decimals of a number: enough for a byte of a gibibyte, few enough for the product to hold in 64 bits.
const MAX_DECIMALS: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_processors_in_thousandths() {
        for (text, millis) in [("0.5", 500), ("2", 2000), ("1.25", 1250), (".001", 1), ("1.", 1000)] {
            assert_eq!(cpus(text), Ok(millis), "{text}");
        }
        for text in ["", ".", "0", "0.0001", "-1", "1e3", "half", "1.5.2", "5000000"] {
            assert!(cpus(text).is_err(), "{text:?}");
        }
        assert_eq!([500, 2000, 1250, 1].map(cpus_text), ["0.5", "2", "1.25", "0.001"]);
    }

    #[test]
    fn reads_memory_in_powers_of_1024() {
        for (text, bytes) in [
            ("134217728", 134_217_728),
            ("7b", 7),
            ("128m", 128 << 20),
            ("128MiB", 128 << 20),
            ("64 KB", 64 << 10),
            ("1.5g", 3 << 29),
            ("1t", 1 << 40),
        ] {
            assert_eq!(memory(text), Ok(bytes), "{text}");
        }
        for text in ["", "m", "0", "0m", "-1m", "128x", "1.5.0g", "18446744073709551615k", "128µ"] {
            assert!(memory(text).is_err(), "{text:?}");
        }
        assert_eq!([100, 128 << 20, 3 << 29].map(bytes_text), ["100 B", "128 MiB", "1.5 GiB"]);
    }

    #[test]
    fn reads_restart_policies_and_writes_them_alike() {
        for text in ["no", "always", "on-failure", "on-failure:3"] {
            assert_eq!(restart(text).map(|policy| restart_text(&policy)), Ok(text.to_owned()));
        }
        for text in ["", "yes", "unless-stopped", "always:3", "on-failure:", "on-failure:0", "on-failure:-1"]
        {
            assert!(restart(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn reads_whole_seconds() {
        assert_eq!(
            (seconds("5s"), seconds("2m"), seconds("0"), seconds("10")),
            (Ok(5), Ok(120), Ok(0), Ok(10))
        );
        for text in ["", "500ms", "-1", "soon", "1.5"] {
            assert!(seconds(text).is_err(), "{text:?}");
        }
    }
}
