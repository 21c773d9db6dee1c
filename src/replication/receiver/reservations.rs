//! `/region/reserve` and `/region/reservation`: the two halves of rule 10 that peers ask for.

use axum::body::Body;
use claviger_consensus::Region;
use claviger_protocol::MemberStatus;
use claviger_state::{CommandBody, PeerRecord, Refusal, RegionRecord, Reserve, StateError, Tables, read};
use claviger_tls::Peer;
use claviger_types::Timestamp;
use claviger_types::limits::{DESCRIPTION_CHARS_MAX, TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_PER_KEY_MAX};

use super::{ReceiveError, Receiver};
use crate::config::MESSAGE_KEYS_MAX;
use crate::message::{RegionLife, ReservationFate, ReservationQuestion, ReserveRequest};

impl<R: Region> Receiver<R> {
    /// At the target, before the primary commits. What is decided is decided in `apply`; the answer carries it.
    pub(super) async fn reserve(&self, source: &Peer, body: Body) -> Result<Result<(), Refusal>, ReceiveError> {
        let (admitted, _turn, request) = self.take_message::<ReserveRequest>(source, body).await?;
        check_sizes(&request)?;
        let ReserveRequest { key_id, account, description, tags, deadline } = request;
        let primary = RegionLife::from(&admitted.peer).author();
        let reserve = Reserve { primary, key_id, account, description, tags, policy: None, deadline };
        let outcome = self.core.region.propose(CommandBody::Reserve(Box::new(reserve))).await;
        Ok(outcome.map_err(crate::ReplicationError::from)?.map(|_| ()))
    }

    /// At the primary: whether documents for these reservations may still come.
    ///
    /// [`ReservationFate::NeverComes`] can never race a commit. ReplicateKey is refused in `apply` once log time is past
    /// its deadline. The tick stands in the log, so every command after it is applied with at least its time; if log time
    /// is past the deadline then, no ReplicateKey with that deadline can be applied any more, and one that was applied
    /// before is in what is read afterwards.
    pub(super) async fn reservation(&self, source: &Peer, body: Body) -> Result<Vec<ReservationFate>, ReceiveError> {
        let (admitted, _turn, questions) = self.take_message::<Vec<ReservationQuestion>>(source, body).await?;
        if questions.len() > MESSAGE_KEYS_MAX {
            return Err(ReceiveError::Malformed("too many questions"));
        }
        self.core.propose(CommandBody::Tick).await?;
        let tables = self.core.fresh_tables().await?;
        // Before any document: the tables may move on while they are read, and the documents must not be older.
        let log_time = read::log_time(&tables)?;
        questions.iter().map(|question| Ok(fate(&tables, &admitted.me, &admitted.peer, log_time, question)?)).collect()
    }
}

fn fate(
    tables: &impl Tables,
    me: &RegionRecord,
    asker: &PeerRecord,
    log_time: Timestamp,
    question: &ReservationQuestion,
) -> Result<ReservationFate, StateError> {
    if log_time <= question.deadline {
        return Ok(ReservationFate::Stays);
    }
    let Some(key) = read::key(tables, &question.key_id)? else { return Ok(ReservationFate::NeverComes) };
    // Only the document's owner knows who its members are.
    let owned = key.document.is_owned_by(&me.author());
    let creating = key.document.members.get(&asker.region).is_some_and(|member| member.status == MemberStatus::Creating);
    Ok(if owned && !creating { ReservationFate::NeverComes } else { ReservationFate::Stays })
}

/// The API's limits, for a peer that does not keep them.
fn check_sizes(request: &ReserveRequest) -> Result<(), ReceiveError> {
    let longer = |text: &str, most: usize| text.chars().count() > most;
    if longer(&request.description, DESCRIPTION_CHARS_MAX) {
        return Err(ReceiveError::Malformed("the description is too long"));
    }
    let too_long = |(key, value): (&String, &String)| longer(key, TAG_KEY_CHARS_MAX) || longer(value, TAG_VALUE_CHARS_MAX);
    if request.tags.len() > TAGS_PER_KEY_MAX || request.tags.iter().any(too_long) {
        return Err(ReceiveError::Malformed("there are too many tags, or too long ones"));
    }
    Ok(())
}
