use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::diff::change::*;
use crate::diff::rollout::{Action, Gate, Rollout, Serving, Step};

/// What a hostile inventory or review tree may hold.
const HOSTILE: [&str; 8] = [
    "</script><img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    "--><script>alert(1)</script>",
    "</title></style><iframe src=//x>",
    "&lt;b&gt; &#60;i>",
    "javascript:alert(1)",
    "a\u{2028}b\u{202e}c\u{0}d\u{1b}[31m",
];

fn host(name: &str, role: &str, presence: Presence, effect: Class) -> HostDiff {
    HostDiff {
        name: Arc::from(name),
        roles: vec![role.to_owned()],
        addresses: vec!["192.168.13.35".to_owned()],
        presence,
        effect,
    }
}

fn effect(class: Class, unit: Option<&str>, procedure: Option<&str>, reason: &str) -> Effect {
    Effect {
        class,
        unit: unit.map(str::to_owned),
        procedure: procedure.map(str::to_owned),
        reason: reason.to_owned(),
        rule: "E001",
    }
}

fn change(file: &str, what: What, hosts: &[&str], effects: Vec<Effect>) -> Change {
    let mut hosts: Vec<Arc<str>> = hosts.iter().map(|h| Arc::from(*h)).collect();
    hosts.sort();
    Change { file: file.to_owned(), what, hosts, each: Vec::new(), minor: false, effects }
}

fn field(name: &str, old: Option<&str>, new: Option<&str>) -> What {
    What::Field { field: name.to_owned(), old: old.map(str::to_owned), new: new.map(str::to_owned) }
}

fn diff(hosts: Vec<HostDiff>, changes: Vec<Change>) -> Diff {
    Diff {
        schema: SCHEMA,
        old: "old".to_owned(),
        new: "new".to_owned(),
        clusters: vec![ClusterDiff {
            folder: String::new(),
            name: "k8s-cluster1".to_owned(),
            cluster_id: "f4bb".to_owned(),
            hosts,
            changes,
            issues: Vec::new(),
            rollout: Rollout::default(),
            certificates: Vec::new(),
        }],
    }
}

/// A comparison that says `text` wherever a text can be.
fn everywhere(text: &str) -> Diff {
    let own = || text.to_owned();
    let hosts: Vec<&str> = vec![text, "b.example.com"];
    let with_each = |mut c: Change| {
        c.each = vec![Each { host: Arc::from(text), file: own(), old: Some(own()), new: Some(own()) }];
        c
    };
    let e = || {
        vec![
            effect(Class::Restart, Some(text), None, text),
            effect(Class::Reconfigure, None, Some(text), text),
        ]
    };
    let mut out = diff(
        vec![
            HostDiff { addresses: vec![own()], ..host(text, text, Presence::Changed, Class::Restart) },
            host("b.example.com", "etcd", Presence::Added, Class::None),
            host("operator", "", Presence::Changed, Class::None),
        ],
        vec![
            change("", What::HostAdded { roles: vec![own()], files: 3 }, &hosts, e()),
            change("", What::HostRetired { roles: vec![own()] }, &hosts, e()),
            change("", What::HostRemoved { roles: vec![own()] }, &hosts, e()),
            with_each(change(text, field(text, Some(text), Some(text)), &hosts, e())),
            change(text, field(text, Some(&format!("x {text}")), Some(&format!("y {text}"))), &hosts, e()),
            change(text, What::FileAdded { attributes: own(), secret: Some(own()), lines: 1 }, &hosts, e()),
            change(text, What::FileRemoved { policy: own() }, &hosts, e()),
            change(text, What::Mode { old: own(), new: own() }, &hosts, e()),
            change(text, What::Owner { old: own(), new: own() }, &hosts, e()),
            change(text, What::Policy { old: own(), new: own() }, &hosts, e()),
            change(
                text,
                What::Text { patch: format!("@@ {text}\n-{text}\n+{text}\n {text}\n"), added: 1, removed: 1 },
                &hosts,
                e(),
            ),
            with_each(change(
                text,
                What::Secret { secret: own(), how: own(), old: own(), new: own() },
                &hosts,
                vec![effect(Class::Destructive, None, None, text)],
            )),
        ],
    );
    out.old = own();
    out.new = own();
    let cluster = &mut out.clusters[0];
    cluster.name = own();
    cluster.folder = own();
    cluster.cluster_id = own();
    cluster.issues = vec![Issue { id: own(), reason: own() }];
    cluster.certificates = [false, true]
        .into_iter()
        .map(|ca| CertificateDates {
            host: Arc::from(text),
            file: own(),
            subject: own(),
            ca,
            old_not_after: Some(own()),
            new_not_after: Some("2027-11-22T10:00:00Z".to_owned()),
        })
        .collect();
    cluster.rollout = Rollout {
        steps: vec![Step {
            number: 1,
            action: Action::Install,
            hosts: vec![Arc::from(text)],
            before: vec![Gate::Etcd],
            after: vec![Gate::Verify],
            note: own(),
            serving: Serving { etcd: Some((2, 3)), gap_ms: 1500, ..Serving::default() },
            commands: vec![own()],
        }],
        refused: vec![own()],
        etcd_members: vec![Arc::from(text)],
    };
    out
}

