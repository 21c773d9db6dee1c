//! Aliases: names of an account's keys in this region. They are never shipped to another one.
//!
//! An alias is part of what an authorisation depends on, so every change of one gives its key, or both its keys, a new
//! revision (DESIGN.md section 4).

use claviger_protocol::SharedDoc;
use claviger_types::limits::ALIASES_PER_KEY_MAX;
use claviger_types::{AliasId, AliasName, AliasRow, KeyId};

use super::{Step, granted};
use crate::read::{self, alias_by_key_row};
use crate::{
    AliasRecord, CreateAlias, DeleteAlias, Expected, KeyRecord, Outcome, Refusal, RegionRecord, Response, StateError, Table, UpdateAlias,
};

impl Step<'_> {
    pub(super) fn create_alias(&mut self, me: &RegionRecord, create: &CreateAlias) -> Result<Outcome, StateError> {
        let key = granted!(self.relabelled(me, &create.key)?);
        let alias = alias_of(&key.document, &create.name);
        if read::alias(&self.tables, &AliasRow::of(&alias))?.is_some() {
            return Ok(Err(Refusal::AlreadyExists));
        }
        if !self.has_room_for_an_alias(&key.document.key_id)? {
            return Ok(Err(Refusal::TooManyAliases));
        }
        let record = AliasRecord { key_id: key.document.key_id, created_at: self.now, updated_at: self.now, revision: self.index };
        self.put_alias(alias, &record)?;
        self.put_key(key)?;
        Ok(Ok(Response::Done))
    }

    /// The key that is left may be in any state.
    pub(super) fn update_alias(&mut self, me: &RegionRecord, update: &UpdateAlias) -> Result<Outcome, StateError> {
        let from = granted!(self.holder(&update.from)?);
        let to = granted!(self.relabelled(me, &update.to)?);
        let alias = alias_of(&from.document, &update.name);
        let Some(held) = read::alias(&self.tables, &AliasRow::of(&alias))? else { return Ok(Err(Refusal::AliasNotFound)) };
        let (from_id, to_id) = (from.document.key_id, to.document.key_id);
        if held.key_id != from_id {
            return Ok(Err(Refusal::StaleAuthorisation));
        }
        if to.document.account != alias.account {
            return Ok(Err(Refusal::NotFound));
        }
        if !may_take_over(&from.document, &to.document) {
            return Ok(Err(Refusal::AliasOfAnotherKind));
        }
        if to_id != from_id {
            if !self.has_room_for_an_alias(&to_id)? {
                return Ok(Err(Refusal::TooManyAliases));
            }
            self.tables.delete(Table::AliasesByKey, &alias_by_key_row(&from_id, &alias.name));
            self.put_key(from)?;
        }
        self.put_alias(alias, &AliasRecord { key_id: to_id, updated_at: self.now, revision: self.index, ..held })?;
        self.put_key(to)?;
        Ok(Ok(Response::Done))
    }

    pub(super) fn delete_alias(&mut self, delete: &DeleteAlias) -> Result<Outcome, StateError> {
        let key = granted!(self.holder(&delete.key)?);
        let alias = alias_of(&key.document, &delete.name);
        let Some(held) = read::alias(&self.tables, &AliasRow::of(&alias))? else { return Ok(Err(Refusal::AliasNotFound)) };
        if held.key_id != key.document.key_id {
            return Ok(Err(Refusal::StaleAuthorisation));
        }
        self.tables.delete(Table::Aliases, AliasRow::of(&alias).as_bytes());
        self.tables.delete(Table::AliasesByKey, &alias_by_key_row(&held.key_id, &alias.name));
        self.effects.aliases.push(alias);
        self.put_key(key)?;
        Ok(Ok(Response::Done))
    }

    /// The key that had the alias when the authorisation read it; had it gone since, its aliases would have gone with it.
    fn holder(&self, expected: &Expected) -> Result<Result<KeyRecord, Refusal>, StateError> {
        Ok(self.authorised(expected)?.map_err(|refusal| match refusal {
            Refusal::NotFound => Refusal::AliasNotFound,
            other => other,
        }))
    }

    fn put_alias(&mut self, alias: AliasId, record: &AliasRecord) -> Result<(), StateError> {
        self.tables.put(AliasRow::of(&alias).as_bytes(), record)?;
        self.tables.put_bytes(Table::AliasesByKey, &alias_by_key_row(&record.key_id, &alias.name), Vec::new());
        self.effects.aliases.push(alias);
        Ok(())
    }

    fn has_room_for_an_alias(&self, key_id: &KeyId) -> Result<bool, StateError> {
        Ok(read::alias_names_of(&self.tables, key_id, None, ALIASES_PER_KEY_MAX)?.len() < ALIASES_PER_KEY_MAX)
    }
}

/// An alias belongs to the account of its key.
fn alias_of(document: &SharedDoc, name: &AliasName) -> AliasId {
    AliasId { account: document.account, name: name.clone() }
}

/// What uses the alias must go on working: the same class of key, and the same usage (rules page, section 12).
fn may_take_over(old: &SharedDoc, new: &SharedDoc) -> bool {
    (old.spec.class(), old.usage) == (new.spec.class(), new.usage)
}
