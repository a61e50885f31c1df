//! `khagen images`: what the hosts need from elsewhere. Reads the inventory and nothing else.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Exit, Failure, Streams, check};
use crate::cli::{Images as Args, ListFormat};
use crate::diag::render;
use crate::env::Env;
use crate::render::{images, units};

/// Runs the command.
pub fn run(args: &Args, streams: &mut Streams) -> Result<Exit, Failure> {
    let env = Env::system().map_err(|e| Failure::new(Exit::Error, &e))?;
    let checked = check::checked(&args.inventory, &env);
    let Some(inventory) = &checked.inventory else {
        let look = streams.err_look();
        streams.err(&render::text(&checked.report, &checked.sources, look));
        return Ok(Exit::Invalid);
    };
    let clusters = &inventory.clusters;
    let text = match (args.format, args.packages) {
        (ListFormat::Json, _) => {
            let clusters: Vec<_> = clusters
                .iter()
                .map(|c| {
                    json!({
                        "name": c.name,
                        "kubernetes": c.kubernetes.version.to_string(),
                        "images": images::images(c),
                        "packages": units::packages(c),
                    })
                })
                .collect();
            format!("{:#}\n", json!({"schema": "khagen-images/v1", "clusters": clusters}))
        }
        (ListFormat::Text, true) => clusters
            .iter()
            .flat_map(units::packages)
            .map(|p| {
                let mut needed = p.packages.join(" ");
                for other in &p.other {
                    needed.push_str("; ");
                    needed.push_str(other);
                }
                format!("{}: {needed}\n  on {}\n", p.roles.join(", "), p.hosts.join(", "))
            })
            .collect(),
        (ListFormat::Text, false) => {
            // What two clusters share is pulled once.
            let mut seen = BTreeSet::new();
            let all = clusters.iter().flat_map(images::images);
            all.filter(|image| seen.insert(image.clone())).map(|image| image + "\n").collect()
        }
    };
    streams.out(&text);
    Ok(Exit::Done)
}
