//! Grants and key policies: who may use a key in this region. They are never shipped to another one.
//!
//! A grant gives its key no new revision: what others were authorised to do does not depend on it, and who relied on it
//! says so in [`crate::Authorised`]. Its key's cached record is void all the same.

use claviger_types::limits::{
    ENCRYPTION_CONTEXT_BYTES_MAX, GRANT_CONSTRAINT_PAIRS_MAX, GRANT_CONSTRAINT_VALUE_CHARS_MAX, GRANT_NAME_CHARS_MAX, GRANTS_PER_KEY_MAX,
    OPERATOR_TEXT_BYTES_MAX,
};
use claviger_types::{GrantConstraint, GrantId, KeyId, encoding};
use sha2::{Digest, Sha256};

use super::names::{is_well_named, key_policy};
use super::{Step, granted};
use crate::read::{self, contents_row, counter, grant_row, grantee_prefix, principal_prefix};
use crate::{
    CreateGrant, Expected, GrantRecord, Outcome, PutKeyPolicy, Record, Refusal, RegionRecord, ResetKeyPolicy, Response, StateClass,
    StateError, Table,
};

impl Step<'_> {
    /// In every state of the key.
    pub(super) fn put_key_policy(&mut self, put: &PutKeyPolicy) -> Result<Outcome, StateError> {
        granted!(key_policy(put.policy.as_ref()));
        let key = granted!(self.authorised(&put.key)?);
        let mut changed = key.clone();
        changed.regional.policy.clone_from(&put.policy);
        self.put_if_changed(&key, changed)
    }

    /// In every state of the key, and whatever was authorised meanwhile: an operator decides. The second time nothing is changed.
    pub(super) fn reset_key_policy(&mut self, reset: &ResetKeyPolicy) -> Result<Outcome, StateError> {
        if reset.reason.len() > OPERATOR_TEXT_BYTES_MAX || reset.by.len() > OPERATOR_TEXT_BYTES_MAX {
            return Ok(Err(Refusal::BadText(format!("its texts have at most {OPERATOR_TEXT_BYTES_MAX} bytes"))));
        }
        let Some(mut key) = read::key(&self.tables, &reset.key_id)? else { return Ok(Err(Refusal::NotFound)) };
        let replaced = key.regional.policy.take();
        if replaced.is_some() {
            self.put_key(key)?;
        }
        Ok(Ok(Response::PolicyReset { replaced }))
    }

    pub(super) fn create_grant(&mut self, me: &RegionRecord, create: &CreateGrant) -> Result<Outcome, StateError> {
        granted!(acceptable(create));
        granted!(self.in_state(me, &create.key, StateClass::CreateGrant)?);
        let key_id = create.key.key_id;
        let record = self.record_of(create);
        if let Some(grant_id) = self.same_named_grant(&key_id, &record)? {
            return Ok(Ok(Response::Grant { grant_id }));
        }
        if read::grant(&self.tables, &key_id, &create.grant_id)?.is_some() {
            return Ok(Err(Refusal::AlreadyExists));
        }
        if read::grant_count(&self.tables, &key_id)? >= GRANTS_PER_KEY_MAX {
            return Ok(Err(Refusal::TooManyGrants));
        }
        self.tables.put(&grant_row(&key_id, &create.grant_id), &record)?;
        for (table, row, value) in index_rows(&key_id, &create.grant_id, &record)? {
            self.tables.put_bytes(table, &row, value);
        }
        self.add_to_counter(&counter::grants_of(&key_id), 1)?;
        self.effects.keys.push(key_id);
        Ok(Ok(Response::Grant { grant_id: create.grant_id }))
    }

    /// RetireGrant and RevokeGrant, in every state of the key.
    pub(super) fn end_grant(&mut self, key: &Expected, grant_id: &GrantId) -> Result<Outcome, StateError> {
        granted!(self.authorised(key)?);
        let Some(record) = read::grant(&self.tables, &key.key_id, grant_id)? else { return Ok(Err(Refusal::GrantNotFound)) };
        self.delete_grant(&key.key_id, grant_id, &record)?;
        self.effects.keys.push(key.key_id);
        Ok(Ok(Response::Done))
    }

    pub(super) fn delete_grant(&mut self, key_id: &KeyId, grant_id: &GrantId, record: &GrantRecord) -> Result<(), StateError> {
        self.tables.delete(Table::Grants, &grant_row(key_id, grant_id));
        for (table, row, _) in index_rows(key_id, grant_id, record)? {
            self.tables.delete(table, &row);
        }
        self.add_to_counter(&counter::grants_of(key_id), -1)
    }

    fn record_of(&self, create: &CreateGrant) -> GrantRecord {
        GrantRecord {
            grantee: create.grantee.clone(),
            retiring: create.retiring.clone(),
            operations: create.operations.clone(),
            constraint: create.constraint.clone(),
            name: create.name.clone(),
            issuing_account: create.issuing_account,
            created_at: self.now,
            revision: self.index,
        }
    }

    /// A grant of the same name and contents.
    fn same_named_grant(&self, key_id: &KeyId, record: &GrantRecord) -> Result<Option<GrantId>, StateError> {
        if record.name.is_none() {
            return Ok(None);
        }
        read::grant_like(&self.tables, key_id, &fingerprint(record)?)
    }
}

