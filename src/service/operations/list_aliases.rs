//! ListAliases: the aliases of the caller's account, or of one of its keys, by name, one page at a time.

use claviger_consensus as consensus;
use claviger_policy::{Action, Denial};
use claviger_shapes::{AliasListEntry, ApiError, ListAliasesRequest, ListAliasesResponse, Operation};
use claviger_state::{AliasRecord, StateError, read};
use claviger_types::{AccountId, AliasName, AliasRow, KeyId};

use crate::access::Ask;
use crate::error::Fault;
use crate::marker::{Listing, invalid_marker};
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn list_aliases(&self, context: &Context, request: &ListAliasesRequest) -> Result<ListAliasesResponse, ApiError> {
        // By the caller's own policies, for one key too (rules page, section 10, "IAM-only actions").
        self.allowed_here(context, &Ask::new(Action::ListAliases))?;
        let account = context.principal.account();
        let key_id = match &request.key {
            Some(key) => {
                let arn = self.named_key(context, key)?;
                if arn.account != account {
                    return Err(self.denied(context, &arn, Action::ListAliases, Denial::OtherAccount));
                }
                self.record(&arn)?;
                Some(arn.key_id)
            }
            None => None,
        };
        let filter = key_id.map(|key_id| key_id.to_row());
        let filter = filter.as_ref().map_or(&[][..], |row| row.as_slice());
        let listing = Listing { barrier: &self.barrier, operation: Operation::ListAliases, account, filter };
        let after = request.paging.marker.as_ref().map(|marker| name_in(&listing, marker)).transpose()?;
        let limit = request.paging.limit;
        // One more than asked for tells whether another page follows.
        let mut found = self.aliases(account, key_id, after.as_ref(), limit.saturating_add(1)).map_err(Fault::from)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next_marker = last.map(|(name, _)| listing.marker(name.as_str().as_bytes())).transpose()?;
        let entries = found.into_iter().filter_map(|(name, record)| {
            record.map(|record| AliasListEntry {
                arn: self.alias_arn(account, &name),
                target_key_id: record.key_id,
                creation_date: record.created_at,
                last_updated_date: record.updated_at,
            })
        });
        Ok(ListAliasesResponse { aliases: entries.collect(), next_marker })
    }

    /// A key's aliases are listed by one table and described by another; what left the key between the two has no record.
    fn aliases(
        &self,
        account: AccountId,
        key_id: Option<KeyId>,
        after: Option<&AliasName>,
        most: usize,
    ) -> Result<Vec<(AliasName, Option<AliasRecord>)>, StateError> {
        let tables = self.region.tables();
        let Some(key_id) = key_id else {
            let aliases = read::aliases_of(&tables, account, after, most)?;
            return Ok(aliases.into_iter().map(|(name, record)| (name, Some(record))).collect());
        };
        let names = read::alias_names_of(&tables, &key_id, after, most)?;
        let described = names.into_iter().map(|name| {
            let record = read::alias(&tables, &AliasRow::new(account, &name))?;
            Ok((name, record.filter(|record| record.key_id == key_id)))
        });
        described.collect()
    }
}

fn name_in(listing: &Listing<'_>, marker: &str) -> Result<AliasName, ApiError> {
    let name = String::from_utf8(listing.open(marker)?).map_err(|_| invalid_marker())?;
    name.parse().map_err(|_| invalid_marker())
}
