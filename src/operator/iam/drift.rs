//! How a region's identities differ from those that they should be like: another region's, or a file's.

use std::collections::BTreeSet;

use claviger_shapes::admin::iam::Denial;

use super::{AccountPlan, Held, plan};

/// The difference of one region to what it is compared with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// What would make its accounts the same.
    pub plans: Vec<AccountPlan>,
    /// Principals that are denied there and not here.
    pub denials_missing: Vec<String>,
    /// Principals that are denied here and not there.
    pub denials_excess: Vec<String>,
}

impl Drift {
    /// Whether there is no difference.
    pub fn is_none(&self) -> bool {
        self.plans.is_empty() && self.denials_missing.is_empty() && self.denials_excess.is_empty()
    }
}

/// The difference of `region` to `reference`. Revisions are each region's own, and why a principal is denied may differ.
pub fn drift(reference: &Held, region: &Held) -> Drift {
    let accounts: BTreeSet<_> = reference.accounts.keys().chain(region.accounts.keys()).collect();
    let plans = accounts.into_iter().map(|account| {
        let present = region.accounts.get(account).cloned().unwrap_or_default();
        plan(*account, present.revision, &present.identities, reference.accounts.get(account).map(|wanted| &wanted.identities))
    });
    let of = |denials: &[Denial]| denials.iter().map(|denial| denial.principal.clone()).collect::<BTreeSet<_>>();
    let (there, here) = (of(&reference.denials), of(&region.denials));
    Drift {
        plans: plans.filter(|plan: &AccountPlan| !plan.is_empty()).collect(),
        denials_missing: there.difference(&here).cloned().collect(),
        denials_excess: here.difference(&there).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use claviger_shapes::admin::iam::{Identities, Identity, IdentityKind, IdentityName, User};

    use super::*;
    use crate::iam::HeldAccount;

    fn held(revision: u64, accounts: &[(&str, &[&str])], denied: &[&str]) -> Held {
        let user = |name: &&str| (IdentityName::new(IdentityKind::User, *name), Identity::User(User::default()));
        let account = |(account, users): &(&str, &[&str])| {
            let identities: Identities = users.iter().map(user).collect();
            (account.parse().unwrap(), HeldAccount { revision: Some(revision), identities })
        };
        let denial = |principal: &&str| {
            let (by, reason) = (String::new(), format!("of {revision}"));
            Denial { principal: (*principal).to_owned(), denied_at_millis: revision, reason, by }
        };
        Held { accounts: accounts.iter().map(account).collect(), denials: denied.iter().map(denial).collect() }
    }

    #[test]
    fn regions_that_hold_the_same_do_not_differ_whatever_their_revisions() {
        let of = |revision| held(revision, &[("111122223333", &["a", "b"]), ("444455556666", &[])], &["p"]);
        assert!(drift(&of(1), &of(2)).is_none());
    }

    #[test]
    fn every_difference_is_found() {
        let reference = held(1, &[("111122223333", &["a", "b"]), ("222222222222", &[])], &["p", "q"]);
        let region = held(2, &[("111122223333", &["b", "c"]), ("333333333333", &["d"])], &["q", "r"]);
        let found = drift(&reference, &region);
        let plans: Vec<(String, usize)> = found.plans.iter().map(|plan| (plan.account.to_string(), plan.len())).collect();
        let expected = [("111122223333", 2), ("222222222222", 1), ("333333333333", 2)].map(|(account, len)| (account.to_owned(), len));
        assert_eq!(plans, expected);
        assert!(found.plans[1].creates_account && found.plans[2].deletes_account);
        assert_eq!((found.denials_missing, found.denials_excess), (vec!["p".to_owned()], vec!["r".to_owned()]));
    }
}
