//! `khagen init`: a commented inventory from arguments, answers, a list of hosts or an Ansible inventory.
//!
//! Written aside, held against the check, and put in place by one rename: there is all of it or nothing. Never overwrites.

use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use super::{Exit, Failure, Streams, check};
use crate::cli::init::{Init, InitFormat};
use crate::diag::render;
use crate::diag::wrap::wrap;
use crate::env::{self, Env};
use crate::fs::{self, FsError, Sync};
use crate::init::draft::Draft;
use crate::init::questions::{self, Question};
use crate::init::write::{self, Language};
use crate::init::{ansible, hosts};
use crate::model::Role;
use crate::pki::recipients::Recipients;
use crate::schema::json::{self, Extent};

/// Runs the command.
pub fn run(args: &Init, streams: &mut Streams) -> Result<Exit, Failure> {
    refuse_taken(&args.dir)?;
    let mut draft = draft(args, streams)?;
    let mut asked = false;
    if io::stdin().is_terminal() {
        asked = ask(&mut draft, streams)?;
    } else {
        let missing = questions::missing(&draft);
        // Workers may come later, and pods then run on the control planes.
        let needed: Vec<&str> =
            missing.iter().filter(|q| **q != Question::Hosts(Role::Worker)).map(|q| q.flag()).collect();
        if !needed.is_empty() {
            let compact = needed.contains(&"--etcd") || needed.contains(&"--load-balancer");
            let or = if compact { "; --compact puts etcd and balancers on the control planes" } else { "" };
            return Err(Failure::because(Exit::Usage, format!("missing: {}", needed.join(", ")))
                .help(format!("give them, or run on a terminal, where they are asked for{or}")));
        }
        if !draft.has(Role::Worker) {
            draft.share(Role::Worker);
        }
    }
    let language = match args.format {
        InitFormat::Yaml => Language::Yaml,
        InitFormat::Toml => Language::Toml,
    };
    let exit = place(&args.dir, &draft, language, streams)?;
    if asked && exit == Exit::Invalid {
        let again = arguments(args, &draft).join(" \\\n    ");
        streams.err(&format!("\nthe same again, to correct:\n  khagen init {again}\n"));
    }
    Ok(exit)
}

/// The command line that needs no answers.
fn arguments(args: &Init, draft: &Draft) -> Vec<String> {
    let mut all = draft.arguments();
    all.extend(args.recipient.iter().map(|key| format!("--recipient '{key}'")));
    all.extend(args.no_recipient.then(|| "--no-recipient".to_owned()));
    all.extend((args.format == InitFormat::Toml).then(|| "--format toml".to_owned()));
    all.extend((args.dir != Path::new("inventory")).then(|| format!("'{}'", args.dir.display())));
    all
}

/// What arguments and files say.
fn draft(args: &Init, streams: &mut Streams) -> Result<Draft, Failure> {
    let usage = |message: String| Failure::because(Exit::Usage, message);
    let mut draft = Draft {
        name: args.name.clone(),
        domain: args.domain.clone(),
        vip: args.vip.clone(),
        interface: args.interface.clone(),
        virtual_router_id: args.virtual_router_id,
        endpoint: args.endpoint.clone(),
        kubernetes: args.kubernetes.clone(),
        pod_subnet: args.pod_subnet.clone(),
        service_subnet: args.service_subnet.clone(),
        ..Draft::default()
    };
    if let Some(path) = args.hosts.as_ref().or(args.ansible.as_ref()) {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Failure::because(Exit::Error, format!("{}: {e}", path.display())))?;
        let failed = |what: String| usage(format!("{}: {what}", path.display()));
        let (machines, domain) = if args.hosts.is_some() {
            hosts::list(&text).map_err(failed)?
        } else {
            let ansible::Found { machines, domain, without } = ansible::read(&text).map_err(failed)?;
            if !without.is_empty() {
                streams.err(&format!("left out, as no group gives them a role: {}\n", without.join(", ")));
            }
            (machines, domain)
        };
        draft.machines = machines;
        draft.domain = draft.domain.or(domain);
    }
    for (role, list) in [
        (Role::ControlPlane, &args.control_plane),
        (Role::Etcd, &args.etcd),
        (Role::LoadBalancer, &args.load_balancer),
        (Role::Worker, &args.worker),
    ] {
        for text in list {
            hosts::argument(text, role, &mut draft.machines).map_err(usage)?;
        }
    }
    if args.compact || args.hosts.is_some() || args.ansible.is_some() {
        share(&mut draft, args.compact, streams);
    }
    draft.recipients = recipients(args, streams)?;
    Ok(draft)
}

/// Roles that nobody has go to the control planes.
fn share(draft: &mut Draft, compact: bool, streams: &mut Streams) {
    for role in [Role::Etcd, Role::LoadBalancer, Role::Worker] {
        if draft.has(role) || (role == Role::LoadBalancer && draft.control_planes() < 2) {
            continue;
        }
        draft.share(role);
        if !compact && draft.control_planes() > 0 {
            streams.err(&format!("no host has the role {}; the control planes get it\n", role.as_str()));
        }
    }
}

/// The keys of the arguments, else the user's own.
fn recipients(args: &Init, streams: &mut Streams) -> Result<Vec<String>, Failure> {
    if args.no_recipient {
        return Ok(Vec::new());
    }
    if args.recipient.is_empty() {
        let Some((path, key)) = env::ssh_public_key() else {
            streams.err(
                "no ~/.ssh/id_ed25519.pub: the store will not be encrypted (--recipient KEY changes that)\n",
            );
            return Ok(Vec::new());
        };
        return Ok(match Recipients::parse(&key) {
            Ok(key) => {
                streams.err(&format!("the store will be encrypted to {}\n", path.display()));
                vec![key]
            }
            Err(_) => Vec::new(),
        });
    }
    let read = |text: &String| {
        Recipients::parse(text).map_err(|e| Failure::because(Exit::Usage, format!("--recipient {text}: {e}")))
    };
    args.recipient.iter().map(read).collect()
}

