//! `/region/reserve` and `/region/reservation`: the two halves of rule 10 that peers ask for.

use axum::body::Body;
use claviger_consensus::Region;
use claviger_protocol::{Author, MemberStatus};
use claviger_state::{Authorised, CommandBody, PeerRecord, Refusal, RegionRecord, Reserve, StateError, Tables, read};
use claviger_tls::Peer;
use claviger_types::limits::{
    API_BODY_BYTES_MAX, DESCRIPTION_CHARS_MAX, PRINCIPAL_ID_CHARS_MAX, TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_PER_KEY_MAX,
};
use claviger_types::{Principal, Timestamp};

use super::{ReceiveError, Receiver};
use crate::NotAuthorised;
use crate::config::MESSAGE_KEYS_MAX;
use crate::message::{RegionLife, ReplicaReservation, ReservationFate, ReservationQuestion, ReservationRefusal};

/// How often one request is authorised again because what was read has changed. Each time somebody's change was committed.
const AUTHORISATIONS_MAX: usize = 8;

impl<R: Region> Receiver<R> {
    /// At the target, before the primary commits. This region's identities decide, then `apply`, which refuses what they decided
    /// on if it has changed meanwhile; then they are asked again. The answer carries either's refusal.
    pub(super) async fn reserve(&self, source: &Peer, body: Body) -> Result<Result<(), ReservationRefusal>, ReceiveError> {
        let (admitted, _turn, request) = self.take_message::<ReplicaReservation>(source, body).await?;
        check(&request)?;
        // Nothing is told of the identities of an account for which the peer may not act.
        if !admitted.peer.accounts.contains(request.account) {
            return Ok(Err(ReservationRefusal::Refused(Refusal::AccountNotAllowed)));
        }
        let primary = RegionLife::from(&admitted.peer).author();
        for _ in 0..AUTHORISATIONS_MAX {
            let authorised = match self.authority.authorise(&request).await {
                Ok(authorised) => authorised,
                Err(NotAuthorised::Denied(denial)) => return Ok(Err(ReservationRefusal::Denied(denial.bounded()))),
                Err(NotAuthorised::Unavailable) => return Err(ReceiveError::Undecided),
            };
            let reserve = command(primary.clone(), request.clone(), authorised);
            match self.core.region.propose(reserve).await.map_err(crate::ReplicationError::from)? {
                Err(Refusal::StaleAuthorisation) => {}
                outcome => return Ok(outcome.map(|_| ()).map_err(ReservationRefusal::Refused)),
            }
        }
        Err(ReceiveError::Undecided)
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

fn command(primary: Author, request: ReplicaReservation, authorised: Authorised) -> CommandBody {
    let ReplicaReservation { key_id, account, description, tags, policy, deadline, .. } = request;
    CommandBody::Reserve(Box::new(Reserve { primary, key_id, account, description, tags, policy, deadline, authorised }))
}

/// The API's limits, for a peer that does not keep them, and what the API answers nobody of another account.
fn check(request: &ReplicaReservation) -> Result<(), ReceiveError> {
    let longer = |text: &str, most: usize| text.chars().count() > most;
    if longer(&request.description, DESCRIPTION_CHARS_MAX) {
        return Err(ReceiveError::Malformed("the description is too long"));
    }
    let too_long = |(key, value): (&String, &String)| longer(key, TAG_KEY_CHARS_MAX) || longer(value, TAG_VALUE_CHARS_MAX);
    if request.tags.len() > TAGS_PER_KEY_MAX || request.tags.iter().any(too_long) {
        return Err(ReceiveError::Malformed("there are too many tags, or too long ones"));
    }
    // What is larger than a policy may be, and not larger than a request may have, is for the authority to refuse in AWS's words.
    if request.policy.as_ref().is_some_and(|policy| policy.len() > API_BODY_BYTES_MAX) {
        return Err(ReceiveError::Malformed("the policy is too large"));
    }
    let names: &[&String] = match &request.principal {
        Principal::Root { .. } => &[],
        Principal::User { name, .. } => &[name],
        Principal::AssumedRole { role, session, .. } => &[role, session],
    };
    if names.iter().any(|name| longer(name, PRINCIPAL_ID_CHARS_MAX)) {
        return Err(ReceiveError::Malformed("the principal's name is too long"));
    }
    if request.principal.account() != request.account {
        return Err(ReceiveError::Malformed("the principal is not of the key's account"));
    }
    if !request.key_id.is_multi_region() {
        return Err(ReceiveError::Malformed("the key is of one region"));
    }
    Ok(())
}
