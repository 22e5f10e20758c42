//! Sizes as PostgreSQL writes and reads them: `kB`, `MB`, `GB`, `TB`, each 1024 of the one before.
//!
//! Source: PostgreSQL manual, 20.1.1 "Parameter Names and Values".

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A number of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Size(pub u64);

/// Units above the byte, the largest first.
const UNITS: [(&str, u32); 4] = [("TB", 40), ("GB", 30), ("MB", 20), ("kB", 10)];

impl Size {
    /// What an answer of the server's, which cannot be negative, says.
    pub fn of(answer: i64) -> Self {
        Self(u64::try_from(answer).unwrap_or(0))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in UNITS {
            let tenths = (u128::from(self.0) * 10) >> shift;
            match tenths {
                0..10 => {}
                10..100 if tenths % 10 != 0 => {
                    return write!(f, "{}.{} {unit}", tenths / 10, tenths % 10);
                }
                _ => return write!(f, "{} {unit}", tenths / 10),
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

impl FromStr for Size {
    type Err = String;

    /// Reads `10GB`, `512 MB`; a bare number is bytes.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a size; write it like 512MB or 20GB");
        let text = text.trim();
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let number: u64 = text[..end].parse().map_err(|_| wrong())?;
        let shift = match text[end..].trim() {
            "" | "B" => 0,
            unit => {
                let known = UNITS.iter().find(|(u, _)| u.eq_ignore_ascii_case(unit));
                known.map(|(_, shift)| *shift).ok_or_else(wrong)?
            }
        };
        let bytes = number.checked_mul(1 << shift).ok_or_else(wrong)?;
        Ok(Self(bytes))
    }
}

/// A time that something is expected to take or to last, in words; no more exact than such a time is.
pub fn lasting(seconds: f64) -> String {
    let (number, unit) = match seconds {
        s if !s.is_finite() || s >= 365.0 * 86_400.0 => return "more than a year".to_owned(),
        s if s < 1.0 => return "less than a second".to_owned(),
        s if s < 120.0 => (s, "s"),
        s if s < 7_200.0 => (s / 60.0, "min"),
        s if s < 172_800.0 => (s / 3_600.0, "h"),
        s => (s / 86_400.0, "days"),
    };
    format!("{number:.0} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_and_read() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 kB"),
            (1536, "1.5 kB"),
            (16 << 20, "16 MB"),
            ((1 << 30) + (1 << 29), "1.5 GB"),
            (3 << 40, "3 TB"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
        }
        for (text, bytes) in [
            ("7", 7),
            ("1kB", 1024),
            ("2 gb", 2 << 30),
            ("16MB", 16 << 20),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for wrong in ["", "GB", "-1", "1.5GB", "5 parsecs", "99999999999TB"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_told_in_the_unit_that_fits() {
        assert_eq!(lasting(0.2), "less than a second");
        assert_eq!(lasting(90.0), "90 s");
        assert_eq!(lasting(5_400.0), "90 min");
        assert_eq!(lasting(36_000.0), "10 h");
        assert_eq!(lasting(864_000.0), "10 days");
        assert_eq!(lasting(f64::INFINITY), "more than a year");
    }
}
