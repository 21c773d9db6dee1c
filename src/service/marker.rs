//! Markers of the operations that list: the last row of a page, authenticated and bound to the operation, the account and
//! whatever else the page was one of.
//!
//! `base64url(last row ‖ HMAC-SHA256(derived key, account[8] ‖ u64 length ‖ filter ‖ last row)[32])`; the key is the
//! operation's, and the same on every node of the region, so a listing goes on wherever it is continued.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_barrier::Barrier;
use claviger_crypto::kdf;
use claviger_shapes::{ApiError, ErrorCode, Operation};
use claviger_types::AccountId;
use subtle::ConstantTimeEq;

use crate::error::Fault;

const TAG_BYTES: usize = 32;

/// What a marker is bound to.
#[derive(Clone, Copy)]
pub(crate) struct Listing<'a> {
    pub(crate) barrier: &'a Barrier,
    /// The operation that lists.
    pub(crate) operation: Operation,
    /// Whose things are listed.
    pub(crate) account: AccountId,
    /// Which of them: empty for all, else an id.
    pub(crate) filter: &'a [u8],
}

impl Listing<'_> {
    /// The marker of a page that ended with the row `last`.
    pub(crate) fn marker(&self, last: &[u8]) -> Result<String, Fault> {
        Ok(URL_SAFE_NO_PAD.encode([last, &self.tag(last)?].concat()))
    }

    /// The row after which the next page begins.
    pub(crate) fn open(&self, marker: &str) -> Result<Vec<u8>, ApiError> {
        let mut bytes = URL_SAFE_NO_PAD.decode(marker).map_err(|_| invalid_marker())?;
        let given = bytes.split_off(bytes.len().saturating_sub(TAG_BYTES));
        if !bool::from(self.tag(&bytes)?.ct_eq(&given)) {
            return Err(invalid_marker());
        }
        Ok(bytes)
    }

    fn tag(&self, last: &[u8]) -> Result<[u8; TAG_BYTES], Fault> {
        let key = self.barrier.derive(&format!("{} marker v1", self.operation))?;
        let length = (self.filter.len() as u64).to_be_bytes();
        Ok(kdf::hmac_sha256(&key, &[&self.account.to_be_bytes(), &length, self.filter, last])?)
    }
}

pub(crate) fn invalid_marker() -> ApiError {
    ApiError::new(ErrorCode::InvalidMarker, "The marker is not one that this operation returned for these parameters.")
}

#[cfg(test)]
mod tests {
    use claviger_barrier::Keyring;
    use claviger_types::limits::MARKER_CHARS_MAX;

    use super::*;

    fn invalid(listing: &Listing<'_>, marker: &str) -> bool {
        listing.open(marker).is_err_and(|error| error.code == ErrorCode::InvalidMarker)
    }

    #[test]
    fn a_marker_is_good_for_its_listing_and_no_other() {
        let [barrier, other] = [0, 1].map(|_| Barrier::new(Keyring::generate().unwrap()));
        let account = "111122223333".parse().unwrap();
        let listing = Listing { barrier: &barrier, operation: Operation::ListAliases, account, filter: b"key" };
        let marker = listing.marker(b"last").unwrap();
        assert_eq!(listing.open(&marker).unwrap(), b"last");
        for wrong in [
            Listing { barrier: &other, ..listing },
            Listing { operation: Operation::ListKeys, ..listing },
            Listing { account: "444455556666".parse().unwrap(), ..listing },
            Listing { filter: b"", ..listing },
            Listing { filter: b"keyl", ..listing },
        ] {
            assert!(invalid(&wrong, &marker));
        }
        // Filter and row cannot be shifted into each other.
        let shifted = Listing { filter: b"ke", ..listing };
        assert_ne!(shifted.tag(b"ylast").unwrap(), listing.tag(b"last").unwrap());
    }

    #[test]
    fn no_character_of_a_marker_can_be_changed() {
        let barrier = Barrier::new(Keyring::generate().unwrap());
        let account = "111122223333".parse().unwrap();
        let listing = Listing { barrier: &barrier, operation: Operation::ListKeys, account, filter: b"" };
        for last in [&b"last row"[..], b"last ro", b"last r", b""] {
            let marker = listing.marker(last).unwrap();
            for position in 0..marker.len() {
                let mut changed = marker.clone().into_bytes();
                changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
                assert!(invalid(&listing, &String::from_utf8(changed).unwrap()), "character {position}");
            }
            for bad in ["", "x", "\u{e9}", "====", &marker[1..], &marker[4..], &format!("{marker}A"), &format!("{marker}=")] {
                assert!(invalid(&listing, bad), "{bad}");
            }
        }
    }

    #[test]
    fn the_longest_row_fits() {
        let barrier = Barrier::new(Keyring::generate().unwrap());
        let account = "111122223333".parse().unwrap();
        let listing = Listing { barrier: &barrier, operation: Operation::ListResourceTags, account, filter: &[0; 17] };
        // A tag key of 128 characters of four bytes each.
        assert!(listing.marker(&[0xff; 512]).unwrap().len() <= MARKER_CHARS_MAX);
    }
}
