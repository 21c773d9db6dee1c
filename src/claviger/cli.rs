//! The command line: what can be asked, and nothing of how it is done.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use claviger_types::{Region, TrustDomain};

use crate::bench::{BaselineArgs, BenchArgs};

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
    /// The regions that a region replicates with
    #[command(subcommand)]
    Peer(PeerCommand),
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
}

/// Which node an operator's command talks to.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// A node's admin socket on this machine
    #[arg(long, value_name = "PATH", required_unless_present = "url", conflicts_with = "url")]
    pub(crate) socket: Option<PathBuf>,
    /// A node's api listener, https://host:port
    #[arg(long, requires_all = ["cert", "key", "ca"])]
    pub(crate) url: Option<String>,
    /// The operator's certificate
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// The operator's private key
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Who signed the api listener's certificate
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PeerCommand {
    /// Show this region's own fingerprint, for the operators of its peers to compare
    Identity(Target),
    /// List the peers and how far each is behind
    List(Target),
    /// Admit a region as a peer, once its fingerprint has been compared
    Add {
        #[command(flatten)]
        target: Target,
        /// The peer's name
        #[arg(long)]
        region: Region,
        /// Peer listeners of its nodes, https://host:port
        #[arg(long = "endpoint", value_name = "URL", required = true)]
        endpoints: Vec<String>,
        /// The fingerprint that `claviger peer identity` shows there; without it, the one that answers is shown and nothing changes
        #[arg(long)]
        fingerprint: Option<String>,
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
