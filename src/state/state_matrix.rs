//! In which states of a key which operations may be done: AWS's table (rules page, section 4), once, for the service, for `apply`
//! and for the tests.
//!
//! What a key's origin or spec rules out is not in it: that is UnsupportedOperationException or InvalidKeyUsageException in every state.

use claviger_types::KeyState;

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $allowed:expr),+ $(,)?) => {
        /// Operations that the state of a key allows or refuses alike.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum StateClass { $($(#[$doc])* $name),+ }

        impl StateClass {
            /// All of them, in the order of the variants.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The states of a key in which they may be done.
            pub const fn states(self) -> &'static [KeyState] {
                use KeyState::{Creating, Disabled, Enabled, PendingDeletion, PendingImport, PendingReplicaDeletion, Unavailable, Updating};
                match self { $(Self::$name => $allowed),+ }
            }
        }
    };
}

classes! {
    /// What reads, and what changes who may use the key: PutKeyPolicy, RetireGrant, RevokeGrant, DeleteAlias, DescribeKey, the lists,
    /// GetKeyPolicy, GetKeyRotationStatus, GetKeyLastUsage.
    Always = &[Creating, Enabled, Disabled, PendingDeletion, PendingReplicaDeletion, PendingImport, Unavailable, Updating],
    /// All cryptography, and GetPublicKey.
    Cryptography = &[Enabled, Updating],
    /// CreateGrant.
    CreateGrant = &[Enabled, Unavailable, Updating],
    /// CreateAlias, UpdateAlias for the key that gets the alias, TagResource, UntagResource, UpdateKeyDescription.
    Label = &[Creating, Enabled, Disabled, PendingImport, Unavailable, Updating],
    /// EnableKey and DisableKey.
    Switch = &[Enabled, Disabled, Unavailable],
    /// ScheduleKeyDeletion.
    ScheduleDeletion = &[Creating, Enabled, Disabled, PendingImport, Unavailable],
    /// CancelKeyDeletion.
    CancelDeletion = &[PendingDeletion, PendingReplicaDeletion],
    /// EnableKeyRotation and DisableKeyRotation.
    SetRotation = &[Enabled, Updating],
    /// RotateKeyOnDemand.
    RotateOnDemand = &[Enabled],
    /// GetParametersForImport.
    ImportParameters = &[Enabled, Disabled, PendingImport],
    /// ImportKeyMaterial.
    Import = &[Enabled, Disabled, PendingImport, Updating],
    /// DeleteImportedKeyMaterial.
    DeleteImport = &[Enabled, Disabled, PendingDeletion, PendingReplicaDeletion, PendingImport],
    /// ReplicateKey and UpdatePrimaryRegion.
    Regions = &[Enabled],
}

impl StateClass {
    /// Whether they may be done to a key in this state.
    pub fn allows(self, state: KeyState) -> bool {
        self.states().contains(&state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Section 4 of the rules page, column by column.
    #[test]
    fn the_table_of_the_rules_page() {
        let allowed = |state| {
            StateClass::ALL.iter().filter(|class| class.allows(state)).map(|class| format!("{class:?}")).collect::<Vec<_>>().join(" ")
        };
        let rows = [
            (KeyState::Creating, "Always Label ScheduleDeletion"),
            (
                KeyState::Enabled,
                "Always Cryptography CreateGrant Label Switch ScheduleDeletion SetRotation RotateOnDemand ImportParameters Import DeleteImport Regions",
            ),
            (KeyState::Disabled, "Always Label Switch ScheduleDeletion ImportParameters Import DeleteImport"),
            (KeyState::Unavailable, "Always CreateGrant Label Switch ScheduleDeletion"),
            (KeyState::PendingDeletion, "Always CancelDeletion DeleteImport"),
            (KeyState::PendingReplicaDeletion, "Always CancelDeletion DeleteImport"),
            (KeyState::PendingImport, "Always Label ScheduleDeletion ImportParameters Import DeleteImport"),
            (KeyState::Updating, "Always Cryptography CreateGrant Label SetRotation Import"),
        ];
        assert_eq!(rows.len(), KeyState::ALL.len());
        for (state, classes) in rows {
            assert_eq!(allowed(state), classes, "{state}");
        }
    }
}