/// A tag with its attributes, read as strictly as we write.
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

/// Every opening tag. The text between is checked to hold no `<`; attributes must be quoted.
fn tags(html: &str) -> Vec<Tag> {
    let mut out = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if rest.starts_with('/') || rest.starts_with("!doctype html>") {
            let end = rest.find('>').expect("a closed tag");
            assert!(
                rest[..end].chars().all(|c| c.is_ascii_alphanumeric() || "/! ".contains(c)),
                "{}",
                &rest[..end]
            );
            rest = &rest[end + 1..];
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).expect("a tag");
        let mut tag = Tag { name: rest[..end].to_owned(), attributes: Vec::new() };
        assert!(!tag.name.is_empty(), "a stray <: {:.60}", rest);
        rest = &rest[end..];
        loop {
            rest = rest.trim_start_matches([' ', '\n', '/']);
            if let Some(after) = rest.strip_prefix('>') {
                rest = after;
                break;
            }
            let end = rest.find([' ', '=', '>']).expect("an attribute");
            let name = rest[..end].to_owned();
            rest = &rest[end..];
            let value = match rest.strip_prefix("=\"") {
                Some(after) => {
                    let end = after.find('"').expect("a closing quote");
                    rest = &after[end + 1..];
                    after[..end].to_owned()
                }
                None => {
                    assert!(!rest.starts_with('='), "{name} without quotes");
                    String::new()
                }
            };
            tag.attributes.push((name, value));
        }
        // What is raw: its digest is what the browser checks.
        if tag.name == "script" || tag.name == "style" {
            let close = format!("</{}>", tag.name);
            let end = rest.find(&close).expect("closed");
            rest = &rest[end + close.len()..];
        }
        out.push(tag);
    }
    out
}

fn shape(html: &str) -> Vec<(String, Vec<String>)> {
    tags(html).into_iter().map(|t| (t.name, t.attributes.into_iter().map(|a| a.0).collect())).collect()
}

#[test]
fn hostile_text_is_text_everywhere() {
    // The same comparison with a harmless text has exactly the same tags: nothing that a file says makes one.
    let harmless = shape(&html(&everywhere("harmless_text")));
    for text in HOSTILE {
        let page = html(&everywhere(text));
        let found = shape(&page);
        for (n, (a, b)) in found.iter().zip(&harmless).enumerate() {
            assert_eq!(a, b, "tag {n} of {text:?}");
        }
        assert_eq!(found.len(), harmless.len(), "{text:?}");
        for tag in tags(&page) {
            for (name, value) in &tag.attributes {
                assert!(!name.starts_with("on") && name != "style", "<{} {name}={value}>", tag.name);
                if name == "href" {
                    assert!(value.starts_with('#') || value == "data:,", "{value}");
                }
                assert!(name != "src", "<{} src={value}>", tag.name);
            }
        }
        assert!(!page.contains(['\u{0}', '\u{1b}', '\u{2028}', '\u{202e}']));
    }
}

