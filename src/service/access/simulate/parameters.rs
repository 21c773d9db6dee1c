//! The parameters of a simulated request, under the names that its members have, read as the operation itself reads them.

use std::collections::BTreeMap;
use std::str::FromStr;

use claviger_policy::Action;
use claviger_types::limits::{DELETION_WINDOW_DAYS_DEFAULT, ROTATION_PERIOD_DAYS_DEFAULT};
use claviger_types::{MessageType, Timestamp};

use super::SimulationError;
use super::request::needs;
use crate::access::Parameters;

/// Those that have not been read yet.
pub(super) struct Given<'a> {
    action: Action,
    left: BTreeMap<&'a str, &'a str>,
}

impl<'a> Given<'a> {
    pub(super) fn new(action: Action, given: &'a BTreeMap<String, String>) -> Self {
        Self { action, left: given.iter().map(|(name, value)| (&**name, &**value)).collect() }
    }

    /// The value of one, if it is given.
    pub(super) fn take<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, SimulationError> {
        let Some(value) = self.left.remove(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| SimulationError::Invalid(format!("{value:?} is no value of {name}")))
    }

    /// The value of one that every request has.
    fn need<T: FromStr>(&mut self, name: &str) -> Result<T, SimulationError> {
        self.take(name)?.ok_or_else(|| needs(self.action, &format!("the parameter {name}")))
    }

    /// What is the action's own.
    pub(super) fn parameters(&mut self) -> Result<Parameters, SimulationError> {
        Ok(match self.action {
            Action::Sign | Action::Verify => Parameters::Signing {
                algorithm: self.need("SigningAlgorithm")?,
                message_type: self.take("MessageType")?.unwrap_or(MessageType::Raw),
            },
            Action::GenerateMac | Action::VerifyMac => Parameters::Mac(self.need("MacAlgorithm")?),
            Action::DeriveSharedSecret => Parameters::Agreement(self.need("KeyAgreementAlgorithm")?),
            Action::GenerateDataKeyPair | Action::GenerateDataKeyPairWithoutPlaintext => Parameters::KeyPair(self.need("KeyPairSpec")?),
            Action::GetParametersForImport => Parameters::Wrapping(self.need("WrappingAlgorithm")?, self.need("WrappingKeySpec")?),
            Action::ImportKeyMaterial => {
                let seconds: Option<u32> = self.take("ValidTo")?;
                Parameters::Material { valid_to: seconds.map(|seconds| Timestamp::from_millis(u64::from(seconds) * 1000)) }
            }
            Action::EnableKeyRotation => Parameters::Rotation(self.take("RotationPeriodInDays")?.unwrap_or(ROTATION_PERIOD_DAYS_DEFAULT)),
            Action::ScheduleKeyDeletion => Parameters::Deletion(self.take("PendingWindowInDays")?.unwrap_or(DELETION_WINDOW_DAYS_DEFAULT)),
            _ => Parameters::None,
        })
    }

    /// Refuses what nothing has read.
    pub(super) fn end(self) -> Result<(), SimulationError> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) => Err(SimulationError::Invalid(format!("a request for {} has no parameter {name:?}", self.action))),
        }
    }
}
