//! `claviger policy`: decisions explained.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use claviger_types::Region;

use super::Target;

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say how a region would decide about a request now, and what leads to it, statement by statement; nobody makes the request, and
    /// nothing changes
    Simulate(Box<SimulateArgs>),
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Who would ask: the ARN of a user, of a session of a role, or of an account's root; or the account's digits
    #[arg(long, value_name = "ARN")]
    pub(crate) principal: String,
    /// What for, kms:Decrypt say
    #[arg(long, value_name = "ACTION")]
    pub(crate) action: String,
    /// The key: id, ARN, alias or alias ARN; without an ARN one of the principal's account. Actions on no key have none
    #[arg(long, value_name = "KEY")]
    pub(crate) key_id: Option<String>,
    /// The alias that an alias operation is on, or by which the request names the key
    #[arg(long, value_name = "ALIAS")]
    pub(crate) alias: Option<String>,
    /// The grant that RetireGrant would end
    #[arg(long, value_name = "ID")]
    pub(crate) grant_id: Option<String>,
    /// A pair of the encryption context; of CreateGrant a pair of the grant's constraint
    #[arg(long = "context", alias = "encryption-context", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) context: Vec<(String, String)>,
    /// Where the request comes from
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) source_ip: Option<IpAddr>,
    /// A tag that CreateKey or TagResource adds; for UntagResource its key is enough
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    pub(crate) tags: Vec<(String, String)>,
    /// Where ReplicateKey would make the replica
    #[arg(long, value_name = "REGION")]
    pub(crate) replica_region: Option<Region>,
    /// Whom CreateGrant would allow
    #[arg(long, value_name = "ARN", requires = "grant_operations")]
    pub(crate) grantee: Option<String>,
    /// Who could retire that grant
    #[arg(long, value_name = "ARN", requires = "grantee")]
    pub(crate) retiring_principal: Option<String>,
    /// What that grant would allow, Decrypt say
    #[arg(long = "grant-operation", value_name = "OPERATION", requires = "grantee")]
    pub(crate) grant_operations: Vec<String>,
    /// The constraint of that grant is EncryptionContextEquals, not EncryptionContextSubset
    #[arg(long, requires = "grantee")]
    pub(crate) constraint_equals: bool,
    /// CreateKey makes a multi-region key
    #[arg(long)]
    pub(crate) multi_region: bool,
    /// CreateKey as a region asks itself that is to get a replica
    #[arg(long)]
    pub(crate) replica: bool,
    /// CreateKey or PutKeyPolicy bypasses the lockout check
    #[arg(long)]
    pub(crate) bypass_policy_lockout_safety_check: bool,
    /// ReEncrypt is from the key to itself
    #[arg(long)]
    pub(crate) same_key: bool,
    /// A member of the request under its name in the API: SigningAlgorithm=ECDSA_SHA_256, say; ValidTo in seconds since 1970
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) parameters: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) target: Target,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it is written key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn tag(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() { Err("a tag has a key".to_owned()) } else { Ok((key.to_owned(), value.to_owned())) }
}
