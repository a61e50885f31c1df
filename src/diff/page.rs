//! `docs/effects.md`, made from the tables that decide: which change has which effect, and which differences mean nothing.

use std::fmt::Write;

use super::effect::table::{Scope, rules};
use super::fields::MEANINGLESS;

/// The page. A test compares it with the file.
pub fn page() -> String {
    let mut out = String::from(
        "# What a change brings about\n\n\
         `khagen diff` gives every change its effects. What systemd does is in each bundle's MANIFEST.json: the files that restart \
         or reload a unit; `install.sh` reads the same lines. What systemd cannot know is in the table below. It is made from \
         `src/diff/effect/table/`; the first rule that fits a change's file and field is the change's.\n\n\
         | effect | means |\n|---|---|\n\
         | none | nothing that runs notices |\n\
         | inert | read once, long ago |\n\
         | reload | a unit reads its files anew |\n\
         | restart | a unit stops and starts |\n\
         | reissue | a certificate or key is issued again |\n\
         | reconfigure | only a procedure brings it into the running cluster |\n\
         | recreate | cannot be changed once the cluster, member or node was made |\n\
         | destructive | loses a member, data, or access |\n\n\
         A rollout with a change that is `recreate` is refused, unless the change is one that a node survives by leaving and joining \
         anew (`rejoin`).\n\n\
         | rule | files | fields | effect | brought in by | why | source |\n|---|---|---|---|---|---|---|\n",
    );
    for rule in rules() {
        let list = |items: &[&str]| {
            let code: Vec<String> = items.iter().map(|i| format!("`{i}`")).collect();
            if code.is_empty() { "any".to_owned() } else { code.join("<br>") }
        };
        let by = match (rule.procedure, rule.scope) {
            (None, _) => String::new(),
            (Some(procedure), Scope::Bastion) => format!("`{procedure}` at the bastion"),
            (Some("rejoin"), _) => "`rejoin`: drain, uninstall, forget, join".to_owned(),
            (Some(procedure), scope) => {
                let on = match scope {
                    Scope::Host => "on the host",
                    Scope::Once => "on one control plane",
                    Scope::ControlPlanes => "on every control plane, one at a time",
                    _ => "on every node",
                };
                format!("`reconfigure.sh {procedure}` {on}")
            }
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {by} | {} | {} |",
            rule.name,
            list(rule.files),
            list(rule.fields),
            rule.class.as_str(),
            rule.reason,
            rule.source
        );
    }
    out.push_str(
        "\nA host that is new changes nothing that runs. A host that is gone without having been retired is `destructive`, and its \
         rollout is refused: put it back with `state: retired`, and the rollout takes it out in order.\n\n\
         ## Differences that mean nothing\n\n\
         Two files that differ only in these are the same file to their reader, and no change. Everything else that differs in a \
         byte is reported. Beyond single files, these mean nothing: a bundle's generation number by itself; the manifest's \
         `validFrom` and `validUntil`, which follow from the certificates; in which shared folder of the review tree a text lies; the \
         order of lines in the operator's hosts.tsv beside another change of it.\n\n\
         | in | what |\n|---|---|\n",
    );
    for (format, what) in MEANINGLESS {
        let _ = writeln!(out, "| {format} | {what} |");
    }
    out
}
