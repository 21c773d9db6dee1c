//! The names of condition operators: `ForAnyValue:StringLikeIfExists` is a qualifier, a base and a suffix.

use std::fmt;

use crate::names::names;

names! {
    /// An operator without qualifier and suffix.
    pub(crate) Base {
        StringEquals = "StringEquals",
        StringNotEquals = "StringNotEquals",
        StringEqualsIgnoreCase = "StringEqualsIgnoreCase",
        StringNotEqualsIgnoreCase = "StringNotEqualsIgnoreCase",
        StringLike = "StringLike",
        StringNotLike = "StringNotLike",
        NumericEquals = "NumericEquals",
        NumericNotEquals = "NumericNotEquals",
        NumericLessThan = "NumericLessThan",
        NumericLessThanEquals = "NumericLessThanEquals",
        NumericGreaterThan = "NumericGreaterThan",
        NumericGreaterThanEquals = "NumericGreaterThanEquals",
        DateEquals = "DateEquals",
        DateNotEquals = "DateNotEquals",
        DateLessThan = "DateLessThan",
        DateLessThanEquals = "DateLessThanEquals",
        DateGreaterThan = "DateGreaterThan",
        DateGreaterThanEquals = "DateGreaterThanEquals",
        Bool = "Bool",
        BinaryEquals = "BinaryEquals",
        IpAddress = "IpAddress",
        NotIpAddress = "NotIpAddress",
        ArnEquals = "ArnEquals",
        ArnLike = "ArnLike",
        ArnNotEquals = "ArnNotEquals",
        ArnNotLike = "ArnNotLike",
        Null = "Null",
    }
}

impl Base {
    /// Whether it holds when none of the policy's values matches.
    pub(crate) const fn is_negated(self) -> bool {
        matches!(
            self,
            Self::StringNotEquals
                | Self::StringNotEqualsIgnoreCase
                | Self::StringNotLike
                | Self::NumericNotEquals
                | Self::DateNotEquals
                | Self::NotIpAddress
                | Self::ArnNotEquals
                | Self::ArnNotLike
        )
    }

    /// Whether `*` and `?` in its values are wildcards.
    pub(crate) const fn has_wildcards(self) -> bool {
        matches!(self, Self::StringLike | Self::StringNotLike | Self::ArnEquals | Self::ArnLike | Self::ArnNotEquals | Self::ArnNotLike)
    }
}

/// How an operator treats a key of many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Qualifier {
    /// None: meant for keys of one value.
    Plain,
    /// Every value of the request must satisfy it; true for none.
    ForAllValues,
    /// One value of the request must satisfy it; false for none.
    ForAnyValue,
}

/// A whole operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    pub(crate) qualifier: Qualifier,
    pub(crate) base: Base,
    pub(crate) if_exists: bool,
}

impl Operator {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (qualifier, rest) = match text.split_once(':') {
            None => (Qualifier::Plain, text),
            Some(("ForAllValues", rest)) => (Qualifier::ForAllValues, rest),
            Some(("ForAnyValue", rest)) => (Qualifier::ForAnyValue, rest),
            Some(_) => return None,
        };
        let (name, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |name| (name, true));
        let base = Base::ALL.iter().copied().find(|base| base.as_str() == name)?;
        // Whether a key exists is what Null asks.
        (base != Base::Null || !if_exists).then_some(Self { qualifier, base, if_exists })
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let qualifier = match self.qualifier {
            Qualifier::Plain => "",
            Qualifier::ForAllValues => "ForAllValues:",
            Qualifier::ForAnyValue => "ForAnyValue:",
        };
        write!(f, "{qualifier}{}{}", self.base, if self.if_exists { "IfExists" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_back() {
        for base in Base::ALL {
            for qualifier in ["", "ForAllValues:", "ForAnyValue:"] {
                let name = format!("{qualifier}{base}");
                assert_eq!(Operator::parse(&name).unwrap().to_string(), name);
                let name = format!("{name}IfExists");
                assert_eq!(Operator::parse(&name).map(|operator| operator.to_string()), (*base != Base::Null).then_some(name));
            }
        }
        for bad in ["", "stringequals", "ForAll:StringEquals", "IfExists", "ForAnyValue:", "StringEqualsIfExistsIfExists"] {
            assert_eq!(Operator::parse(bad), None, "{bad}");
        }
    }
}
