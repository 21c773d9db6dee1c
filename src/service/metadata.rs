//! From a key's records to the KeyMetadata that the API shows.

use claviger_consensus as consensus;
use claviger_shapes::{KeyMetadata, MultiRegionConfiguration};
use claviger_state::Regional;
use claviger_state::protocol::{MemberStatus, SharedDoc};
use claviger_types::{KeyArn, KeySpec, KeyState, Origin, Region, Timestamp};

use crate::Service;

impl<R: consensus::Region> Service<R> {
    /// A key as this region shows it.
    pub(crate) fn metadata(&self, document: &SharedDoc, regional: &Regional) -> KeyMetadata {
        self.metadata_in(&self.config.region, document, regional)
    }

    /// A key as `region`, of which only `regional` is known, shows it.
    pub(crate) fn metadata_in(&self, region: &Region, document: &SharedDoc, regional: &Regional) -> KeyMetadata {
        let key_state = regional.state(document, region, self.config.incarnation);
        KeyMetadata {
            arn: KeyArn { region: region.clone(), ..self.arn(document.account, document.key_id) },
            creation_date: regional.created_at,
            description: regional.description.clone(),
            key_spec: document.spec,
            key_usage: document.usage,
            origin: document.origin,
            key_state,
            multi_region: document.key_id.is_multi_region().then(|| related_keys(document)),
            current_key_material_id: document
                .current_material()
                .filter(|_| document.spec == KeySpec::SymmetricDefault && key_state != KeyState::Creating)
                .map(|material| material.id),
            deletion_date: regional.deletion.map(|deletion| deletion.at),
            expiry: (document.origin == Origin::External && key_state != KeyState::PendingImport && document.current_material().is_some())
                .then(|| earliest_expiry(document, regional)),
        }
    }
}

/// Of the materials that the key needs.
fn earliest_expiry(document: &SharedDoc, regional: &Regional) -> Option<Timestamp> {
    let imports = document.permanent_materials().filter_map(|material| regional.imports.get(&material.id));
    imports.filter_map(|import| import.expires_at).min()
}

/// Members that have destroyed the key stay in the document and are not shown.
fn related_keys(document: &SharedDoc) -> MultiRegionConfiguration {
    let present = document.members.iter().filter(|(_, member)| member.status != MemberStatus::Gone);
    let replicas = present.map(|(region, _)| region).filter(|&region| region != document.primary()).cloned().collect();
    MultiRegionConfiguration { primary: document.primary().clone(), replicas }
}
