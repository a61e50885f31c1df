//! The file that rollout.sh walks: a head, then one step a line, columns separated by tabs.

use super::{Rollout, Step};

/// The file's text.
pub fn file(rollout: &Rollout, cluster: &str, cluster_id: &str) -> String {
    let mut out = format!(
        "# khagen-rollout\tv1\n# cluster\t{cluster}\n# clusterId\t{cluster_id}\n# etcd\t{}\n# step\taction\thosts\tbefore\tafter\tnote\n",
        if rollout.etcd_members.is_empty() { "-".to_owned() } else { rollout.etcd_members.join(",") }
    );
    for step in &rollout.steps {
        out.push_str(&line(step));
    }
    out
}

fn line(step: &Step) -> String {
    let list = |words: Vec<&str>| if words.is_empty() { "-".to_owned() } else { words.join(",") };
    let hosts = list(step.hosts.iter().map(AsRef::as_ref).collect());
    let before = list(step.before.iter().map(|g| g.as_str()).collect());
    let after = list(step.after.iter().map(|g| g.as_str()).collect());
    let note = step.note.replace(['\t', '\n'], " ");
    format!("{}\t{}\t{hosts}\t{before}\t{after}\t{note}\n", step.number, step.action.name())
}
