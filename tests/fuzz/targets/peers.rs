//! Messages between nodes and between regions. What decodes is the same message when it is written and read again.

use claviger_consensus::NodeMessage;
use claviger_replication::PeerMessage;

use crate::first_line;

/// Between nodes of a region; before the body, its path and a line feed.
pub fn node_message(input: &[u8]) -> bool {
    let Some((name, body)) = first_line(input) else { return false };
    let Some(message) = NodeMessage::ALL.iter().find(|message| message.name == name) else { return false };
    let Ok(again) = message.reread(body) else { return false };
    assert_eq!(message.reread(&again).expect("what was written can be read"), again);
    true
}

/// Between regions; in the same form.
pub fn region_message(input: &[u8]) -> bool {
    let Some((name, body)) = first_line(input) else { return false };
    let Some(message) = PeerMessage::ALL.iter().find(|message| message.name == name) else { return false };
    let Ok(again) = message.reread(body) else { return false };
    assert_eq!(message.reread(&again).expect("what was written can be read"), again);
    true
}
