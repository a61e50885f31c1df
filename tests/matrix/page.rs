//! docs/versions.md: which minors there are, what each was judged by, and where khagen and kubeadm differ.
//!
//! A run with fewer minors compares its own columns and takes the others as they stand. One with every minor writes the page
//! anew under `KHAGEN_BLESS`.

use std::fs;

use khagen::model::Version;
use khagen::model::releases::{KUBERNETES, kubernetes};

use crate::cases::CASES;
use crate::judge::Minor;
use crate::minors::{LINES, Outcome};
use crate::reasons::{REASONS, Who};
use crate::support::root;

/// What stands in a table of the known page: the row that begins with these cells, the column of this name.
fn known<'a>(page: &'a str, row: &str, column: &str) -> &'a str {
    let cells = |line: &'a str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
    let mut header = Vec::new();
    let mut before = "";
    for line in page.lines().filter(|line| line.starts_with('|')) {
        if line.starts_with("|---") {
            header = cells(before);
        }
        let of = cells(line);
        if of.first() == Some(&row) {
            let at = header.iter().position(|name| *name == column);
            if let Some(cell) = at.and_then(|at| of.get(at)) {
                return cell;
            }
        }
        before = line;
    }
    "?"
}

fn made(old: &str, minors: &[Minor], outcomes: &[Vec<Outcome>]) -> String {
    let at = |minor: u32| minors.iter().position(|m| m.minor == minor);
    let mut page = String::from(
        "# Versions of Kubernetes\n\n<!-- Written by the command of tests/oracle/README.md, \"Every minor\". -->\n\n\
         khagen knows these minors, and any patch level of them. \"Judged by\" is the kubeadm that has read every document below:\n\
         upstream's own code, built from its Go modules for the tests. A minor past its end of life is built with a warning\n\
         (`khagen explain KH0501`).\n\n\
         | minor | fixes until | kubeadm API | CoreDNS | pause | external etcd from | judged by |\n|---|---|---|---|---|---|---|\n",
    );
    for release in &KUBERNETES {
        let name = format!("1.{}", release.minor);
        let judge = match at(release.minor) {
            Some(i) => format!("kubeadm {}", minors[i].version),
            None => known(old, &name, "judged by").to_owned(),
        };
        let version = judge.strip_prefix("kubeadm ").and_then(Version::parse);
        let release = version.and_then(kubernetes).unwrap_or(release);
        let patch = version.map_or(0, |v| v.patch);
        page.push_str(&format!(
            "| {name} | {} | {} | {} | {} | {} | {judge} |\n",
            release.end_of_life,
            if release.minor < 31 { "v1beta3" } else { "v1beta4" },
            release.coredns(patch),
            release.pause,
            release.min_external_etcd(patch)
        ));
    }
    page.push_str(
        "\nThe images and the oldest external etcd are those of the patch level in the last column.\n\n\
         ## Inventories\n\n\
         How many documents of each inventory the minor's kubeadm took: decoded strictly, every field known, validated by kubeadm,\n\
         the kubelet and kube-proxy, no word of anything deprecated but of ipvs, which khagen warns of too. `khagen images` is equal to\n\
         `kubeadm config images list` in each cell (below 1.31, `kubeProxy.mode: none` apart: there kubeadm lists kube-proxy all the\n\
         same). A code is khagen's: the minor cannot do what the inventory asks.\n\n| inventory |",
    );
    for release in &KUBERNETES {
        page.push_str(&format!(" 1.{} |", release.minor));
    }
    page.push_str(&format!("\n|---|{}\n", "---|".repeat(KUBERNETES.len())));
    for (case, outcomes) in CASES.iter().zip(outcomes) {
        page.push_str(&format!("| {} |", case.name));
        for release in &KUBERNETES {
            let cell = match at(release.minor).map(|i| &outcomes[i]) {
                Some(Outcome::Refused(code)) => (*code).to_owned(),
                Some(taken @ Outcome::Taken(lines)) => {
                    assert!(lines.contains_key(LINES[6]));
                    taken.documents().to_string()
                }
                Some(Outcome::Wrong) | None => {
                    known(old, case.name, &format!("1.{}", release.minor)).to_owned()
                }
            };
            page.push_str(&format!(" {cell} |"));
        }
        page.push('\n');
    }
    page.push_str("\n| inventory | what it has |\n|---|---|\n");
    for case in &CASES {
        let phases = if case.phases {
            "; `kubeadm init phase certs all` and `kubeconfig all` find the bundle complete"
        } else {
            ""
        };
        page.push_str(&format!("| {} | {}{phases} |\n", case.name, case.shows));
    }
    page.push_str(
        "\n## Where khagen and kubeadm differ\n\n\
         Both are asked about the same mistakes, thousands of them at each run: in an inventory, and in the document that it would\n\
         become. They refuse the same ones but for these. `khagen explain CODE` says more of a rule.\n\n\
         | who refuses | of | why |\n|---|---|---|\n",
    );
    for reason in REASONS {
        let who =
            if reason.who == Who::Khagen { format!("khagen, {}", reason.code) } else { "kubeadm".to_owned() };
        let keys: Vec<String> =
            reason.keys.iter().map(|key| format!("`{}`", key.replace('/', "."))).collect();
        page.push_str(&format!("| {who} | {} | {} |\n", keys.join(", "), reason.why));
    }
    page
}

/// Compares the page with what came of the minors that were asked, or writes it.
pub fn current(minors: &[Minor], outcomes: &[Vec<Outcome>]) {
    let path = root().join("docs/versions.md");
    let old = fs::read_to_string(&path).unwrap_or_default();
    let page = made(&old, minors, outcomes);
    if std::env::var_os("KHAGEN_BLESS").is_some() && minors.len() == KUBERNETES.len() {
        fs::write(&path, &page).expect("write");
        return;
    }
    assert!(
        old == page,
        "docs/versions.md is not what came of this: tests/oracle/README.md has the command; it would be\n{page}"
    );
}
