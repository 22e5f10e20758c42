//! `stored_size = "80 + n + 17*ceil(n/16384)"`: the size that a file of `n` bytes has where a proxy encrypts it.
//!
//! Numbers, `n`, `+ - * /`, brackets, `ceil(…)` and `floor(…)`; exact, in fractions.

use std::fmt;
use std::str::FromStr;

/// A formula.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSize {
    text: String,
    term: Term,
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    Number(i128),
    N,
    Of(char, Box<(Term, Term)>),
    Ceil(Box<Term>),
    Floor(Box<Term>),
}

impl StoredSize {
    /// The size for `n` bytes; none where the formula gives no size (a fraction, less than nothing, a division by zero).
    pub fn of(&self, n: u64) -> Option<u64> {
        let (over, under) = self.term.value(i128::from(n))?;
        (over % under == 0)
            .then(|| u64::try_from(over / under).ok())
            .flatten()
    }
}

impl fmt::Display for StoredSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Term {
    /// A fraction; its lower part is above zero.
    fn value(&self, n: i128) -> Option<(i128, i128)> {
        match self {
            Self::Number(number) => Some((*number, 1)),
            Self::N => Some((n, 1)),
            Self::Floor(term) => term.value(n).map(|(a, b)| (a.div_euclid(b), 1)),
            Self::Ceil(term) => {
                let (a, b) = term.value(n)?;
                Some((-(a.checked_neg()?.div_euclid(b)), 1))
            }
            Self::Of(sign, both) => {
                let ((a, b), (c, d)) = (both.0.value(n)?, both.1.value(n)?);
                let (ad, cb, bd) = (a.checked_mul(d)?, c.checked_mul(b)?, b.checked_mul(d)?);
                match sign {
                    '+' => Some((ad.checked_add(cb)?, bd)),
                    '-' => Some((ad.checked_sub(cb)?, bd)),
                    '*' => Some((a.checked_mul(c)?, bd)),
                    _ if c == 0 => None,
                    _ => Some((ad.checked_mul(c.signum())?, cb.checked_mul(c.signum())?)),
                }
            }
        }
    }
}

impl FromStr for StoredSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let chars: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
        let mut reader = Reader { chars, at: 0 };
        let term = reader.sum(0).filter(|_| reader.at == reader.chars.len());
        let wrong = || format!("`{text}` is no formula; an example: \"80 + n + 17*ceil(n/16384)\"");
        let formula = Self {
            text: text.to_owned(),
            term: term.ok_or_else(wrong)?,
        };
        match formula.of(0) {
            Some(_) => Ok(formula),
            None => Err(format!("`{text}` gives no size for an empty file")),
        }
    }
}

/// Brackets within brackets, at most.
const DEPTH: usize = 50;

struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    fn next_is(&mut self, signs: &[char]) -> Option<char> {
        let next = *self.chars.get(self.at)?;
        signs.contains(&next).then(|| self.at += 1).map(|()| next)
    }

    fn sum(&mut self, depth: usize) -> Option<Term> {
        let mut term = self.product(depth)?;
        while let Some(sign) = self.next_is(&['+', '-']) {
            term = Term::Of(sign, Box::new((term, self.product(depth)?)));
        }
        Some(term)
    }

    fn product(&mut self, depth: usize) -> Option<Term> {
        let mut term = self.single(depth)?;
        while let Some(sign) = self.next_is(&['*', '/']) {
            term = Term::Of(sign, Box::new((term, self.single(depth)?)));
        }
        Some(term)
    }

    fn single(&mut self, depth: usize) -> Option<Term> {
        if depth > DEPTH {
            return None;
        }
        let word = |c: &&char| c.is_ascii_alphanumeric();
        let word: String = self.chars[self.at..].iter().take_while(word).collect();
        self.at += word.len();
        match word.as_str() {
            "n" => Some(Term::N),
            "" => self.brackets(depth),
            "ceil" => Some(Term::Ceil(Box::new(self.brackets(depth)?))),
            "floor" => Some(Term::Floor(Box::new(self.brackets(depth)?))),
            number => number.parse().ok().map(Term::Number),
        }
    }

    fn brackets(&mut self, depth: usize) -> Option<Term> {
        self.next_is(&['('])?;
        let term = self.sum(depth + 1)?;
        self.next_is(&[')']).map(|_| term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_an_encrypted_file() {
        let formula: StoredSize = "80 + n + 17*ceil(n/16384)".parse().unwrap();
        for (n, stored) in [(0, 80), (1, 98), (16_384, 16_481), (16_385, 16_499)] {
            assert_eq!(formula.of(n), Some(stored), "{n}");
        }
        let half: StoredSize = "n/2".parse().unwrap();
        assert_eq!((half.of(4), half.of(5)), (Some(2), None));
        let blocks: StoredSize = "(floor(n/16) + 1) * 16".parse().unwrap();
        assert_eq!((blocks.of(15), blocks.of(16)), (Some(16), Some(32)));
    }

    #[test]
    fn what_is_no_formula() {
        let deep = "(".repeat(100_000);
        for wrong in [
            "",
            "n +",
            "m",
            "ceil n",
            "n n",
            "1/0",
            "n/n",
            "0 - 5",
            "(n",
            &deep,
            "9".repeat(60).as_str(),
        ] {
            let refused = wrong.parse::<StoredSize>();
            assert!(refused.is_err(), "{}", &wrong[..wrong.len().min(20)]);
        }
    }
}