#[test]
fn what_cannot_be_seen_is_spelled_out() {
    let page = html(&everywhere("a\u{202e}b\u{2028}c\u{0}d\u{200b}e"));
    assert!(page.contains("a⟨U+202E⟩b⟨U+2028⟩c⟨U+0000⟩d⟨U+200B⟩e"));
}

#[test]
fn links_within_the_page_have_a_target_and_ids_are_unique() {
    for page in [html(&everywhere("x y\"z")), html(&many(40))] {
        let tags = tags(&page);
        let mut ids = BTreeSet::new();
        let all = |name: &'static str| {
            tags.iter()
                .flat_map(move |t| t.attributes.iter().filter(move |a| a.0 == name).map(|a| a.1.as_str()))
        };
        for id in all("id") {
            assert!(ids.insert(id), "{id} twice");
        }
        for target in all("href").filter_map(|h| h.strip_prefix('#')).chain(all("data-set")).chain(all("for"))
        {
            assert!(ids.contains(target), "nothing is {target}");
        }
        for label in all("aria-labelledby").chain(all("aria-describedby")) {
            assert!(ids.contains(label), "nothing is {label}");
        }
    }
}

/// Three members, `workers` workers, one change of all.
fn many(workers: usize) -> Diff {
    let name = |n: usize| format!("w{n:04}.example.com");
    let mut hosts: Vec<HostDiff> = (1..=3)
        .map(|n| host(&format!("e{n}.example.com"), "etcd", Presence::Unchanged, Class::None))
        .collect();
    hosts.extend((1..=workers).map(|n| host(&name(n), "worker", Presence::Changed, Class::Restart)));
    let names: Vec<String> = (1..=workers).map(name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let restart =
        || vec![effect(Class::Restart, Some("kubelet.service"), None, "The kubelet reads it once.")];
    diff(
        hosts,
        vec![
            change("/etc/a.yaml", field("maxPods", Some("110"), Some("200")), &names, restart()),
            change("/etc/b.yaml", field("x", None, Some("1")), &names, restart()),
        ],
    )
}

#[test]
fn many_hosts_are_listed_in_full_and_once() {
    let page = html(&many(1000));
    assert!(page.contains("all 1000 workers"));
    let list =
        page.split("<ul class=\"names\">").find(|p| p.contains("<li>w0001.example.com")).expect("the list");
    let list = list.split("</ul>").next().expect("its end");
    assert_eq!(list.matches("<li>").count(), 1000);
    assert_eq!(
        page.matches("<li>w0500.example.com").count(),
        1,
        "two changes of the same hosts share a list"
    );
    assert_eq!(page.matches("class=\"host square").count(), 1000);
    assert_eq!(page.matches("data-kind=\"host\"").count(), 1003);
}

#[test]
fn the_policy_allows_this_style_and_this_script_and_nothing_else() {
    let page = html(&many(1));
    let policy = tags(&page)
        .into_iter()
        .find(|t| t.attributes.iter().any(|a| a.1 == "Content-Security-Policy"))
        .and_then(|t| t.attributes.into_iter().find(|a| a.0 == "content"))
        .expect("a policy")
        .1;
    let inside = |name: &str| {
        let (_, rest) = page.split_once(&format!("<{name}>")).expect("opens");
        rest.split_once(&format!("</{name}>")).expect("closes").0
    };
    let expected = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; img-src data:; base-uri 'none'; form-action 'none'",
        digest(inside("style")),
        digest(inside("script"))
    );
    assert_eq!(policy, expected);
    assert_eq!(page.matches("<script").count(), 1);
    for scheme in ["http:", "https:", "//cdn", "@import", "url(http"] {
        assert!(!page.contains(scheme), "{scheme}");
    }
}

