//! XML out and in.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::town::Town;

const XML: (&str, &str) = ("accept", "application/xml");
const SENT: (&str, &str) = ("content-type", "application/xml");

fn text(body: &[u8]) -> String {
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn requests_and_the_feed_are_had_in_xml() {
    let town = Town::new().await;
    let made = town.visit("Un trou < 1 m & profond").await;
    let id = made["id"].as_str().unwrap();
    let path = format!("/v1/requests/{id}");
    let one = town.call("GET", &path, &[XML], "").await;
    assert_eq!(
        (one.status.as_u16(), one.header("content-type"), one.header("etag")),
        (200, "application/xml", "\"1-xml\"")
    );
    assert!(one.headers.get_all("vary").iter().any(|value| value == "Accept"));
    let document = text(&one.body);
    assert!(
        document.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<request xmlns=\"urn:voxea:1\""),
        "{document}"
    );
    assert!(document.contains(&format!("<id>{id}</id>")) && document.contains("<version>1</version>") && !document.contains("<subject>"));
    let listed = text(&town.call("GET", "/v1/requests", &[XML], "").await.body);
    assert!(
        listed.contains("<requests ")
            && listed.contains(&format!(
                "<items><item><channel>counter</channel><external></external><from>+33612345678</from><id>{id}</id>"
            )),
        "{listed}"
    );
    let contacts = text(&town.call("GET", &format!("{path}/interactions"), &[XML], "").await.body);
    assert!(contacts.contains("<text>Un trou &lt; 1 m &amp; profond</text>"), "{contacts}");
    let feed = text(&town.call("GET", "/v1/changes", &[XML], "").await.body);
    assert!(
        feed.contains("<changes ") && feed.contains(&format!("<member name=\"request_id\" type=\"string\">{id}</member>")),
        "{feed}"
    );
    // The better liked one, and JSON where nothing else is asked for or possible.
    for (accept, media) in [
        ("application/json, application/xml;q=0.9", "application/json"),
        ("application/xml;q=0.9, application/json;q=0.1", "application/xml"),
        ("text/xml", "text/xml"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
    ] {
        assert_eq!(
            town.call("GET", &path, &[("accept", accept)], "").await.header("content-type"),
            media,
            "{accept}"
        );
    }
    assert_eq!(
        town.call("GET", "/v1/channels", &[XML], "").await.header("content-type"),
        "application/json"
    );
    let missing = town.call("GET", "/v1/requests/nobody", &[XML], "").await;
    assert_eq!(
        (missing.status.as_u16(), missing.header("content-type")),
        (404, "application/problem+xml")
    );
    let problem = text(&missing.body);
    assert!(
        problem.contains("<problem xmlns=\"urn:ietf:rfc:7807\">") && problem.contains("<type>urn:voxea:problem:not-found</type>"),
        "{problem}"
    );
    // The trail has it as any other read.
    let trail = town.get("/v1/audit?limit=500").await.json().to_string();
    assert!(trail.contains("\"count\":1"), "{trail}");
    let schema = town.send(Request::get("/schemas/voxea-1.xsd").body(Body::empty()).unwrap()).await;
    assert_eq!((schema.status.as_u16(), schema.header("content-type")), (200, "application/xml"));
    assert!(text(&schema.body).contains("targetNamespace=\"urn:voxea:1\""));
}

#[tokio::test]
async fn contacts_come_in_as_xml() {
    let town = Town::new().await;
    let contact = "<contact xmlns='urn:voxea:1'><from>06 12 34 56 78</from><text>Un trou &lt; 1 m</text></contact>";
    let made = town
        .call("POST", "/v1/intake/web", &[SENT, ("idempotency-key", "x")], contact)
        .await;
    assert_eq!(made.status, 201, "{}", made.json());
    assert_eq!(made.json()["from"], "+33612345678");
    let again = town
        .call("POST", "/v1/intake/web", &[SENT, ("idempotency-key", "x"), XML], contact)
        .await;
    assert_eq!((again.status.as_u16(), again.header("content-type")), (201, "application/xml"));
    let shown = town
        .get(&format!("/v1/requests/{}/interactions", made.json()["id"].as_str().unwrap()))
        .await
        .json();
    assert_eq!(shown["items"][0]["text"], "Un trou < 1 m");
    let raw = town
        .get(&format!("/v1/interactions/{}/raw", shown["items"][0]["id"].as_str().unwrap()))
        .await;
    assert_eq!(
        (raw.header("content-type"), text(&raw.body)),
        ("application/xml", contact.to_owned())
    );
    let brought = "<v:brought xmlns:v='urn:voxea:1'><v:text>a</v:text><v:status>déposé</v:status></v:brought>";
    let path = "/v1/requests/by-external/ged/1";
    let made = town.call("PUT", path, &[SENT], brought).await;
    assert_eq!(
        (made.status.as_u16(), &made.json()["external"][0]["status"]),
        (201, &json!("déposé"))
    );
    assert_eq!(
        town.call("PUT", path, &[SENT], brought).await.status,
        200,
        "what comes again changes nothing"
    );
}

#[tokio::test]
async fn xml_that_is_not_as_it_should_be_is_refused() {
    let town = Town::new().await;
    let send = async |body: String| town.call("POST", "/v1/intake/web", &[SENT], body).await;
    let within = |inner: &str| format!("<contact xmlns='urn:voxea:1'>{inner}</contact>");
    for body in [
        String::new(),
        "{\"text\":\"a\"}".to_owned(),
        "<contact><text>a</text></contact>".to_owned(),
        format!("<!DOCTYPE contact [<!ENTITY a \"b\">]>{}", within("<text>&a;</text>")),
        format!("<!DOCTYPE contact SYSTEM \"http://127.0.0.1/x\">{}", within("<text>a</text>")),
        within("<text>&unknown;</text>"),
        within(&"<x>".repeat(40)),
        within(&"<x/>".repeat(20_000)),
    ] {
        send(body.clone()).await.is_problem(400, "bad-request");
    }
    for (inner, pointer) in [
        ("<text>a</text><more>b</more>", ""),
        ("", ""),
        ("<text>a</text><text>b</text>", ""),
        ("<text><b>a</b></text>", "/text"),
        ("<text> </text>", "/text"),
        ("<text>a</text><theme>none</theme>", "/theme"),
        ("<text>a</text><occurred_at>now</occurred_at>", "/occurred_at"),
        ("<text>a</text><fields>b</fields>", "/fields"),
        (
            "<text>a</text><fields><member name='b' type='number'>c</member></fields>",
            "/fields/b",
        ),
    ] {
        let refused = send(within(inner)).await;
        refused.is_problem(422, "invalid");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{inner} {}", refused.json());
    }
    let other = send("<request xmlns='urn:voxea:1'/>".to_owned()).await;
    other.is_problem(422, "invalid");
    // Only where the document says so.
    town.call("POST", "/v1/citizens", &[SENT], "<a/>")
        .await
        .is_problem(415, "media-type");
    assert_eq!(town.get("/v1/requests").await.json()["items"], json!([]));
}