/// A row, and what it holds.
pub(super) type IndexRow = (Table, Vec<u8>, Vec<u8>);

/// Every row that a grant has in an index.
pub(super) fn index_rows(key_id: &KeyId, grant_id: &GrantId, record: &GrantRecord) -> Result<Vec<IndexRow>, StateError> {
    let by_grantee = [grantee_prefix(key_id, &record.grantee).as_slice(), grant_id.as_bytes()].concat();
    let mut rows = vec![(Table::GrantsByGrantee, by_grantee, encoded(record, Table::GrantsByGrantee)?)];
    if let Some(retiring) = &record.retiring {
        rows.push((Table::GrantsByRetiring, [principal_prefix(retiring), grant_row(key_id, grant_id)].concat(), Vec::new()));
    }
    if record.name.is_some() {
        rows.push((Table::GrantsByContents, contents_row(key_id, &fingerprint(record)?), grant_id.as_bytes().to_vec()));
    }
    Ok(rows)
}

/// All but when it was made.
fn contents(record: &GrantRecord) -> impl serde::Serialize + '_ {
    (&record.name, &record.grantee, &record.retiring, &record.operations, &record.constraint, record.issuing_account)
}

/// SHA-256 of a grant's contents: stands for them, since nobody finds two that share it. It is in rows, so it never changes.
fn fingerprint(record: &GrantRecord) -> Result<[u8; 32], StateError> {
    Ok(Sha256::digest(encoded(&contents(record), Table::GrantsByContents)?).into())
}

fn encoded(value: &impl serde::Serialize, table: Table) -> Result<Vec<u8>, StateError> {
    encoding::encode(GrantRecord::SCHEMA, value).map_err(|source| StateError::Encode { table, source })
}

/// Whether every part of the grant is within its limits (rules page, section 9).
fn acceptable(create: &CreateGrant) -> Result<(), Refusal> {
    let refuse = |reason: &str| Err(Refusal::BadGrant(reason.to_owned()));
    if create.operations.is_empty() {
        return refuse("it allows no operation");
    }
    if !is_well_named(&create.grantee) || !create.retiring.as_ref().is_none_or(is_well_named) {
        return refuse("a principal has a name that IAM does not allow");
    }
    let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || b":/_-".contains(&b);
    match &create.name {
        Some(name) if !(1..=GRANT_NAME_CHARS_MAX).contains(&name.len()) || !name.bytes().all(is_name_byte) => {
            return refuse("its name has a length or a character that AWS does not allow");
        }
        _ => {}
    }
    if create.constraint.as_ref().is_some_and(|constraint| !is_small(constraint)) {
        return refuse("its constraint is too large");
    }
    Ok(())
}

fn is_small(constraint: &GrantConstraint) -> bool {
    let pairs = constraint.pairs();
    let bytes: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
    pairs.len() <= GRANT_CONSTRAINT_PAIRS_MAX
        && bytes <= ENCRYPTION_CONTEXT_BYTES_MAX
        && pairs.values().all(|value| value.chars().count() <= GRANT_CONSTRAINT_VALUE_CHARS_MAX)
}
