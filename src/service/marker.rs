//! Markers of ListKeys: the last key of a page, authenticated and bound to the operation and the account.
//!
//! `hex(key id row[17] ‖ HMAC-SHA256(derived key, account[8] ‖ key id row)[32])`; the key is the same on every node of the
//! region, so a listing goes on wherever it is continued.

use claviger_barrier::Barrier;
use claviger_crypto::kdf;
use claviger_shapes::{ApiError, ErrorCode};
use claviger_types::{AccountId, KeyId};
use subtle::ConstantTimeEq;

use crate::error::Fault;

/// Also binds markers to the operation: another one that lists derives another key.
const LABEL: &str = "ListKeys marker v1";

/// The marker of a page that ended with `last`.
pub(crate) fn make(barrier: &Barrier, account: AccountId, last: &KeyId) -> Result<String, Fault> {
    let row = last.to_row();
    Ok(hex::encode([row.as_slice(), &tag(barrier, account, &row)?].concat()))
}

/// The key after which the next page begins.
pub(crate) fn open(barrier: &Barrier, account: AccountId, marker: &str) -> Result<KeyId, ApiError> {
    let invalid = || ApiError::new(ErrorCode::InvalidMarker, "The marker is not one that this operation returned to this account.");
    let mut bytes = [0; KeyId::ROW_BYTES + 32];
    hex::decode_to_slice(marker, &mut bytes).map_err(|_| invalid())?;
    let (row, given) = bytes.split_at(KeyId::ROW_BYTES);
    if !bool::from(tag(barrier, account, row)?.ct_eq(given)) {
        return Err(invalid());
    }
    KeyId::from_row(row).map_err(|_| invalid())
}

fn tag(barrier: &Barrier, account: AccountId, row: &[u8]) -> Result<[u8; 32], Fault> {
    Ok(kdf::hmac_sha256(&barrier.derive(LABEL)?, &[&account.to_be_bytes(), row])?)
}

#[cfg(test)]
mod tests {
    use claviger_barrier::Keyring;

    use super::*;

    #[test]
    fn only_the_account_that_got_a_marker_can_use_it_and_no_digit_can_be_changed() {
        let barrier = Barrier::new(Keyring::generate().unwrap());
        let (account, other) = ("111122223333".parse().unwrap(), "444455556666".parse().unwrap());
        let last = KeyId::multi_region([7; 16]);
        let marker = make(&barrier, account, &last).unwrap();
        assert_eq!(open(&barrier, account, &marker).unwrap(), last);
        assert_eq!(open(&barrier, other, &marker).unwrap_err().code, ErrorCode::InvalidMarker);
        assert!(open(&Barrier::new(Keyring::generate().unwrap()), account, &marker).is_err());
        for position in 0..marker.len() {
            let mut changed = marker.clone().into_bytes();
            changed[position] = if changed[position] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(open(&barrier, account, &changed).unwrap_err().code, ErrorCode::InvalidMarker, "digit {position}");
        }
        for bad in ["", "x", "\u{e9}", &marker[2..], &format!("{marker}00")] {
            assert_eq!(open(&barrier, account, bad).unwrap_err().code, ErrorCode::InvalidMarker, "{bad}");
        }
    }
}
