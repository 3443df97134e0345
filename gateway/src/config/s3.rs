//! `[store] blobs = "s3://…"` and `[store.s3]`: object storage behind the local folder.

use voxea_core::artefact::Bucket;
use voxea_core::base::secret::Secret;
use voxea_core::base::settings::Section;

use crate::bucket::{Client, connect};
use crate::trust::fetch;

/// What the URL is like.
const EXAMPLE: &str = "blobs = \"s3://mairie/voxea\"";
/// Characters of a prefix; the longest name below it has 75, and S3 takes 1024.
const PREFIX_CHARS: usize = 512;
/// Where S3 itself lives, when nobody says.
const REGION: &str = "us-east-1";
/// Keys that only object storage has.
const SECTION: &str = "s3";

/// Whether `blobs` means object storage and no folder.
pub(super) fn is_url(blobs: &str) -> bool {
    blobs.contains("://")
}

/// The folder that files wait in, and the bucket behind it; `None` when something is wrong, which was noted.
pub(super) fn read(store: &Section<'_>, blobs: &str) -> (String, Option<Bucket>) {
    let spool = |section: Option<&Section<'_>>| section.map_or_else(|| "blobs".to_owned(), |section| section.string_or("spool", "blobs"));
    let named = split(blobs).inspect_err(|message| store.problem("blobs", *message)).ok();
    let Some(section) = store.sub(SECTION) else {
        if named.is_some() {
            store.problem(
                "blobs",
                "names object storage, whose keys are missing: [store.s3] with endpoint, region, access_key_file and secret_key_file",
            );
        }
        return (spool(None), None);
    };
    let folder = spool(Some(&section));
    if folder.trim().is_empty() || is_url(&folder) {
        section.problem("spool", "must be a folder on this machine: spool = \"blobs\"");
    }
    let client = client(&section);
    let bucket = named.zip(client).and_then(|((bucket, prefix), client)| {
        // Rows say where a file is, so one place has one name.
        let name = ["s3://", bucket, if prefix.is_empty() { "" } else { "/" }, prefix].concat();
        let store = connect(bucket, &client);
        let store = store.inspect_err(|message| section.problem("endpoint", message.clone())).ok()?;
        Some(Bucket::new(store, &name, prefix))
    });
    (folder, bucket)
}

/// Says that keys of object storage stand where files stay in a folder.
pub(super) fn unused(store: &Section<'_>) {
    if let Some(section) = store.sub(SECTION) {
        // They are read all the same, so that a misspelt one is named.
        let _ = (section.string("spool"), client(&section));
        store.warning(
            SECTION,
            format!("is not used, since blobs names a folder; take it away, or write {EXAMPLE}"),
        );
    }
}

/// Bucket and prefix.
fn split(url: &str) -> Result<(&str, &str), &'static str> {
    const SHAPE: &str = "must name a folder, or a bucket and a prefix in it, without a password: blobs = \"s3://mairie/voxea\"";
    let rest = url.strip_prefix("s3://").ok_or(SHAPE)?.trim_end_matches('/');
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    let ends = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let octets = bucket.as_bytes();
    if !(3..=63).contains(&bucket.len()) || !octets.iter().all(|byte| plain(*byte)) || !ends(octets.first()) || !ends(octets.last()) {
        return Err(
            "must name a bucket of 3 to 63 lower-case letters, digits, '-' and '.' after s3://, and no password: blobs = \"s3://mairie/voxea\"",
        );
    }
    let part = |part: &str| {
        let plain = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
        !part.is_empty() && part != "." && part != ".." && part.chars().all(plain)
    };
    if !prefix.is_empty() && (prefix.len() > PREFIX_CHARS || !prefix.split('/').all(part)) {
        return Err("must have a prefix of letters, digits, '-', '_' and '.' between single slashes: blobs = \"s3://mairie/voxea\"");
    }
    Ok((bucket, prefix))
}

/// `None` when a key is missing or wrong, which was noted.
fn client(section: &Section<'_>) -> Option<Client> {
    let region = section.string_or("region", REGION);
    if region.is_empty() || !region.chars().all(|char| char.is_ascii_alphanumeric() || char == '-') {
        section.problem("region", "must be the region's name as the provider writes it: region = \"fr-par\"");
    }
    let endpoint = section.string("endpoint");
    let endpoint_is_right = match &endpoint {
        Some(endpoint) => fetch::check(endpoint).map_err(|_| {
            section.problem(
                "endpoint",
                "must be the provider's https:// address, without bucket: endpoint = \"https://s3.fr-par.scw.cloud\"; http:// on this \
                 machine only",
            );
        }),
        None => Ok(()),
    };
    let tls = fetch::tls(section.file("ca_file").as_deref()).inspect_err(|message| section.problem("ca_file", message.clone()));
    let access_key = secret(section, "access_key", "access_key_file");
    let secret_key = secret(section, "secret_key", "secret_key_file");
    endpoint_is_right.ok()?;
    Some(Client {
        endpoint: endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com")),
        region,
        access_key: access_key?,
        secret_key: secret_key?,
        tls: tls.ok()?,
    })
}

fn secret(section: &Section<'_>, key: &'static str, file_key: &'static str) -> Option<Secret> {
    let named = section.has(key) || section.has(file_key);
    let found = section.secret(key, file_key);
    if !named {
        section.problem(
            file_key,
            format!("is missing; name a file whose first line it is: {file_key} = \"{key}\""),
        );
    } else if found.as_ref().is_some_and(|found| found.reveal().trim().is_empty()) {
        section.problem(key, "is empty; the provider shows it beside the other one");
        return None;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_bucket_and_a_prefix() {
        for (url, bucket, prefix) in [
            ("s3://mairie", "mairie", ""),
            ("s3://mairie/", "mairie", ""),
            ("s3://mairie.fr/voxea/2026", "mairie.fr", "voxea/2026"),
            ("s3://mairie/voxea_1.x/", "mairie", "voxea_1.x"),
        ] {
            assert_eq!(split(url), Ok((bucket, prefix)), "{url}");
        }
        for url in [
            "s3://",
            "s3:///voxea",
            "s3://ab",
            "s3://Mairie",
            "s3://-mairie",
            "s3://key:hunter2@mairie",
            "s3://mairie//x",
            "s3://mairie/../x",
            "s3://mairie/a?b",
            "s3://mairie/été",
            "gs://mairie",
            "file:///var",
        ] {
            let said = split(url).unwrap_err();
            assert!(
                said.contains("blobs = \"s3://mairie/voxea\"") && !said.contains("hunter2"),
                "{url}: {said}"
            );
        }
    }
}