/// Asks what is open, again where an answer cannot be used. Says whether anything was.
fn ask(draft: &mut Draft, streams: &mut Streams) -> Result<bool, Failure> {
    let mut input = io::stdin().lock();
    let width = streams.err_look().width.unwrap_or(usize::MAX);
    let mut first = true;
    let mut explained = None;
    while let Some(question) = questions::ALL.into_iter().find(|question| question.is_open(draft)) {
        if std::mem::take(&mut first) {
            let how = "Enter alone takes what stands in brackets; Ctrl-C ends and writes nothing.";
            streams.err(&format!("{}\n", wrap(how, width)));
        }
        let (what, why) = question.text();
        let fallback = question.fallback().map(|text| format!(" [{text}]")).unwrap_or_default();
        if explained.replace(question) != Some(question) {
            streams.err(&format!("\n{}\n", wrap(why, width)));
        }
        streams.err(&format!("{what}{fallback}: "));
        let mut line = String::new();
        let read = input.read_line(&mut line).map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData => {
                Failure::because(Exit::Usage, "that is no UTF-8; nothing was written")
            }
            _ => Failure::new(Exit::Error, &e),
        })?;
        if read == 0 {
            streams.err("\n");
            return Err(Failure::because(Exit::Usage, "the answers ended; nothing was written"));
        }
        let said = match question.answer(&line, draft) {
            Ok(()) if line.trim().is_empty() => None,
            Ok(()) => question.outcome(draft),
            Err(what) => Some(what),
        };
        if let Some(said) = said {
            streams.err(&format!("{}\n", wrap(&format!("  {said}"), width)));
        }
    }
    Ok(!first)
}

fn refuse_taken(dir: &Path) -> Result<(), Failure> {
    let empty = match std::fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(e) => e.kind() == io::ErrorKind::NotFound,
    };
    if empty {
        return Ok(());
    }
    let what = if dir.is_dir() { "is not empty" } else { "is there already" };
    Err(Failure::because(Exit::Precondition, format!("{} {what}; nothing was written", dir.display()))
        .help("name a folder that is not there yet: khagen init DIR"))
}

/// Writes aside, checks, renames.
fn place(dir: &Path, draft: &Draft, language: Language, streams: &mut Streams) -> Result<Exit, Failure> {
    let failed = |e: FsError| Failure::new(Exit::Error, &e);
    // A name without what a trailing slash or `.` would make of it.
    let target: PathBuf = dir.components().collect();
    if target.file_name().is_none() {
        return Err(Failure::because(Exit::Usage, format!("{} has no name", dir.display())));
    }
    let staged = fs::aside(&target, "khagen-init");
    fs::remove_tree(&staged).map_err(failed)?;
    fs::create_dirs(&staged, 0o755).map_err(failed)?;
    let documents = write::documents(draft, language);
    let schema = ("schema.json", json::schema(Extent::Document));
    for (name, text) in documents.iter().chain([&schema]) {
        fs::create(&staged.join(name), text.as_bytes(), 0o644, Sync::Now).map_err(failed)?;
    }
    let env = Env::system().map_err(|e| Failure::new(Exit::Error, &e))?;
    let checked = check::checked(&staged, &env);
    let look = streams.err_look();
    let shown = |path: &Path| path.display().to_string();
    let said =
        render::text(&checked.report, &checked.sources, look).replace(&shown(&staged), &shown(&target));
    streams.err(&said);
    if checked.inventory.is_none() {
        fs::remove_tree(&staged).map_err(failed)?;
        streams.err("what was given makes no valid inventory; nothing was written\n");
        return Ok(Exit::Invalid);
    }
    refuse_taken(&target).inspect_err(|_| drop(fs::remove_tree(&staged)))?;
    fs::rename(&staged, &target).map_err(failed)?;
    fs::sync_parent(&target).map_err(failed)?;
    for (name, _) in documents.iter().chain([&schema]) {
        streams.out(&format!("{}\n", shown(&target.join(name))));
    }
    summary(draft, &target, streams);
    Ok(Exit::Done)
}

/// What was decided that nobody asked for and that cannot change once the cluster runs; and what comes next.
fn summary(draft: &Draft, target: &Path, streams: &mut Streams) {
    let (pods, services) = draft.subnets();
    let here =
        if target == Path::new("inventory") { String::new() } else { format!(" {}", target.display()) };
    let show = if here.is_empty() { String::new() } else { format!(" --inventory{here}") };
    let steps = [
        (format!("khagen check{here}"), "every finding".to_owned()),
        (format!("khagen show{show}"), "what khagen understood".to_owned()),
        (format!("khagen build{here}"), format!("bundles for {} hosts, in out/", draft.machines.len())),
    ];
    let column = steps.iter().map(|(step, _)| step.chars().count()).max().unwrap_or_default();
    let mut said = format!(
        "\nlook at these, which cannot change once the cluster runs:\n  \
         controlPlaneEndpoint  {}\n  podSubnet             {pods}\n  serviceSubnet         {services}\n\nnext:\n",
        draft.endpoint()
    );
    for (step, what) in steps {
        said.push_str(&format!("  {step:column$}   {what}\n"));
    }
    streams.err(&said);
}
