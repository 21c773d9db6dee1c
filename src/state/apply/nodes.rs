//! The region's nodes: an id is taken once, by one data directory, and is gone for ever once its node is removed.
//!
//! What is recorded here is what operators want; the Raft group's membership follows it, carried out by the leader.

use claviger_types::NodeId;

use super::{Step, granted};
use crate::{NodeRecord, NodeRole, Outcome, Refusal, RegisterNode, Response, StateError, read};

impl Step<'_> {
    pub(super) fn register_node(&mut self, register: RegisterNode) -> Result<Outcome, StateError> {
        match read::node(&self.tables, register.id)? {
            Some(known) if known.removed_at.is_some() => Ok(Err(Refusal::NodeRemoved)),
            Some(known) if known.instance != register.instance => Ok(Err(Refusal::NodeIdUsed)),
            Some(_) => Ok(Ok(Response::Done)),
            None => {
                let RegisterNode { id, instance } = register;
                self.put_node(id, &NodeRecord { instance, registered_at: self.now, role: NodeRole::Voter, removed_at: None })
            }
        }
    }

    /// The first removal counts; another changes nothing.
    pub(super) fn remove_node(&mut self, id: NodeId) -> Result<Outcome, StateError> {
        let known = granted!(self.known_node(id)?);
        self.put_node(id, &NodeRecord { removed_at: known.removed_at.or(Some(self.now)), ..known })
    }

    pub(super) fn set_node_role(&mut self, id: NodeId, role: NodeRole) -> Result<Outcome, StateError> {
        match granted!(self.known_node(id)?) {
            NodeRecord { removed_at: Some(_), .. } => Ok(Err(Refusal::NodeRemoved)),
            known => self.put_node(id, &NodeRecord { role, ..known }),
        }
    }

    fn known_node(&self, id: NodeId) -> Result<Result<NodeRecord, Refusal>, StateError> {
        Ok(read::node(&self.tables, id)?.ok_or(Refusal::UnknownNode))
    }

    fn put_node(&mut self, id: NodeId, record: &NodeRecord) -> Result<Outcome, StateError> {
        self.tables.put(&id.to_be_bytes(), record)?;
        Ok(Ok(Response::Done))
    }
}

#[cfg(test)]
mod tests {
    use claviger_types::{NodeInstance, Timestamp};

    use super::*;
    use crate::random_commands::found;
    use crate::{Command, CommandBody, MemoryTables, Overlay, apply};

    fn commit(tables: &mut MemoryTables, at: u64, body: CommandBody) -> Outcome {
        let mut overlay = Overlay::new(tables);
        let applied = apply(&mut overlay, at, &Command { time: Timestamp::from_millis(at), body }).unwrap();
        let writes = overlay.into_writes();
        tables.commit(writes);
        applied.outcome
    }

    const fn register(id: NodeId, instance: u8) -> CommandBody {
        CommandBody::RegisterNode(RegisterNode { id, instance: NodeInstance::from_bytes([instance; 16]) })
    }

    #[test]
    fn an_id_is_one_data_directorys_until_it_is_nobodys() {
        let mut tables = MemoryTables::default();
        let mut at = 0;
        let mut does = |body| {
            at += 1;
            commit(&mut tables, at, body).map(|_| at)
        };
        does(found()).unwrap();
        assert_eq!(does(CommandBody::RemoveNode { id: 7 }), Err(Refusal::UnknownNode));
        assert_eq!(does(CommandBody::SetNodeRole { id: 7, role: NodeRole::Voter }), Err(Refusal::UnknownNode));
        does(register(7, 1)).unwrap();
        does(register(7, 1)).unwrap();
        assert_eq!(does(register(7, 2)), Err(Refusal::NodeIdUsed));
        does(CommandBody::SetNodeRole { id: 7, role: NodeRole::Learner }).unwrap();
        // Asking again to be let in does not make a voter of what operators want to be none.
        does(register(7, 1)).unwrap();
        let removed_at = does(CommandBody::RemoveNode { id: 7 }).unwrap();
        does(CommandBody::RemoveNode { id: 7 }).unwrap();
        assert_eq!(does(register(7, 1)), Err(Refusal::NodeRemoved), "its own data directory");
        assert_eq!(does(register(7, 2)), Err(Refusal::NodeRemoved), "another one");
        assert_eq!(does(CommandBody::SetNodeRole { id: 7, role: NodeRole::Voter }), Err(Refusal::NodeRemoved));
        does(register(8, 2)).unwrap();
        let nodes = read::nodes(&tables).unwrap();
        assert_eq!(nodes.iter().map(|(id, node)| (*id, node.role)).collect::<Vec<_>>(), [(7, NodeRole::Learner), (8, NodeRole::Voter)]);
        assert_eq!(nodes[0].1.removed_at, Some(Timestamp::from_millis(removed_at)));
        assert_eq!(nodes[1].1.removed_at, None);
    }
}
