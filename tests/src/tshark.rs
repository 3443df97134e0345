//! Wireshark's dissector as a judge of what we send: it knows SMPP from others than us.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::pcap::{self, PORT, Piece};

/// One packet's SMPP, as the dissector reads it.
#[derive(Debug, Clone)]
pub struct Dissected {
    /// Its fields by Wireshark's names, `smpp.command_id` for instance. Those of a subtree stand beside the others, and what is
    /// there several times has its values behind each other, with commas.
    pub fields: Value,
    /// What the dissector complains about: malformed packets, and remarks on fields.
    pub complaints: Vec<String>,
}

impl Dissected {
    /// A field as the dissector writes it; empty when there is none.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.fields[name].as_str().unwrap_or_default()
    }

    /// command_id, such as 0x00000009.
    #[must_use]
    pub fn command(&self) -> u32 {
        u32::from_str_radix(self.field("smpp.command_id").trim_start_matches("0x"), 16).unwrap_or(u32::MAX)
    }
}

/// What the dissector sees in these pieces, one a packet.
///
/// # Errors
/// When tshark is missing, fails, or sees another number of packets.
pub fn dissect(pieces: &[Piece<'_>]) -> Result<Vec<Dissected>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("smpp.pcap");
    std::fs::write(&file, pcap::written(pieces.iter().copied()))?;
    let packets = read(&file)?;
    ensure!(
        packets.len() == pieces.len(),
        "{} packets were written, {} read",
        pieces.len(),
        packets.len()
    );
    packets.iter().map(of_packet).collect()
}

fn read(file: &Path) -> Result<Vec<Value>> {
    // What a dissector keeps for itself lies in the home folder, which need not be there.
    let output = Command::new("tshark")
        .args([
            "-n",
            "-T",
            "json",
            "--no-duplicate-keys",
            "-d",
            &format!("tcp.port=={PORT},smpp"),
            "-r",
        ])
        .arg(file)
        .output()
        .context("tshark is missing: scripts/install-peers installs it")?;
    ensure!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
    // It writes half an emoji as if it were a character, which is no UTF-8.
    let all: Value = serde_json::from_str(&String::from_utf8_lossy(&output.stdout))?;
    Ok(all.as_array().cloned().unwrap_or_default())
}

fn of_packet(packet: &Value) -> Result<Dissected> {
    let layers = packet["_source"]["layers"].as_object().context("a packet without layers")?;
    let mut complaints = Vec::new();
    let mut fields = serde_json::Map::new();
    match layers.get("smpp") {
        Some(smpp) => flatten(smpp, &mut fields, &mut complaints),
        None => complaints.push("no SMPP".to_owned()),
    }
    complaints.extend(layers.keys().filter(|name| name.starts_with("_ws.")).cloned());
    Ok(Dissected {
        fields: Value::Object(fields),
        complaints,
    })
}

fn flatten(tree: &Value, fields: &mut serde_json::Map<String, Value>, complaints: &mut Vec<String>) {
    for (name, value) in tree.as_object().into_iter().flatten() {
        // What stands there several times, as optional parameters do, is a list.
        let all = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in all {
            if name.starts_with("_ws.") {
                complaints.push(format!("{name}: {value}"));
            } else if value.is_object() {
                flatten(value, fields, complaints);
            } else if let Some(first) = fields.get_mut(name) {
                *first = format!("{},{}", first.as_str().unwrap_or_default(), value.as_str().unwrap_or_default()).into();
            } else {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
}
