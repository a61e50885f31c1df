//! The findings that both readers and the merge share, so that one fault reads the same in YAML and TOML.

use crate::diag::{Code, Diagnostic};
use crate::load::MAX_DEPTH;
use crate::source::{Span, Spanned};

pub(super) fn duplicate_key(again: &Spanned<String>, first: Span) -> Diagnostic {
    Diagnostic::error(Code::DuplicateKey, format!("`{}` is set twice in one map", again.value))
        .at(again.span, "set again here")
        .also(first, "first set here")
        .reason("which of the two counts would depend on the reader")
        .help("keep one of them, or join what they hold")
}

pub(super) fn too_deep(at: Span) -> Diagnostic {
    Diagnostic::error(Code::TooDeep, format!("nested more than {MAX_DEPTH} levels deep")).at(at, "").help(
        "no setting needs more than a few levels; look for brackets or dashes that are there by mistake",
    )
}

pub(super) fn bad_key(at: Span) -> Diagnostic {
    Diagnostic::error(Code::BadKey, "a key must be text").at(at, "not a name").help("write `name: value`")
}

pub(super) fn anchor(at: Span) -> Diagnostic {
    share(Diagnostic::error(Code::YamlAnchor, "YAML anchors are not accepted").at(at, "an anchor"))
}

pub(super) fn alias(at: Span) -> Diagnostic {
    share(
        Diagnostic::error(Code::YamlAnchor, "YAML aliases are not accepted")
            .at(at, "an alias")
            .help("write the value here; quote it if it is meant to begin with `*`"),
    )
}

pub(super) fn merge_key(at: Span) -> Diagnostic {
    share(Diagnostic::error(Code::YamlAnchor, "YAML merge keys are not accepted").at(at, "a merge key"))
}

fn share(found: Diagnostic) -> Diagnostic {
    let found = found.reason("a reviewer of one place would not see what changes in another");
    if found.help.is_some() {
        return found;
    }
    found.help("put what hosts share under `defaults`, `roles` or `groups`")
}

pub(super) fn tag(at: Span) -> Diagnostic {
    Diagnostic::error(Code::YamlTag, "YAML tags are not accepted")
        .at(at, "a tag")
        .help("remove it; quote the value if it is meant as text")
}

pub(super) fn several_documents(at: Span) -> Diagnostic {
    Diagnostic::error(Code::YamlDocuments, "a second document begins in this file")
        .at(at, "")
        .help("move what follows into a file of its own, or remove the `---`")
}

pub(super) fn not_a_map(at: Span, kind: &str) -> Diagnostic {
    Diagnostic::error(Code::NotAMap, format!("a document must be a map of keys, this is {kind}"))
        .at(at, "")
        .help("begin with keys like `cluster:`, `kubernetes:` or `hosts:`")
}
