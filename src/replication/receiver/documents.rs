//! `/region/documents`: verify, open, recompute, seal, propose.
//!
//! What can be wrong with a batch refuses it whole (shape, route, signatures, secrets that do not open); what can be wrong
//! with one document refuses that document alone. Whether a document is taken is decided in `apply`.

use std::collections::HashSet;

use axum::body::Body;
use bytes::Bytes;
use claviger_consensus::Region;
use claviger_crypto::wrap::{BatchRoute, WrappedBatch, open_batch};
use claviger_crypto::{SecretBytes, material_id};
use claviger_protocol::{DOCUMENT_SCHEMA, SharedDoc};
use claviger_state::{CommandBody, DocumentRefusal, ReceiveDocuments, ReceivedDocument, Response, SealedMaterial, read};
use claviger_tls::Peer;
use claviger_types::{KeyId, encoding};

use super::{Admitted, ReceiveError, Receiver};
use crate::ReplicationError;
use crate::config::MESSAGE_KEYS_MAX;
use crate::core::Core;
use crate::message::{self, Parcel, RegionLife};
use crate::numbers::{count_documents_received, document_result};
use crate::sealing::crypto_keys;

type DocumentResult = Result<(), DocumentRefusal>;

impl<R: Region> Receiver<R> {
    pub(super) async fn documents(&self, source: &Peer, body: Body) -> Result<Vec<DocumentResult>, ReceiveError> {
        let (admitted, _turn, body) = self.take(source, body).await?;
        let from = RegionLife::from(&admitted.peer).author();
        let region = from.region.clone();
        let opened = self.core.blocking(move |core| open(core, &admitted, &body)).await??;

        // Those that go on, in their order; the others have their answer.
        let (mut results, mut documents) = (Vec::with_capacity(opened.len()), Vec::with_capacity(opened.len()));
        for document in opened {
            results.push(document.map(|document| documents.push(document)));
        }
        if !documents.is_empty() {
            let proposed = documents.len();
            let command = CommandBody::ReceiveDocuments(ReceiveDocuments { from, documents });
            let answers = match self.core.propose(command).await? {
                Response::Documents(answers) if answers.len() == proposed => answers,
                _ => return Err(ReplicationError::UnexpectedAnswer.into()),
            };
            results.iter_mut().filter(|result| result.is_ok()).zip(answers).for_each(|(result, answer)| *result = answer);
        }
        results.iter().for_each(|result| count_documents_received(&region, document_result(*result)));
        Ok(results)
    }
}

/// Opens a batch: one document, ready to be proposed, or its refusal for each parcel.
fn open<R: Region>(
    core: &Core<R>,
    admitted: &Admitted<R::Tables>,
    body: &Bytes,
) -> Result<Vec<Result<ReceivedDocument, DocumentRefusal>>, ReceiveError> {
    let Admitted { me, peer, tables } = admitted;
    let batch: WrappedBatch = message::decode(body).map_err(ReceiveError::Decode)?;
    let (key_version, own_keys) = core.sealing.own_keys(tables)?;
    let expected = BatchRoute {
        source_region: peer.region.clone(),
        source_cluster: peer.cluster_id,
        source_incarnation: peer.incarnation,
        target_region: me.region.clone(),
        target_cluster: me.cluster_id,
        target_incarnation: me.incarnation,
        recipient_key_version: key_version,
    };
    let peer_keys = crypto_keys(&peer.keys).map_err(ReplicationError::from)?;
    let secrets = open_batch(&own_keys, &peer_keys, &expected, &batch).map_err(ReceiveError::Batch)?;

    let parcels: Vec<Parcel> = message::decode(&batch.documents).map_err(ReceiveError::Decode)?;
    if parcels.len() > MESSAGE_KEYS_MAX {
        return Err(ReceiveError::Malformed("too many documents"));
    }
    let promised: usize = parcels.iter().map(|parcel| usize::from(parcel.id_secret) + parcel.materials.len()).sum();
    if promised != secrets.len() {
        return Err(ReceiveError::Malformed("the documents promise another number of secrets"));
    }
    let mut secrets = secrets.into_iter();
    let mut seen = HashSet::with_capacity(parcels.len());
    let mut opened = Vec::with_capacity(parcels.len());
    for parcel in &parcels {
        let id_secret = if parcel.id_secret { secrets.next() } else { None };
        let materials: Vec<SecretBytes> = secrets.by_ref().take(parcel.materials.len()).collect();
        let document: Result<SharedDoc, _> = encoding::decode(DOCUMENT_SCHEMA, &parcel.document);
        let Ok(document) = document else {
            opened.push(Err(DocumentRefusal::Invalid));
            continue;
        };
        // One of each key: two versions in one command would leave the order to chance.
        opened.push(if seen.insert(document.key_id) {
            unpack(core, tables, document, id_secret, parcel, &materials).unwrap_or_else(|error| {
                tracing::error!(%error, peer = %peer.region, "a document cannot be taken: secrets do not open or seal here");
                Err(DocumentRefusal::Invalid)
            })
        } else {
            Err(DocumentRefusal::Invalid)
        });
    }
    Ok(opened)
}

/// Recomputes the id of every material that came with `document` and seals it for this region.
fn unpack<R: Region>(
    core: &Core<R>,
    tables: &R::Tables,
    document: SharedDoc,
    sent_id_secret: Option<SecretBytes>,
    parcel: &Parcel,
    materials: &[SecretBytes],
) -> Result<Result<ReceivedDocument, DocumentRefusal>, ReplicationError> {
    let key_id: KeyId = document.key_id;
    // A key that is known here keeps the id secret under which its materials were named.
    let (id_secret, new_id_secret) = match (read::key(tables, &key_id)?, sent_id_secret) {
        (Some(_), _) if materials.is_empty() => (None, None),
        (Some(held), _) => (Some(core.sealing.open_id_secret(&key_id, &held.id_secret)?), None),
        (None, Some(sent)) => {
            let Ok(sent) = sent.into_secret32() else { return Ok(Err(DocumentRefusal::Invalid)) };
            let sealed = core.sealing.seal_id_secret(&key_id, &sent)?;
            (Some(sent), Some(sealed))
        }
        (None, None) => (None, None),
    };
    let mut received = Vec::with_capacity(materials.len());
    // Without an id secret nothing can be recomputed, so nothing is kept: `apply` then finds what is missing.
    if let Some(id_secret) = id_secret {
        for (id, material) in parcel.materials.iter().zip(materials) {
            let computed = material_id::of_canonical(&id_secret, key_id, material)?;
            if computed != *id || !document.names_material(id) {
                return Ok(Err(DocumentRefusal::Invalid));
            }
            received.push(SealedMaterial { id: *id, sealed: core.sealing.seal_material(&key_id, id, material)? });
        }
    }
    Ok(Ok(ReceivedDocument { document, id_secret: new_id_secret, materials: received }))
}
