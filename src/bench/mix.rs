//! Which operations are measured: one after the other, or several at once by weight.

use claviger_shapes::Operation;

use crate::BenchError;

/// Requests after which a mix repeats itself, at most.
pub(crate) const CYCLE_MAX: u32 = 1000;

/// What can be measured, by the names that the command line uses.
const OPERATIONS: &[(&str, Operation)] = &[
    ("encrypt", Operation::Encrypt),
    ("decrypt", Operation::Decrypt),
    ("generate-data-key", Operation::GenerateDataKey),
    ("generate-data-key-without-plaintext", Operation::GenerateDataKeyWithoutPlaintext),
    ("re-encrypt", Operation::ReEncrypt),
    ("generate-random", Operation::GenerateRandom),
    ("describe-key", Operation::DescribeKey),
    ("list-keys", Operation::ListKeys),
    ("create-key", Operation::CreateKey),
];

/// One measurement: an operation, or several in fixed shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    name: &'static str,
    operation: Operation,
    weight: u32,
}

impl Load {
    /// `encrypt,decrypt`: a measurement for each.
    ///
    /// # Errors
    /// Names the operation that is not known.
    pub fn each(text: &str) -> Result<Vec<Self>, BenchError> {
        text.split(',').map(|name| Ok(Self { parts: vec![part(name, 1)?] })).collect()
    }

    /// `encrypt=70,decrypt=30`: one measurement of all.
    ///
    /// # Errors
    /// When it does not parse, names an operation twice, or has weights that sum to more than 1000 once reduced.
    pub fn mix(text: &str) -> Result<Self, BenchError> {
        let malformed = || BenchError::Mix(text.to_owned());
        let mut parts: Vec<Part> = Vec::new();
        for item in text.split(',') {
            let (name, weight) = item.split_once('=').ok_or_else(malformed)?;
            let weight = weight.trim().parse().ok().filter(|weight| *weight > 0).ok_or_else(malformed)?;
            let part = part(name, weight)?;
            if parts.iter().any(|other| other.operation == part.operation) {
                return Err(malformed());
            }
            parts.push(part);
        }
        let divisor = parts.iter().fold(0, |divisor, part| greatest_common_divisor(divisor, part.weight)).max(1);
        parts.iter_mut().for_each(|part| part.weight /= divisor);
        let cycle = parts.iter().try_fold(0_u32, |sum, part| sum.checked_add(part.weight));
        if cycle.is_none_or(|cycle| cycle > CYCLE_MAX) {
            return Err(malformed());
        }
        Ok(Self { parts })
    }

    /// As the command line names it.
    pub fn name(&self) -> String {
        match &self.parts[..] {
            [only] => only.name.to_owned(),
            parts => parts.iter().map(|part| format!("{}={}", part.name, part.weight)).collect::<Vec<_>>().join(","),
        }
    }

    /// The operations with their names.
    pub(crate) fn operations(&self) -> impl Iterator<Item = (&'static str, Operation)> {
        self.parts.iter().map(|part| (part.name, part.operation))
    }

    /// One cycle, as indices of the operations: each as often as it weighs, spread evenly.
    pub(crate) fn cycle(&self) -> Vec<usize> {
        let sum: u32 = self.parts.iter().map(|part| part.weight).sum();
        let mut credit = vec![0_i64; self.parts.len()];
        (0..sum)
            .map(|_| {
                credit.iter_mut().zip(&self.parts).for_each(|(credit, part)| *credit += i64::from(part.weight));
                // The first of the richest, so that the order is the same in every run.
                let chosen = (0..credit.len()).rev().max_by_key(|index| credit[*index]).unwrap_or_default();
                credit[chosen] -= i64::from(sum);
                chosen
            })
            .collect()
    }
}

fn part(name: &str, weight: u32) -> Result<Part, BenchError> {
    let name = name.trim();
    match OPERATIONS.iter().find(|(known, _)| *known == name) {
        Some((name, operation)) => Ok(Part { name, operation: *operation, weight }),
        None => {
            let known: Vec<_> = OPERATIONS.iter().map(|(known, _)| *known).collect();
            Err(BenchError::UnknownOperation(name.to_owned(), known.join(", ")))
        }
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_one_after_the_other() {
        let loads = Load::each("encrypt,decrypt, create-key").unwrap();
        assert_eq!(loads.iter().map(Load::name).collect::<Vec<_>>(), ["encrypt", "decrypt", "create-key"]);
        assert_eq!(loads[1].operations().collect::<Vec<_>>(), [("decrypt", Operation::Decrypt)]);
        assert_eq!(loads[0].cycle(), [0]);
        let error = Load::each("encrypt,Decrypt").unwrap_err().to_string();
        assert!(error.contains("\"Decrypt\"") && error.contains("generate-data-key"), "{error}");
    }

    #[test]
    fn a_mix_keeps_its_shares_and_spreads_them() {
        let mix = Load::mix("encrypt=70,decrypt=20, describe-key=10").unwrap();
        assert_eq!(mix.name(), "encrypt=7,decrypt=2,describe-key=1", "reduced");
        let cycle = mix.cycle();
        let count = |wanted| cycle.iter().filter(|part| **part == wanted).count();
        assert_eq!((count(0), count(1), count(2)), (7, 2, 1));
        let decrypts: Vec<_> = (0..cycle.len()).filter(|at| cycle[*at] == 1).collect();
        assert!(decrypts[1] - decrypts[0] >= 4, "not in a row: {cycle:?}");
        assert_eq!(Load::mix("encrypt=5").unwrap().cycle(), [0]);
    }

    #[test]
    fn mixes_that_are_none() {
        let bad = ["", "encrypt", "encrypt=", "encrypt=0", "encrypt=-1", "encrypt=x", "encrypt=1,encrypt=2", "encrypt=1,,decrypt=1"];
        for text in bad {
            assert!(matches!(Load::mix(text), Err(BenchError::Mix(_))), "{text}");
        }
        assert!(matches!(Load::mix("encrypt=999,decrypt=2"), Err(BenchError::Mix(_))));
        assert!(matches!(Load::mix("encrypt=4294967295,decrypt=4294967294"), Err(BenchError::Mix(_))));
        assert!(Load::mix("encrypt=999,decrypt=1").is_ok());
        assert!(matches!(Load::mix("melt=1"), Err(BenchError::UnknownOperation(..))));
    }
}
