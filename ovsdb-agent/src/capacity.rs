//! What containers may use of this machine: processors and memory.

use std::{fmt, fs, str::FromStr, thread};

/// Processors, in thousandths; by default those that this process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpus(pub u32);

/// Memory in bytes; by default that of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory(pub u64);

/// The text is no capacity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}")]
pub struct BadCapacity {
    text: String,
    what: &'static str,
}

impl Default for Cpus {
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self(u32::try_from(processors).unwrap_or(u32::MAX).saturating_mul(MILLIS))
    }
}

impl Default for Memory {
    /// 0, which is not counted, where the kernel does not say.
    fn default() -> Self {
        // proc(5): in kibibytes, whatever it calls them.
        let total = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
            line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
        });
        Self(total.unwrap_or(0).saturating_mul(1024))
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.0) / f64::from(MILLIS))
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Cpus {
    type Err = BadCapacity;

    fn from_str(text: &str) -> Result<Self, BadCapacity> {
        let bad = || BadCapacity { text: text.to_owned(), what: "number of processors such as 1.5" };
        let number: f64 = text.parse().map_err(|_| bad())?;
        if !(0.001..=1_000_000.0).contains(&number) {
            return Err(bad());
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within bounds just checked"
        )]
        let millis = (number * f64::from(MILLIS)).round() as u32;
        Ok(Self(millis))
    }
}

impl FromStr for Memory {
    type Err = BadCapacity;

    fn from_str(text: &str) -> Result<Self, BadCapacity> {
        let bad = || BadCapacity { text: text.to_owned(), what: "amount of memory such as 512m or 16g" };
        let (number, unit) = match text.char_indices().last() {
            Some((at, unit)) if unit.is_ascii_alphabetic() => (text.get(..at).ok_or_else(bad)?, unit),
            _ => (text, 'b'),
        };
        let shift = match unit.to_ascii_lowercase() {
            'b' => 0,
            'k' => 10,
            'm' => 20,
            'g' => 30,
            't' => 40,
            _ => return Err(bad()),
        };
        let number: u64 = number.parse().map_err(|_| bad())?;
        number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).map(Self).ok_or_else(bad)
    }
}

const MILLIS: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_amounts_as_people_write_them() {
        assert_eq!("1.5".parse(), Ok(Cpus(1500)));
        assert_eq!("0.25".parse(), Ok(Cpus(250)));
        assert_eq!("512m".parse(), Ok(Memory(512 << 20)));
        assert_eq!("16G".parse(), Ok(Memory(16 << 30)));
        assert_eq!("1000".parse(), Ok(Memory(1000)));
        for text in ["", "0", "-1", "x", "nan"] {
            assert!(text.parse::<Cpus>().is_err(), "{text}");
        }
        for text in ["", "m", "0", "-1g", "1.5g", "5x", "99999999999t"] {
            assert!(text.parse::<Memory>().is_err(), "{text}");
        }
    }

    #[test]
    fn this_machine_has_some() {
        assert!(Cpus::default().0 >= 1000 && Memory::default().0 > 0);
    }
}
