//! What a rotation does to the store: objects take other names, and a root leaves. Files are written by `save`.

use super::{Store, StoreError};
use crate::content::ObjectId;
use crate::pki::object::State;
use crate::pki::rotation::Rotation;

impl Store {
    /// What the operator asked for, in a root's record.
    pub(in crate::pki) fn set_rotation(
        &mut self,
        id: &ObjectId,
        rotation: Option<Rotation>,
    ) -> Result<(), StoreError> {
        let object = self.objects.get_mut(id).ok_or_else(|| StoreError::NoSuchObject { id: id.clone() })?;
        if object.record.rotation != rotation {
            object.record.rotation = rotation;
            if object.state == State::Saved {
                object.state = State::Marked;
            }
        }
        Ok(())
    }

    /// Why an object was made, in other words than those that made it.
    pub(in crate::pki) fn set_reason(&mut self, id: &ObjectId, reason: &str) {
        if let Some(object) = self.objects.get_mut(id) {
            object.record.reason = reason.to_owned();
        }
    }

    /// An object takes another's name and place. Where it is to be saved, its secret was read before.
    pub(in crate::pki) fn rename(&mut self, from: &ObjectId, to: &ObjectId) {
        let Some(mut object) = self.objects.remove(from) else { return };
        self.forget(from);
        object.record.id = to.as_str().to_owned();
        object.record.rotation = None;
        object.state = State::New;
        self.removed.retain(|id| id != to);
        self.objects.insert(to.clone(), object);
    }

    /// Takes an object out of the store that nothing depends on.
    pub fn take_out(&mut self, id: &ObjectId) {
        if self.objects.remove(id).is_some() {
            self.forget(id);
        }
    }

    /// Has the next save remove an object's folder.
    fn forget(&mut self, id: &ObjectId) {
        if self.object_dir(id).is_dir() && !self.removed.contains(id) {
            self.removed.push(id.clone());
        }
    }
}