#[test]
fn the_same_comparison_gives_the_same_bytes() {
    assert_eq!(html(&everywhere("a")), html(&everywhere("a")));
    assert_eq!(html(&many(30)), html(&many(30)));
}

#[test]
fn nothing_is_said_as_nothing() {
    let page = html(&diff(vec![host("a.example.com", "etcd", Presence::Unchanged, Class::None)], Vec::new()));
    assert!(page.contains("No change: both sides are the same build."));
    assert!(!page.contains("-changes\""));
}

#[test]
fn refusal_comes_before_everything() {
    let mut d = many(2);
    d.clusters[0].rollout.refused = vec!["step 1 leaves 1 of 3 members".to_owned()];
    let page = html(&d);
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is not there"));
    assert!(at("This cannot be rolled out as it is.") < at("Which hosts change?"));
    assert!(at("step 1 leaves 1 of 3 members") < at("Topology</h3>"));
}

#[test]
fn a_certificate_authority_with_another_key_is_a_change_of_trust() {
    let file = "/etc/etcd/pki/etcd-ca.crt";
    let mut d = diff(
        vec![host("e1.example.com", "etcd", Presence::Changed, Class::Recreate)],
        vec![change(file, field("key", Some("a"), Some("b")), &["e1.example.com"], Vec::new())],
    );
    let date = Some("2036-11-22T10:00:00Z".to_owned());
    d.clusters[0].certificates = vec![CertificateDates {
        host: Arc::from("e1.example.com"),
        file: file.to_owned(),
        subject: "CN=etcd-ca".to_owned(),
        ca: true,
        old_not_after: date.clone(),
        new_not_after: date,
    }];
    assert!(html(&d).contains("Trust changes"));
    d.clusters[0].changes[0].file = "/etc/other".to_owned();
    assert!(!html(&d).contains("Trust changes"));
}

#[test]
fn certificates_that_end_on_the_same_days_are_one_row_and_many_days_are_months() {
    let mut d = many(1);
    let row = |n: usize, old: String, new: String| CertificateDates {
        host: Arc::from(format!("w{n:05}.example.com")),
        file: format!("/etc/etcd/pki/w{n:05}-peer.crt"),
        subject: format!("CN=w{n:05}.example.com"),
        ca: false,
        old_not_after: Some(old),
        new_not_after: Some(new),
    };
    let same =
        |n: usize| row(n, format!("2026-11-22T10:00:{:02}Z", n % 60), "2027-11-22T10:00:00Z".to_owned());
    d.clusters[0].certificates = (0..900).map(same).collect();
    let page = html(&d);
    assert_eq!(page.matches("data-kind=\"certificate\"").count(), 1);
    assert!(page.contains("/etc/etcd/pki/&lt;name&gt;-peer.crt"));
    let spread = |n: usize| {
        let day = format!("{:02}-{:02}T00:00:00Z", n / 27 % 12 + 1, n % 27 + 1);
        row(n, format!("{}-{day}", 2020 + n / 324), "2027-11-22T10:00:00Z".to_owned())
    };
    d.clusters[0].certificates = (0..20_000).map(spread).collect();
    let page = html(&d);
    let rows = page.matches("data-kind=\"certificate\"").count();
    assert!((10..=300).contains(&rows), "{rows}");
    assert!(page.len() < 3_000_000, "{}", page.len());
}

#[test]
fn a_word_is_marked_where_only_it_differs() {
    let page = html(&diff(
        vec![host("a.example.com", "etcd", Presence::Changed, Class::None)],
        vec![change(
            "/etc/x",
            field("SANs", Some("one, two, three, four"), Some("one, two, 3, four")),
            &["a.example.com"],
            Vec::new(),
        )],
    ));
    assert!(page.contains("one, two, <mark>three</mark>, four"), "{page}");
    assert!(page.contains("one, two, <mark>3</mark>, four"));
}
