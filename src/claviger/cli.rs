//! The command line: what can be asked, and nothing of how it is done.

mod iam;
mod policy;
mod restoring;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use claviger_operator::pki::{CRL_DAYS, Ca, Reason};
use claviger_types::{Region, TrustDomain};

use crate::bench::{BaselineArgs, BenchArgs};
pub(crate) use iam::{DenialArgs, IamCommand, RegionsArg};
pub(crate) use policy::{PolicyCommand, SimulateArgs};
pub(crate) use restoring::{AdmitWhich, BackupCommand, KeyCommand};

/// A self-hosted, multi-region key management service that speaks the AWS KMS API.
#[derive(Debug, Parser)]
#[command(name = "claviger", version, about, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node until SIGTERM or SIGINT
    Serve(ConfigArg),
    /// Make a new region whose first node is this one
    Init(InitArgs),
    /// Make this node a member of a region that runs
    Join(JoinArgs),
    /// Configuration files
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The private certificate authorities of a deployment and what they issue
    #[command(subcommand)]
    Pki(PkiCommand),
    /// Show a region: its nodes, its leader, how far each node is, its disk, the regions it replicates with
    Status(Target),
    /// The nodes of a region
    #[command(subcommand)]
    Node(NodeCommand),
    /// The leader of a region
    #[command(subcommand)]
    Leader(LeaderCommand),
    /// The regions that a region replicates with
    #[command(subcommand)]
    Peer(PeerCommand),
    /// Multi-region keys while a region is away
    #[command(subcommand)]
    Region(RegionCommand),
    /// The certificate revocation lists that a region enforces
    #[command(subcommand)]
    Crl(CrlCommand),
    /// Backups of a region, and a region out of a backup
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Keys: after a restore, and when a policy has locked everybody out
    #[command(subcommand)]
    Key(KeyCommand),
    /// The identities of accounts, and principals that are denied everything
    #[command(subcommand)]
    Iam(IamCommand),
    /// Decisions about requests, explained
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// The clocks of a region's nodes
    #[command(subcommand)]
    Clock(ClockCommand),
    /// Run the local agent (the API on this machine, for programs that cannot present a client certificate), or prepare it
    Agent(crate::agent::AgentArgs),
    /// Start a whole deployment on this machine and show what it promises
    Demo(DemoArgs),
    /// Measure a deployment under load
    Bench(BenchArgs),
    /// The empty handler that `bench --baseline` compares with
    #[command(hide = true)]
    BenchBaseline(BaselineArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArg {
    /// The node's configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The node's configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// The node's configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Peer listeners of nodes that run, https://host:port
    #[arg(long, value_name = "URL", required = true)]
    pub(crate) via: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether a configuration file is in order
    Check {
        /// The file
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PkiCommand {
    /// Make the two private CAs of a deployment: one for clients and api listeners, one for nodes
    Init {
        /// Where the CAs live; guard it
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// The SPIFFE trust domain of all certificates
        #[arg(long)]
        trust_domain: TrustDomain,
        /// How long the CAs are valid
        #[arg(long, default_value_t = 3650)]
        days: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Issue a node's two certificates, and copy the CA certificates beside them
    Node {
        /// Where the CAs live
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Where the node's files go
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// The node's region
        #[arg(long)]
        region: Region,
        /// The node's id: never one that was used in the region before
        #[arg(long)]
        id: u64,
        /// Host names and addresses of the node, as clients and nodes reach it
        #[arg(long = "san", value_name = "HOST", required = true)]
        sans: Vec<String>,
        /// How long the certificates are valid
        #[arg(long, default_value_t = 365)]
        days: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Issue a principal's certificate: OUT.pem and OUT.key
    Client {
        /// Where the CAs live
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Where the files go, without their endings
        #[arg(long, value_name = "PATH")]
        out: PathBuf,
        /// <account>/root, <account>/user/<name> or <account>/role/<name>/<session>
        #[arg(long, value_name = "PATH")]
        identity: String,
        /// How long the certificate is valid
        #[arg(long, default_value_t = 90)]
        days: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Issue an operator's certificate: OUT.pem and OUT.key
    Operator {
        /// Where the CAs live
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Where the files go, without their endings
        #[arg(long, value_name = "PATH")]
        out: PathBuf,
        /// The operator's name
        #[arg(long)]
        name: String,
        /// How long the certificate is valid
        #[arg(long, default_value_t = 90)]
        days: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put a certificate on its CA's revocation list, api-crl.pem or peer-crl.pem beside the CA
    Revoke {
        /// Where the CAs live
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// The certificate
        #[arg(long, value_name = "FILE", required_unless_present = "serial", conflicts_with = "serial")]
        cert: Option<PathBuf>,
        /// Its serial number, hexadecimal, if there is no copy of it
        #[arg(long, value_name = "HEX", requires = "ca")]
        serial: Option<String>,
        /// The CA that signed it, api or peer
        #[arg(long, requires = "serial")]
        ca: Option<Ca>,
        /// Why: unspecified, key-compromise, affiliation-changed, superseded, cessation-of-operation or privilege-withdrawn
        #[arg(long, default_value = "unspecified")]
        reason: Reason,
        /// How long until the next list is due
        #[arg(long, default_value_t = CRL_DAYS)]
        days: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make new revocation lists of both CAs with the entries of those before, when they come due
    Crl {
        /// Where the CAs live
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// How long until the next lists are due
        #[arg(long, default_value_t = CRL_DAYS)]
        days: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Which node an operator's command talks to: any node of the region will do.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// A node's admin socket on this machine
    #[arg(long, value_name = "PATH", required_unless_present_any = ["urls", "demo"], conflicts_with_all = ["urls", "demo"])]
    pub(crate) socket: Option<PathBuf>,
    /// A node's api listener, https://host:port; several are tried in turn
    #[arg(long = "url", value_name = "URL", requires_all = ["cert", "key", "ca"], conflicts_with = "demo")]
    pub(crate) urls: Vec<String>,
    /// The operator's certificate
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// The operator's private key
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Who signed the api listener's certificate
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The demo.json of a demo that runs
    #[arg(long, value_name = "FILE")]
    pub(crate) demo: Option<PathBuf>,
    /// Which of the demo's regions; may be left out when it has one
    #[arg(long, requires = "demo")]
    pub(crate) region: Option<Region>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// List every node id that was ever used, and what became of it
    List(Target),
    /// Make this machine's node a member of a region that runs: the same as `claviger join`
    ///
    /// It is run on the new node's own machine and not through a member, since what proves the node's identity is the
    /// private key that never leaves it.
    Add(JoinArgs),
    /// Take a node out of the region for ever; its id is never used again
    Remove(NodeArgs),
    /// Let a learner vote
    Promote(NodeArgs),
    /// Let a voter receive the log and serve without voting
    Demote(NodeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// The node's id
    #[arg(value_name = "NODE")]
    pub(crate) id: u64,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LeaderCommand {
    /// Let another node lead
    Transfer {
        /// The node that is to lead; any other voter than the present leader when left out
        #[arg(long, value_name = "NODE")]
        to: Option<u64>,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PeerCommand {
    /// Show this region's own fingerprint, for the operators of its peers to compare
    Identity(Target),
    /// List the peers and how far each is behind
    List(Target),
    /// Admit a region as a peer, once its fingerprint has been compared
    Add {
        /// The peer's name
        #[arg(value_name = "PEER")]
        peer: Region,
        #[command(flatten)]
        target: Target,
        /// Peer listeners of its nodes, https://host:port
        #[arg(long = "endpoint", value_name = "URL", required = true)]
        endpoints: Vec<String>,
        /// The fingerprint that `claviger peer identity` shows there; without it, the one that answers is shown and nothing changes
        #[arg(long)]
        fingerprint: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RegionCommand {
    /// Wait no more for a region that is away: rotations of keys whose primary is here go on without it. It counts again by itself, key by
    /// key, once it is back and has caught up
    Detach {
        /// The region that is away
        #[arg(value_name = "REGION")]
        away: Region,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CrlCommand {
    /// Give the region a CA's list: once this returns, no node of it honours what the list revokes
    Publish {
        #[command(flatten)]
        target: Target,
        /// The list, PEM or DER
        file: PathBuf,
    },
    /// List them
    List(Target),
}

/// `claviger clock …`
#[derive(Debug, Subcommand)]
pub(crate) enum ClockCommand {
    /// Show each voter's clock, log time, and whether work that falls due by time is done
    Status(Target),
    /// In a region of one node: let log time go on from the node's clock, although it has jumped
    Accept {
        #[command(flatten)]
        target: Target,
        /// Only show what would be accepted
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where everything is kept
    #[arg(long, default_value = "demo", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The regions
    #[arg(long, value_delimiter = ',', default_value = "eu-west-1,us-east-1,ap-south-1")]
    pub(crate) regions: Vec<Region>,
    /// Nodes of each region: 1, 3 or 5
    #[arg(long, default_value_t = 3, value_parser = parse_nodes)]
    pub(crate) nodes: u64,
    /// First of the ports used; 0 takes any free ones
    #[arg(long, default_value_t = 0)]
    pub(crate) port_base: u16,
    /// Stay until interrupted
    #[arg(long)]
    pub(crate) keep_running: bool,
    /// Do not run the scenario
    #[arg(long)]
    pub(crate) no_scenario: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn parse_nodes(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(nodes @ (1 | 3 | 5)) => Ok(nodes),
        _ => Err("a region has 1, 3 or 5 nodes".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
