//! Arguments of `khagen init`.

use std::path::PathBuf;

use clap::ValueEnum;

/// Arguments of `khagen init`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Init {
    /// Folder to make; must not hold an inventory yet
    #[arg(default_value = "inventory")]
    pub dir: PathBuf,
    /// The cluster's name
    #[arg(long)]
    pub name: Option<String>,
    /// The domain that follows the hosts' short names
    #[arg(long)]
    pub domain: Option<String>,
    /// The balancers' virtual address with the prefix length of its network, such as 192.168.13.70/24
    #[arg(long, value_name = "ADDRESS/LENGTH")]
    pub vip: Option<String>,
    /// The balancers' interface in that network
    #[arg(long)]
    pub interface: Option<String>,
    /// The VRRP instance's number [default: last part of an IPv4 VIP, else 51]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..))]
    pub virtual_router_id: Option<u8>,
    /// What clients connect to [default: api.DOMAIN:6443]
    #[arg(long, value_name = "NAME[:PORT]")]
    pub endpoint: Option<String>,
    /// etcd members: NAME=ADDRESS, or addresses alone, which get names; comma-separated
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    pub etcd: Vec<String>,
    /// Balancers, likewise
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    pub load_balancer: Vec<String>,
    /// Control planes, likewise
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    pub control_plane: Vec<String>,
    /// Workers, likewise
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    pub worker: Vec<String>,
    /// The control planes are etcd members and balancers too: three hosts are a cluster
    #[arg(long, conflicts_with_all = ["etcd", "load_balancer"])]
    pub compact: bool,
    /// Take the hosts from a list: name, address and roles on a line
    #[arg(long, value_name = "FILE", conflicts_with = "ansible")]
    pub hosts: Option<PathBuf>,
    /// Take the hosts from an Ansible inventory, INI or YAML, by its groups
    #[arg(long, value_name = "FILE")]
    pub ansible: Option<PathBuf>,
    /// The exact version of Kubernetes
    #[arg(long, value_name = "VERSION")]
    pub kubernetes: Option<String>,
    /// The pods' network
    #[arg(long, value_name = "NETWORK")]
    pub pod_subnet: Option<String>,
    /// The services' network
    #[arg(long, value_name = "NETWORK")]
    pub service_subnet: Option<String>,
    /// A public key that the store is encrypted to; may be repeated [default: ~/.ssh/id_ed25519.pub, if there]
    #[arg(long, value_name = "KEY", conflicts_with = "no_recipient")]
    pub recipient: Vec<String>,
    /// Leave the store unencrypted, in files of mode 0600
    #[arg(long)]
    pub no_recipient: bool,
    /// What the documents are written in
    #[arg(long, value_enum, default_value_t = InitFormat::Yaml)]
    pub format: InitFormat,
}

/// What the documents are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InitFormat {
    /// YAML
    Yaml,
    /// TOML
    Toml,
}

const HELP: &str = "\
What is missing is asked for, if standard input is a terminal. Nothing is overwritten.

Roles of a list (--hosts): etcd, load-balancer, control-plane, worker, joined by commas:
  k8setcd1    192.168.13.35  etcd
  k8smaster1  192.168.13.61  control-plane,worker

Groups of an Ansible inventory (--ansible): etcd; kube_control_plane, kube-master, masters,
control_plane; kube_node, kube-node, workers, nodes; load_balancer, loadbalancers, lb, haproxy.

Examples:
  khagen init      asks
  khagen init --name lab --domain lab.example.com \\
    --vip 192.168.13.70/24 --interface ens33 \\
    --compact --control-plane 192.168.13.61,192.168.13.62,192.168.13.63
  khagen init --hosts hosts.txt --name lab --domain lab.example.com \\
    --vip 192.168.13.70/24 --interface ens33

Exit codes: 0 done · 1 error · 3 what was given makes no valid inventory · 6 there is an
inventory already · 64 something is missing, or cannot be read";
