//! `khagen show`: what khagen understood of an inventory, and where each value comes from. Writes nothing.

mod settings;

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Exit, Failure, Streams};
use crate::check::{self, MissingSecrets};
use crate::cli::{ListFormat, show::Show};
use crate::diag::{Report, render};
use crate::env::Env;
use crate::load::tree::Node;
use crate::model::{Cluster, Host, HostState, LoadBalancerMode, Role, Waiver};
use crate::plan::CertRequest;
use crate::plan::{certs, ports};
use crate::source::Sources;
use settings::{Origin, Setting};

/// Runs the command.
pub fn run(args: &Show, streams: &mut Streams) -> Result<Exit, Failure> {
    let env = Env::system().map_err(|e| Failure::new(Exit::Error, &e))?;
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let loaded = crate::load::load(&args.inventory, &mut sources, &mut report);
    let today = env.now().date();
    let fine = MissingSecrets::AreFine;
    let clusters = check::check_keeping_places(&loaded, &sources, today, fine, &mut report);
    let Some(clusters) = clusters.filter(|_| !report.has_errors()) else {
        let look = streams.err_look();
        streams.err(&render::text(&report, &sources, look));
        return Ok(Exit::Invalid);
    };
    let understood: Vec<(&Node, &Cluster)> =
        loaded.clusters.iter().zip(&clusters).map(|(loaded, (cluster, _))| (&loaded.root, cluster)).collect();
    let is_host =
        |host: &Host| args.host.as_ref().is_none_or(|name| *name == host.name || *name == host.fqdn);
    if let Some(name) = &args.host
        && !clusters.iter().any(|(cluster, _)| cluster.with_retired().into_iter().any(is_host))
    {
        return Err(Failure::because(Exit::Usage, format!("there is no host `{name}`"))
            .help("`khagen show` lists the hosts; another inventory is given by --inventory"));
    }
    if let Some(path) = args.path.as_ref().filter(|path| !settings::is_known(path)) {
        return Err(Failure::because(Exit::Usage, format!("there is no setting `{path}`"))
            .help("`khagen show --settings` lists them"));
    }
    let mut text = String::new();
    let mut all = Vec::new();
    for (root, cluster) in understood {
        let first = cluster.with_role(Role::ControlPlane).next().map_or("", |host| &host.fqdn);
        let certificates = certs::certificates(cluster, first);
        let hosts: Vec<&Host> = cluster.with_retired().into_iter().filter(|host| is_host(host)).collect();
        let mut found = if args.host.is_some() { Vec::new() } else { settings::of_cluster(root, cluster) };
        for host in &hosts {
            found.extend(settings::of_host(root, host));
        }
        if let Some(path) = &args.path {
            found.retain(|s| s.path == *path || s.path.starts_with(&format!("{path}.")));
        }
        match args.format {
            ListFormat::Json => all.push(json(cluster, &hosts, &certificates, &found, &sources)),
            ListFormat::Text => {
                let only = args.settings || args.path.is_some();
                if !only && args.host.is_none() {
                    overview(&mut text, cluster, &hosts);
                } else if !only {
                    hosts.iter().for_each(|host| one(&mut text, cluster, host, &certificates));
                }
                if only || args.host.is_some() {
                    table(&mut text, &found, &sources);
                }
            }
        }
    }
    if args.format == ListFormat::Json {
        text = format!("{:#}\n", json!({"schema": "khagen-show/v1", "clusters": all}));
    }
    streams.out(&text);
    Ok(Exit::Done)
}

fn roles(host: &Host) -> String {
    host.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")
}

