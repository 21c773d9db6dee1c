//! Tags and description: a key's labels in this region. They are never shipped to another one.

use claviger_types::limits::TAGS_PER_KEY_MAX;

use super::{Step, granted};
use crate::{
    Expected, KeyRecord, Outcome, Refusal, RegionRecord, Response, StateClass, StateError, TagResource, UntagResource, UpdateKeyDescription,
};

impl Step<'_> {
    pub(super) fn tag_resource(&mut self, me: &RegionRecord, tag: &TagResource) -> Result<Outcome, StateError> {
        let key = granted!(self.relabelled(me, &tag.key)?);
        let mut changed = key.clone();
        changed.regional.tags.extend(tag.tags.clone());
        if changed.regional.tags.len() > TAGS_PER_KEY_MAX {
            return Ok(Err(Refusal::TooManyTags));
        }
        self.put_if_changed(&key, changed)
    }

    /// Tags that the key has not are no error.
    pub(super) fn untag_resource(&mut self, me: &RegionRecord, untag: &UntagResource) -> Result<Outcome, StateError> {
        let key = granted!(self.relabelled(me, &untag.key)?);
        let mut changed = key.clone();
        changed.regional.tags.retain(|tag_key, _| !untag.tag_keys.contains(tag_key));
        self.put_if_changed(&key, changed)
    }

    pub(super) fn update_key_description(&mut self, me: &RegionRecord, update: &UpdateKeyDescription) -> Result<Outcome, StateError> {
        let key = granted!(self.relabelled(me, &update.key)?);
        let mut changed = key.clone();
        changed.regional.description.clone_from(&update.description);
        self.put_if_changed(&key, changed)
    }

    /// The key that an authorisation read, if its state lets its aliases, tags and description change.
    pub(super) fn relabelled(&self, me: &RegionRecord, expected: &Expected) -> Result<Result<KeyRecord, Refusal>, StateError> {
        self.in_state(me, expected, StateClass::Label)
    }

    /// What changes nothing gives no new revision, so it makes nobody authorise again.
    pub(super) fn put_if_changed(&mut self, held: &KeyRecord, changed: KeyRecord) -> Result<Outcome, StateError> {
        if *held != changed {
            self.put_key(changed)?;
        }
        Ok(Ok(Response::Done))
    }
}
