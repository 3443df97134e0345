//! Files that go with a reply: those that there are, by id, and new ones, in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use utoipa::ToSchema;
use voxea_core::artefact::StoredBlob;
use voxea_core::base::actor::Actor;
use voxea_core::outbox::{FILES_BYTES, MOST_FILES, ReplyFile};
use voxea_rules::visible::is_hidden;

use crate::http::api::Api;
use crate::http::problem::Problem;

/// Longest name, in characters.
const NAME_CHARS: usize = 200;

/// A file that goes with a mail: one that there is, by its `id`, or a new one by `name`, `type` and `content`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Enclosure {
    /// The id of an attachment that the caller reaches; `name` may give it another name.
    id: Option<String>,
    /// What the citizen sees as its name.
    #[schema(example = "arrete.pdf")]
    name: Option<String>,
    /// Its media type; `application/octet-stream` when left out.
    #[schema(example = "application/pdf")]
    r#type: Option<String>,
    /// Its bytes, base64 (RFC 4648 §4).
    content: Option<String>,
}

/// Puts new files on disk and finds the others. Nothing is sent yet.
///
/// # Errors
/// 422, naming the member; 404 is never said of a file, since the reply is what is asked for.
pub(super) async fn files(api: &Api, actor: &Actor, wanted: Vec<Enclosure>) -> Result<Vec<ReplyFile>, Problem> {
    if wanted.len() > MOST_FILES {
        return Err(Problem::invalid("/attachments", &format!("may be {MOST_FILES} at most")));
    }
    let (mut files, mut room) = (Vec::with_capacity(wanted.len()), FILES_BYTES);
    for (at, one) in wanted.into_iter().enumerate() {
        let file = file(api, actor, at, one, room).await?;
        room = room.checked_sub(file.blob.size).ok_or_else(too_large)?;
        files.push(file);
    }
    Ok(files)
}

fn too_large() -> Problem {
    Problem::invalid("/attachments", &format!("may have {FILES_BYTES} bytes together"))
}

async fn file(api: &Api, actor: &Actor, at: usize, wanted: Enclosure, room: u64) -> Result<ReplyFile, Problem> {
    let member = |name: &str| format!("/attachments/{at}/{name}");
    if let Some(name) = &wanted.name
        && (name.trim().is_empty() || name.chars().count() > NAME_CHARS || name.contains(is_no_letter))
    {
        return Err(Problem::invalid(
            &member("name"),
            &format!(
                "must have 1 to {NAME_CHARS} characters, none of them a slash, a control character or a mark that turns the direction"
            ),
        ));
    }
    match (wanted.id, wanted.content) {
        (Some(id), None) => {
            if wanted.r#type.is_some() {
                return Err(Problem::invalid(
                    &member("type"),
                    "is that of the attachment; leave it out beside `id`",
                ));
            }
            let found = api.core().attachments.find(actor, &id).await;
            let found = found.map_err(|error| match error {
                voxea_core::base::error::CoreError::NotFound { .. } => Problem::invalid(&member("id"), "must be the id of an attachment"),
                other => other.into(),
            })?;
            Ok(ReplyFile {
                name: wanted.name.unwrap_or(found.name),
                media_type: found.media_type,
                blob: StoredBlob {
                    sha256: found.sha256,
                    size: u64::try_from(found.size).unwrap_or(0),
                },
            })
        }
        (None, Some(content)) => {
            let name = wanted
                .name
                .ok_or_else(|| Problem::invalid(&member("name"), "is missing; a new file needs one"))?;
            let media_type = wanted.r#type.unwrap_or_else(|| "application/octet-stream".to_owned());
            if !is_media_type(&media_type) {
                let detail = "must be a media type, as application/pdf; multipart/… and message/… are no files";
                return Err(Problem::invalid(&member("type"), detail));
            }
            let bytes = STANDARD
                .decode(content.as_bytes())
                .map_err(|_| Problem::invalid(&member("content"), "must be base64 with its padding and without line ends"))?;
            drop(content);
            if bytes.len() as u64 > room {
                return Err(too_large());
            }
            let blob = api.core().blobs.put(Bytes::from(bytes)).await?;
            Ok(ReplyFile { name, media_type, blob })
        }
        _ => Err(Problem::invalid(
            &format!("/attachments/{at}"),
            "must have either the `id` of an attachment that there is, or the `content` of a new one",
        )),
    }
}

/// What leads whoever saves the file astray.
fn is_no_letter(char: char) -> bool {
    is_hidden(char) || matches!(char, '/' | '\\')
}

/// Two tokens (RFC 6838 §4.2), of what can be sent in base64 (RFC 2046 §5.2.1: a message cannot).
fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        (1..=127).contains(&part.len()) && part.bytes().all(plain)
    };
    let composite = |kind: &str| ["multipart", "message"].iter().any(|one| one.eq_ignore_ascii_case(kind));
    text.split_once('/')
        .is_some_and(|(kind, subtype)| token(kind) && token(subtype) && !composite(kind))
}

#[cfg(test)]
mod tests {
    use super::{is_media_type, is_no_letter};

    #[test]
    fn a_name_is_no_path_and_reads_as_it_is_written() {
        for odd in ["a\u{202e}fdp.exe", "../../etc/passwd", "a\\b", "a\nb"] {
            assert!(odd.contains(is_no_letter), "{odd}");
        }
        assert!(!"Arrêté n° 12 (copie).pdf".contains(is_no_letter));
    }

    #[test]
    fn a_media_type_is_two_tokens() {
        assert!(is_media_type("application/vnd.oasis.opendocument.text") && is_media_type("image/svg+xml"));
        for odd in [
            "multipart/mixed",
            "Message/rfc822",
            "",
            "pdf",
            "a/",
            "a/b; c=d",
            "a/b\r\nBcc: x@y",
            "a/b/c",
            "é/x",
        ] {
            assert!(!is_media_type(odd), "{odd}");
        }
    }
}