fn addresses(host: &Host) -> String {
    host.addresses.cluster.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn overview(out: &mut String, cluster: &Cluster, hosts: &[&Host]) {
    let k = &cluster.kubernetes;
    let _ = writeln!(out, "cluster     {}", cluster.name);
    let _ = writeln!(out, "kubernetes  {}, etcd {}", k.version, cluster.etcd.version);
    let _ = writeln!(out, "endpoint    {}:{}", k.endpoint.host, k.endpoint.port);
    let way = match cluster.load_balancer.mode {
        LoadBalancerMode::Keepalived => {
            let vips: Vec<String> =
                cluster.load_balancer.vips.iter().map(|vip| vip.address.to_string()).collect();
            format!("{}, port {}, by keepalived and nginx", vips.join(", "), cluster.load_balancer.port)
        }
        LoadBalancerMode::External => "somebody else's balancer".to_owned(),
        LoadBalancerMode::None => "the one control plane itself".to_owned(),
    };
    let _ = writeln!(out, "served by   {way}");
    let _ = writeln!(out, "pods        {}", k.pod_subnets.joined());
    let _ = writeln!(out, "services    {}", k.service_subnets.joined());
    let _ = writeln!(out, "kube-proxy  {}\n", k.kube_proxy_mode.as_str());
    let width = |text: &dyn Fn(&Host) -> String| hosts.iter().map(|host| text(host).len()).max().unwrap_or(0);
    let (names, at, zones) = (width(&|h| h.fqdn.clone()), width(&addresses), width(&roles));
    for host in hosts {
        let mut line = format!("  {:names$}  {:at$}  {:zones$}", host.fqdn, addresses(host), roles(host));
        if let Some(zone) = &host.zone {
            let _ = write!(line, "  zone {zone}");
        }
        if host.state == HostState::Retired {
            line.push_str("  retired");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    for (number, waiver) in cluster.waivers.iter().enumerate() {
        let head = if number == 0 { "\naccepted findings\n" } else { "" };
        let place = waiver.path.as_ref().map(|path| format!(" at {path}")).unwrap_or_default();
        let (code, until, reason) = (waiver.code, waiver.until, &waiver.reason);
        let _ = writeln!(out, "{head}  {code}{place}, {}, until {until}: {reason}", code.title());
    }
    let _ = writeln!(
        out,
        "\n`khagen show HOST` says more of one, `khagen show --settings` where values come from"
    );
}

/// What a certificate is valid for.
fn names(certificate: &CertRequest) -> Vec<String> {
    let ips = certificate.ip_sans.iter().map(ToString::to_string);
    certificate.dns_sans.iter().cloned().chain(ips).collect()
}

fn one(out: &mut String, cluster: &Cluster, host: &Host, certificates: &[CertRequest]) {
    let _ = writeln!(out, "host       {}", host.fqdn);
    let _ = writeln!(out, "cluster    {}", cluster.name);
    let _ = writeln!(out, "roles      {}", roles(host));
    let _ = writeln!(out, "address    {}", addresses(host));
    let _ = writeln!(out, "ssh        {}@{} port {}", host.ssh.user, host.ssh.address, host.ssh.port);
    if host.is_node() {
        let _ = writeln!(out, "node name  {}", host.node_name);
    }
    if host.state == HostState::Retired {
        let _ = writeln!(out, "state      retired: its bundle takes it down");
        return;
    }
    let _ = writeln!(out, "\nports");
    for port in ports::login(host).into_iter().chain(ports::of_host(cluster, host)) {
        let _ = writeln!(out, "  {:<17}  {} (from {})", port.port, port.what, port.from);
    }
    let _ = writeln!(out, "\ncertificates");
    for certificate in certificates.iter().filter(|c| c.host.as_ref() == Some(&host.fqdn)) {
        let _ = writeln!(
            out,
            "  {}: {}, {} days",
            certificate.id.as_str(),
            certificate.purpose,
            certificate.validity_days
        );
        let names = names(certificate);
        if !names.is_empty() {
            let _ = writeln!(out, "    for {}", names.join(", "));
        }
    }
    let _ = writeln!(out, "\nsettings");
}

fn table(out: &mut String, settings: &[Setting], sources: &Sources) {
    let width = settings.iter().map(|s| s.path.chars().count()).max().unwrap_or(0).min(60);
    for setting in settings {
        let origin = match setting.origin {
            Origin::Written(span) => {
                let (line, column) = sources.line_col(span);
                format!("{}:{line}:{column}", sources.path(span.source))
            }
            Origin::Default => "default".to_owned(),
            Origin::Derived(how) if setting.value.is_empty() => format!("not set: {how}"),
            Origin::Derived(how) => format!("default: {how}"),
        };
        let value = if setting.value.is_empty() { "-" } else { &setting.value };
        let _ = writeln!(out, "{:width$}  {value}  ({origin})", setting.path);
    }
}

fn json(
    cluster: &Cluster,
    hosts: &[&Host],
    certificates: &[CertRequest],
    settings: &[Setting],
    sources: &Sources,
) -> Value {
    let certificate = |c: &CertRequest| {
        json!({"id": c.id.as_str(), "purpose": c.purpose, "commonName": c.common_name, "names": names(c),
            "issuer": c.issuer.as_ref().map(|id| id.as_str().to_owned()), "validityDays": c.validity_days})
    };
    let hosts: Vec<Value> = hosts
        .iter()
        .map(|host| {
            let of_host = certificates.iter().filter(|c| c.host.as_ref() == Some(&host.fqdn));
            let port = |p: &ports::Port| json!({"port": p.port, "what": p.what, "from": p.from});
            json!({
                "name": host.name, "fqdn": host.fqdn, "nodeName": host.node_name, "zone": host.zone,
                "group": host.group, "retired": host.state == HostState::Retired,
                "roles": host.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(),
                "addresses": host.addresses.cluster,
                "ssh": {"address": host.ssh.address, "user": host.ssh.user, "port": host.ssh.port},
                "ports": ports::login(host).iter().chain(&ports::of_host(cluster, host)).map(port).collect::<Vec<_>>(),
                "certificates": of_host.map(certificate).collect::<Vec<_>>(),
            })
        })
        .collect();
    let settings: Vec<Value> = settings
        .iter()
        .map(|setting| match setting.origin {
            Origin::Written(span) => {
                let (line, column) = sources.line_col(span);
                json!({"path": setting.path, "value": setting.value, "from": "written",
                    "file": sources.path(span.source), "line": line, "column": column})
            }
            Origin::Default => json!({"path": setting.path, "value": setting.value, "from": "default"}),
            Origin::Derived(how) => {
                let value = Some(&setting.value).filter(|value| !value.is_empty());
                json!({"path": setting.path, "value": value, "from": "derived", "how": how})
            }
        })
        .collect();
    let waiver = |w: &Waiver| json!({"code": w.code.as_str(), "path": w.path, "until": w.until.to_string(), "reason": w.reason});
    let k = &cluster.kubernetes;
    json!({
        "name": cluster.name, "folder": cluster.folder, "kubernetes": k.version.to_string(),
        "etcd": cluster.etcd.version.to_string(), "endpoint": format!("{}:{}", k.endpoint.host, k.endpoint.port),
        "vips": cluster.load_balancer.vips.iter().map(|vip| vip.address.to_string()).collect::<Vec<_>>(),
        "podSubnet": k.pod_subnets.joined(), "serviceSubnet": k.service_subnets.joined(),
        "kubeProxy": k.kube_proxy_mode.as_str(), "hosts": hosts,
        "certificates": certificates.iter().filter(|c| c.host.is_none()).map(certificate).collect::<Vec<_>>(),
        "waivers": cluster.waivers.iter().map(waiver).collect::<Vec<_>>(),
        "settings": settings,
    })
}
