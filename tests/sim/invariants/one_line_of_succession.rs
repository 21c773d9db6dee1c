//! An epoch has one author; a region that has seen or promised a greater epoch never commits under a smaller one; all
//! converge on the greatest.
//!
//! One author writes one document a version: the same version is the same document wherever it is.

use std::collections::BTreeMap;

use claviger_state::protocol::{Author, Epoch, SharedDoc, Version};
use claviger_types::{KeyId, Region};

use super::{Commit, Held, Violation};

pub(crate) const NAME: &str = "one_line_of_succession";

#[derive(Default)]
pub(crate) struct Watcher {
    authors: BTreeMap<(KeyId, u64, u64), Author>,
    documents: BTreeMap<(KeyId, Version), SharedDoc>,
    greatest: BTreeMap<(Region, KeyId), Epoch>,
}

impl Watcher {
    pub(super) fn committed(&mut self, commit: &Commit<'_>) -> Held {
        let (key, document) = (commit.key_id(), &commit.record.document);
        let epoch = &document.version.epoch;
        let author = self.authors.entry((key, epoch.promotions, epoch.handoffs)).or_insert_with(|| epoch.author.clone());
        if *author != epoch.author {
            return Err(Violation::new(
                NAME,
                format!("epoch {}.{} has two authors, {author:?} and {:?}", epoch.promotions, epoch.handoffs, epoch.author),
            ));
        }
        let first = self.documents.entry((key, document.version.clone())).or_insert_with(|| document.clone());
        if first != document {
            return Err(Violation::new(NAME, format!("{} has another document of version {}", commit.node, document.version)));
        }
        let greatest = self.greatest.entry((commit.region().clone(), key)).or_insert_with(|| epoch.clone());
        if commit.record.greatest_epoch > *greatest {
            *greatest = commit.record.greatest_epoch.clone();
        }
        if *document.primary() == *commit.region() && epoch < greatest {
            return Err(Violation::new(NAME, format!("{} commits in an epoch below one that its region knew", commit.node)));
        }
        Ok(())
    }
}
